"""Each of the 21 difficult inputs is handled as its README says a careful loader should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.config.schema import ClassConfig, DataConfig, SplitConfig
from flexunet.data import PlainSampler, Store, band_statistics, decode_mask, match_files, open_store
from flexunet.errors import DataError, RasterError
from flexunet.raster import read_picture
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

MESSY = SHARED / "data" / "messy"
TWO = ((0, 0, 0), (255, 0, 255))
CAMVID = (
    (0, 0, 0), (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip


def classes(colours: tuple[tuple[int, int, int], ...]) -> tuple[ClassConfig, ...]:
    return tuple(ClassConfig(name=f"class {i}", colour=colour) for i, colour in enumerate(colours))


@pytest.fixture
def case(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """`case(number, **data options)`: the config of a case with its cache in a temporary folder."""

    def config(number: int, colours: tuple[tuple[int, int, int], ...] = TWO, **options: Any) -> DataConfig:
        base = next(MESSY.glob(f"{number:02}_*"))
        split = SplitConfig(images=(base / "images",), masks=(base / "masks",))
        return DataConfig.model_validate(
            {"train": split, "classes": classes(colours), "cache_dir": tmp_path / "cache", **options}
        )

    return config


def masks_of(data: DataConfig) -> dict[str, Path]:
    assert data.train is not None
    return {path.stem: path for path in sorted(data.train.masks[0].iterdir())}


def by_id(store: Store) -> dict[str, int]:
    return {name: index for index, name in enumerate(store.ids)}


def refusal(path: Path, data: DataConfig) -> str:
    with pytest.raises((DataError, RasterError)) as caught:
        decode_mask(path, data)
    assert path.name in str(caught.value)
    return str(caught.value)


def only(case: Any, number: int, folder: Path, names: list[str], **options: Any) -> DataConfig:
    """The case with only the named pairs, linked into a folder of their own."""
    data: DataConfig = case(number, **options)
    assert data.train is not None
    for kind, source in (("images", data.train.images[0]), ("masks", data.train.masks[0])):
        (folder / kind).mkdir(parents=True)
        for path in source.iterdir():
            if path.stem in names:
                (folder / kind / path.name).write_bytes(path.read_bytes())
    split = SplitConfig(images=(folder / "images",), masks=(folder / "masks",))
    return data.model_copy(update={"train": split})


def test_01_blended_edges_take_a_class_beside_them(case: Any) -> None:
    for name, path in masks_of(case(1)).items():
        mask = decode_mask(path, case(1, CAMVID if name.startswith("street") else TWO))
        assert mask.labels.max() < 12
        assert "not exactly of a class colour" in mask.notes[0]
        exact = np.asarray(Image.open(path))
        table = np.asarray(CAMVID if name.startswith("street") else TWO, np.uint8)
        kept = (exact == table[mask.labels]).all(2)
        sure = (exact[..., None, :] == table).all(-1).any(-1)
        assert kept[sure].mean() > 0.99


def test_02_jpeg_masks_take_the_nearest_class_and_warn(case: Any) -> None:
    store = open_store(case(2), "train")
    assert any("4 files: lossy JPEG mask" in note for note in store.notes)
    for index in range(4):
        rgb = np.asarray(Image.open(store.pairs[index].mask or "")).astype(int)
        nearest = np.linalg.norm(rgb[..., None, :] - np.asarray(TWO), axis=-1).argmin(-1)
        assert (store.labels(index) != nearest).mean() < 0.01


def test_03_palettes_agree_with_their_truth(case: Any) -> None:
    for name, path in masks_of(case(3)).items():
        truth = np.asarray(Image.open(path.parents[1] / "truth" / f"{name}_truth.png"))
        assert_array_equal(decode_mask(path, case(3)).labels, truth)


def test_04_grey_masks_become_classes_0_and_1(case: Any) -> None:
    for name, path in masks_of(case(4)).items():
        bright = np.asarray(Image.open(path)) > 0
        inverted = name == "g5"
        data = case(4, mask_encoding="threshold", invert_masks=True) if inverted else case(4)
        assert_array_equal(decode_mask(path, data).labels, bright != inverted)


def test_05_class_indices_stay_and_255_is_ignored_only_when_told(case: Any) -> None:
    for name, path in masks_of(case(5)).items():
        indices = np.asarray(Image.open(path))
        colours = CAMVID if name.startswith("street") else TWO
        if name == "void_1":
            assert "255 (17.87%)" in refusal(path, case(5))
        labels = decode_mask(path, case(5, colours, ignore_value=255)).labels
        assert_array_equal(labels, np.where(indices == 255, IGNORE_INDEX, indices))
    assert "values that are no class" in refusal(masks_of(case(5))["street_1"], case(5))


def test_06_one_hot_masks_are_read_and_their_channels_checked(case: Any) -> None:
    for name, path in masks_of(case(6)).items():
        data = case(6, CAMVID if name.startswith("street") else TWO)
        with np.load(path) as archive:
            assert_array_equal(decode_mask(path, data).labels, archive["mask"].argmax(-1))
    assert "12 channels for 2 classes" in refusal(masks_of(case(6))["street_1"], case(6))


def test_07_odd_npz_masks_are_refused_with_the_reason(case: Any) -> None:
    reasons = {
        "chw": "mask_axes", "key": "arr_0", "index": 'mask_encoding = "index"', "nine": "9 channels",
        "two": "400 have more than one", "object": "Object arrays", "holes": "400 pixels have no class",
    }  # fmt: skip
    paths = masks_of(case(7))
    for name, reason in reasons.items():
        assert reason in refusal(paths[name], case(7))
    assert decode_mask(paths["chw"], case(7, mask_axes="CHW")).labels.shape == (128, 128)
    assert decode_mask(paths["index"], case(7, mask_encoding="index")).labels.max() == 1
    with pytest.raises(DataError) as caught:
        open_store(case(7), "train")
    assert len(caught.value.problems) == 7


def test_08_names_that_differ_pair_by_words_and_numbers(case: Any) -> None:
    data = case(8)
    pairing = match_files(data.train, data)
    assert {(pair.image.stem, pair.mask.stem) for pair in pairing.pairs if pair.mask} == {
        ("image_1", "mask_1"), ("image_2", "mask_2"), ("image_10", "mask_10"), ("ZY_17", "ZY_17_mask"),
        ("Landslide003", "LandslideLabel003"), ("tile 5", "tile 05"),
    }  # fmt: skip
    assert "image_10.jpg with mask_10.png" in pairing.notes[0]


def test_09_orphans_are_named_and_may_be_skipped(case: Any) -> None:
    with pytest.raises(DataError) as caught:
        open_store(case(9), "train")
    assert "b.jpg: has no mask" in str(caught.value)
    assert "d.png: has no image" in str(caught.value)
    assert open_store(case(9, on_orphan="skip"), "train").ids == ("a", "c")


def test_10_other_sizes_are_named_or_resized(case: Any) -> None:
    with pytest.raises(DataError) as caught:
        open_store(case(10), "train")
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "is 129 x 130 pixels (height x width), its image" in text
    assert "is 128 x 96 pixels (height x width)" in text
    assert "Is one of them turned?" in text
    store = open_store(case(10, mask_size="resize"), "train")
    doubled = np.asarray(Image.open(store.pairs[by_id(store)["double"]].mask or ""))[::2, ::2, 0] > 0
    assert (store.labels(by_id(store)["double"]) != doubled).mean() < 0.02
    assert all(store.labels(i).shape == store.image(i).shape[1:] for i in range(len(store)))


def test_11_sixteen_bits_stay_sixteen_bits(case: Any, tmp_path: Path) -> None:
    colour = only(case, 11, tmp_path / "rgb", ["rgb16_1", "rgb16_2", "rgb16_full"], ignore_value=255)
    store = open_store(colour, "train")
    assert store.dtype == "uint16"
    assert [int(store.image(i).max()) for i in range(3)] == [4278, 4885, 65535]
    bands = band_statistics(store, colour)
    stacked = np.concatenate([store.image(i).reshape(3, -1) for i in range(3)], 1).astype(float)
    np.testing.assert_allclose(bands.mean, stacked.mean(1), rtol=1e-9)
    np.testing.assert_allclose(bands.std, stacked.std(1), rtol=1e-9)
    assert "images differ in bands: 1 in 1 (grey16_1.png), 3 in 3" in str(_error(case(11, ignore_value=255)))


def _error(data: DataConfig) -> DataError:
    with pytest.raises(DataError) as caught:
        open_store(data, "train")
    return caught.value


def test_12_grey_images_get_the_channels_asked_for(case: Any) -> None:
    assert open_store(case(12), "train").channels == 1
    store = open_store(case(12, channels=3), "train")
    assert store.channels == 3
    assert_array_equal(store.image(0)[0], store.image(0)[2])
    assert 0.9 < store.valid(by_id(store)["la_1"]).mean() < 1


def test_13_transparent_pixels_are_missing_data(case: Any) -> None:
    store = open_store(case(13), "train")
    bands = Bands(names=("r", "g", "b"), mean=(0, 0, 0), std=(1, 1, 1))
    for name in ("uav_1", "uav_2"):
        index = by_id(store)[name]
        valid = store.valid(index)
        assert 0.7 < valid.mean() < 0.8
        pixels, labels = PlainSampler(bands, (128, 128), "resize")(
            store.image(index), store.labels(index), valid, np.random.default_rng()
        )
        assert (labels[~valid] == IGNORE_INDEX).all()
        assert (pixels[:, ~valid] == 0).all()
    mask = np.asarray(Image.open(store.pairs[by_id(store)["rgba_mask"]].mask or ""))
    assert_array_equal(store.labels(by_id(store)["rgba_mask"]), mask[..., 3] > 0)


def test_14_damaged_files_are_all_named_and_may_be_skipped(case: Any) -> None:
    text = str(_error(case(14)))
    for name, reason in {
        "cut_png.png": "truncated", "cut_jpg.jpg": "truncated", "cut_mask.png": "truncated",
        "empty.png": "is empty (0 bytes)", "text.png": "is not a picture",
    }.items():  # fmt: skip
        assert any(name in line and reason in line for line in text.splitlines())
    store = open_store(case(14, on_damaged="skip"), "train")
    assert store.ids == ("liar", "ok")
    assert sum("left out" in note for note in store.notes) == 5


def test_15_cmyk_and_exif_follow_one_stated_rule(case: Any, tmp_path: Path) -> None:
    store = open_store(case(15), "train")
    assert store.channels == 3
    assert store.image(by_id(store)["exif6"]).shape == (3, 96, 128)
    assert "2 files: CMYK converted to RGB: cmyk_1, cmyk_2" in store.notes
    assert "2 files: EXIF orientation 6 applied: exif6, raw6" in store.notes
    ignored = open_store(only(case, 15, tmp_path / "raw", ["raw6"], exif_orientation="ignore"), "train")
    applied = store.image(by_id(store)["raw6"])
    assert_array_equal(np.rot90(ignored.image(0), -1, (1, 2)), applied)
    assert "pixels (height x width)" in str(_error(case(15, exif_orientation="ignore")))


def test_16_spaces_and_unicode_pair(case: Any) -> None:
    store = open_store(case(16), "train")
    assert len(store) == 8
    assert {"滑坡_01", "tile[1]", "100%20done", "site.a.v2"} <= set(store.ids)


def test_17_upper_case_extensions_are_found(case: Any) -> None:
    assert open_store(case(17), "train").ids == ("a", "b", "c", "d", "e")


def test_18_junk_is_left_alone(case: Any) -> None:
    store = open_store(case(18), "train")
    assert store.ids == ("a", "b")
    assert store.notes[0] == "5 files skipped that are not named like pictures"
    data = case(18)
    assert_array_equal(store.image(0), read_picture(data.train.images[0] / "a.jpg").pixels)


def test_19_two_files_of_one_stem_are_reported(case: Any) -> None:
    text = str(_error(case(19)))
    assert "images of one name" in text
    assert "masks of one name" in text
    assert "c.jpg" not in text


def test_20_colours_not_in_the_table_are_counted(case: Any) -> None:
    paths = masks_of(case(20))
    assert "(0, 255, 0) 9.16%" in refusal(paths["third"], case(20))
    assert "(255, 255, 255) 3.81%" in refusal(paths["label"], case(20))
    assert "(255, 255, 255) 3.57%" in refusal(paths["outline"], case(20))
    snapped = decode_mask(paths["offby"], case(20))
    assert_array_equal(snapped.labels, np.asarray(Image.open(paths["offby"]))[..., 0] > 0)
    told = decode_mask(paths["outline"], case(20, ignore_colour=(255, 255, 255)))
    assert (told.labels == IGNORE_INDEX).mean() == pytest.approx(0.0357, abs=0.0001)


@pytest.mark.parametrize("sizing", ["resize", "fit", "crop"])
def test_21_odd_sizes_and_constant_masks_give_full_samples(sizing: Any, case: Any) -> None:
    data = case(21, sizing=sizing, size=(64, 48))
    store = open_store(data, "train")
    sampler = PlainSampler(band_statistics(store, data), data.size, sizing)
    for index in range(len(store)):
        pixels, labels = sampler(
            store.image(index), store.labels(index), store.valid(index), np.random.default_rng()
        )
        assert pixels.shape == (3, 64, 48)
        assert np.isfinite(pixels).all()
        assert set(np.unique(labels)) <= {0, 1, IGNORE_INDEX}
        assert (labels != IGNORE_INDEX).any()
    constant = store.labels(by_id(store)["all1"])
    assert (constant == 1).all()
    black = open_store(case(21, sizing=sizing, size=(64, 48), nodata=0), "train")
    assert not black.valid(by_id(black)["black"]).any()
