"""Images and masks pair by name alone, and what does not pair is named, all of it at once."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexunet.config.schema import DataConfig, SplitConfig
from flexunet.data import find_pairs, match_files, split_folders
from flexunet.data.folders import Found
from flexunet.data.pairs import _match_names, _Matcher
from flexunet.errors import DataError


def make(base: Path, images: list[str], masks: list[str], negatives: list[str] = []) -> SplitConfig:  # noqa: B006
    folders = {"images": images, "masks": masks, "negatives": negatives}
    for folder, names in folders.items():
        (base / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (base / folder / name).write_bytes(b"x")
    return SplitConfig(
        images=(base / "images",),
        masks=(base / "masks",),
        negatives=(base / "negatives",) if negatives else (),
    )


def named(folders: SplitConfig, **options: object) -> list[tuple[str, str | None]]:
    pairs = find_pairs(folders, DataConfig.model_validate(options))
    return [(pair.image.name, pair.mask.name if pair.mask else None) for pair in pairs]


# ---------------------------------------------------------------------------------------------------- laws

stems = st.lists(
    st.text("abcé滑_- 0123456789[]%#.", min_size=1, max_size=8), min_size=1, max_size=12, unique=True
)


@given(stems, st.randoms())
def test_equal_stems_always_pair_whatever_their_order(names: list[str], shuffle: random.Random) -> None:
    usable = [name for name in names if name.strip(". ")]
    images = [Found(Path("i") / f"{name}.jpg", "") for name in usable]
    masks = [Found(Path("m") / f"{name}.PNG", "") for name in usable]
    shuffle.shuffle(masks)
    matcher = _Matcher(images, masks)
    _match_names(matcher)
    stems = {unicodedata.normalize("NFC", image.path.stem) for image in images}
    if len(stems) == len(images):
        assert {(image.stem, mask.stem) for image, mask in matcher.pairs if mask} == {(s, s) for s in stems}
        assert not matcher.orphans()


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20, unique=True), st.integers(0, 4))
def test_numbers_pair_as_numbers(numbers: list[int], zeros: int) -> None:
    images = [Found(Path(f"S2_{number}.tif"), "") for number in numbers]
    masks = [Found(Path(f"cover-{'0' * zeros}{number}-x.png"), "") for number in reversed(numbers)]
    matcher = _Matcher(images, masks)
    _match_names(matcher)
    if len(numbers) == 1:  # from one name nobody can tell which of its numbers counts
        assert not matcher.pairs
        return
    made = {(image.stem, mask.stem) for image, mask in matcher.pairs if mask}
    assert made == {(f"S2_{number}", f"cover-{'0' * zeros}{number}-x") for number in numbers}


# --------------------------------------------------------------------------------------- names that differ


def test_role_words_and_leading_zeros_do_not_matter(tmp_path: Path) -> None:
    folders = make(
        tmp_path,
        [
            "image_1.jpg",
            "image_2.jpg",
            "image_10.jpg",
            "Landslide003.jpg",
            "ZY_17.jpg",
            "tile 5.jpg",
            "same.png",
        ],
        [
            "mask_1.png",
            "mask_10.png",
            "mask_2.png",
            "LandslideLabel003.png",
            "ZY_17_mask.png",
            "tile 05.png",
            "same.tif",
        ],
    )
    pairing = match_files(folders, DataConfig())
    assert {(pair.image.stem, pair.mask.stem) for pair in pairing.pairs if pair.mask} == {
        ("image_1", "mask_1"), ("image_2", "mask_2"), ("image_10", "mask_10"),
        ("Landslide003", "LandslideLabel003"), ("ZY_17", "ZY_17_mask"),
        ("tile 5", "tile 05"), ("same", "same"),
    }  # fmt: skip
    assert pairing.notes[0].startswith("6 pairs by the words and numbers of their names: ")
    assert "tile 5.jpg with tile 05.png" in pairing.notes[0]


def test_numbers_alone_pair_only_where_they_are_complete_and_unique(tmp_path: Path) -> None:
    good = make(tmp_path / "a", ["sat-7.png", "sat-12.png"], ["cover7b.png", "cover12b.png"])
    assert named(good) == [("sat-12.png", "cover12b.png"), ("sat-7.png", "cover7b.png")]
    lacking = make(tmp_path / "b", ["sat-7.png", "sat-12.png"], ["cover7.png", "cover13.png"])
    with pytest.raises(DataError, match="has no mask"):
        find_pairs(lacking, DataConfig())


def test_dates_that_differ_are_not_mistaken_for_one_scene(tmp_path: Path) -> None:
    folders = make(tmp_path, ["site1_2019.png", "site2_2019.png"], ["site1_2020.png", "site2_2020.png"])
    with pytest.raises(DataError) as caught:
        find_pairs(folders, DataConfig())
    assert str(caught.value).count("has no") == 4


def test_patterns_decide_alone(tmp_path: Path) -> None:
    folders = make(
        tmp_path, ["Landslide003.png", "Landslide011.png"], ["LandslideLabel003.png", "LandslideLabel011.png"]
    )
    options = {"image_pattern": r"Landslide(\d+)", "mask_pattern": r"LandslideLabel(\d+)"}
    assert named(folders, **options)[0] == ("Landslide003.png", "LandslideLabel003.png")


def test_one_folder_may_hold_images_and_masks(tmp_path: Path) -> None:
    make(tmp_path, ["a.jpg", "b.jpg", "a_mask.png", "b_mask.png"], [])
    both = SplitConfig(images=(tmp_path / "images",), masks=(tmp_path / "images",))
    assert named(both, image_pattern=r"^([^_]+)$", mask_pattern="(.*)_mask") == [
        ("a.jpg", "a_mask.png"), ("b.jpg", "b_mask.png"),
    ]  # fmt: skip


def test_composed_and_decomposed_letters_are_the_same_name(tmp_path: Path) -> None:
    composed, decomposed = "glissement-\u00e9", "glissement-e\u0301"
    assert unicodedata.normalize("NFC", decomposed) == composed
    pairs = find_pairs(make(tmp_path, [f"{composed}.jpg"], [f"{decomposed}.png"]), DataConfig())
    assert pairs[0].id == composed


# ---------------------------------------------------------------------------- folders, junk and negatives


def test_junk_is_skipped_and_counted(tmp_path: Path) -> None:
    junk = ["Thumbs.db", "._a.jpg", ".DS_Store", "notes.txt", "a.jgw", "a.jpg.aux.xml"]
    folders = make(tmp_path, ["a.JPG", *junk], ["a.Png", "a.png.aux.xml"])
    (tmp_path / "images" / "old").mkdir()
    (tmp_path / "images" / "old" / "a.jpg").write_bytes(b"x")
    pairing = match_files(folders, DataConfig())
    assert [pair.id for pair in pairing.pairs] == ["a"]
    assert pairing.notes == ("7 files skipped that are not named like pictures",)


def test_stars_in_folders_keep_equal_names_apart(tmp_path: Path) -> None:
    for site in ("north", "south"):
        make(tmp_path / site, ["1.png", f"{site}.png"], ["1.png", f"{site}.png"])
    folders = SplitConfig(images=(tmp_path / "*" / "images",), masks=(tmp_path / "*" / "masks",))
    pairs = find_pairs(folders, DataConfig())
    assert [pair.id for pair in pairs] == ["north", "north_1", "south", "south_1"]
    assert all(pair.mask and pair.mask.parent.parent == pair.image.parent.parent for pair in pairs)


def test_square_brackets_in_folders_are_letters(tmp_path: Path) -> None:
    make(tmp_path / "tile[1]", ["a.png"], ["a.png"])
    folders = SplitConfig(images=(tmp_path / "tile[1]" / "images",), masks=(tmp_path / "t*[1]" / "masks",))
    assert len(find_pairs(folders, DataConfig())) == 1


def test_negatives_need_no_mask_and_get_ids_of_their_own(tmp_path: Path) -> None:
    folders = make(tmp_path, ["1.png"], ["1.png"], negatives=["1.png", "2.png"])
    pairs = find_pairs(folders, DataConfig())
    assert [(pair.id, pair.mask is None) for pair in pairs] == [
        ("1", False),
        ("2", True),
        ("negative_1", True),
    ]
    only = SplitConfig(images=(), negatives=(tmp_path / "negatives",))
    assert len(find_pairs(only, DataConfig())) == 2


def test_the_root_has_a_folder_for_each_split(tmp_path: Path) -> None:
    make(tmp_path / "train", ["a.png"], ["a.png"], negatives=["n.png"])
    (tmp_path / "val" / "Image").mkdir(parents=True)
    (tmp_path / "val" / "label").mkdir()
    data = DataConfig(root=tmp_path)
    assert split_folders(data, "train").negatives == (tmp_path / "train" / "negatives",)
    assert split_folders(data, "valid").masks == (tmp_path / "val" / "label",)
    with pytest.raises(DataError, match=r"has no folder 'test'; it holds train, val\. Name"):
        split_folders(data, "test")
    with pytest.raises(DataError, match=r"name them in data\.test\.images and \.masks, or set data\.root"):
        split_folders(DataConfig(), "test")


# ---------------------------------------------------------------------------------------------------- faults


def test_every_orphan_and_every_double_is_named_in_one_report(tmp_path: Path) -> None:
    folders = make(tmp_path, ["a.jpg", "a.png", "b.jpg", "c.jpg"], ["a.png", "b.npz", "b.png", "d.png"])
    with pytest.raises(DataError) as caught:
        find_pairs(folders, DataConfig())
    text = str(caught.value)
    assert "images of one name" in text
    assert "masks of one name" in text
    assert "c.jpg: has no mask" in text
    assert "d.png: has no image" in text


def test_orphans_may_be_skipped_but_doubles_may_not(tmp_path: Path) -> None:
    folders = make(tmp_path / "a", ["a.jpg", "b.jpg"], ["a.png", "d.png"])
    pairing = match_files(folders, DataConfig(on_orphan="skip"))
    assert [pair.id for pair in pairing.pairs] == ["a"]
    assert [note.rsplit("/", 1)[-1] for note in pairing.notes] == [
        "b.jpg: has no mask",
        "d.png: has no image",
    ]
    double = make(tmp_path / "b", ["a.jpg", "a.png"], ["a.png"])
    with pytest.raises(DataError, match="of one name"):
        find_pairs(double, DataConfig(on_orphan="skip"))


def test_empty_missing_and_unreadable_folders_are_all_reported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"images: nothing named \.png, .* in .*empty") as caught:
        find_pairs(SplitConfig(images=(tmp_path / "empty",), masks=(tmp_path / "gone",)), DataConfig())
    assert f"{tmp_path / 'gone'}: masks: no such folder" in str(caught.value)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"file: images: cannot be read: Not a directory"):
        find_pairs(SplitConfig(images=(tmp_path / "file",), masks=(tmp_path / "empty",)), DataConfig())
