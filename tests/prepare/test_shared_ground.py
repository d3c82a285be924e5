"""Pictures of one ground are never parted without a word, and merged by their grids, too."""

import csv
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flexunet.check import check
from flexunet.check.report import groups_csv
from flexunet.errors import DataError
from flexunet.prepare import Prepared, prepare
from flexunet.raster import Grid, read_mask_picture, write_raster

UTM = (
    'PROJCS["WGS 84 / UTM zone 43N",GEOGCS["WGS 84",DATUM["WGS_1984",'
    'SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",75],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
)
Pixels = NDArray[np.uint8]


def items_of(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]
    return found


def said(prepared: Prepared, word: str) -> str:
    (note,) = [note for note in prepared.notes if word in note]
    return note


def save(root: Path, name: str, image: Pixels, mask: Pixels) -> None:
    for folder, pixels in (("images", image), ("masks", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / folder / f"{name}.png"), pixels)


def noise(seed: int, height: int, width: int) -> Pixels:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


def marked(height: int, width: int, top: int = 10, left: int = 10) -> Pixels:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 15, left : left + 15] = 255
    return mask


# --------------------------------------------------------------------------------- what the split does


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Two crops of one scene, `left` and `right`, and four other pictures."""
    scene = noise(0, 64, 120)
    save(tmp_path / "raw", "left", scene[:, :80], marked(64, 80))
    save(tmp_path / "raw", "right", scene[:, 40:], marked(64, 80))
    for number in range(4):
        save(tmp_path / "raw", f"other{number}", noise(1 + number, 64, 80), marked(64, 80))
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("right", "told"),
    [
        ("train", "such pictures stay in one split."),
        ("test", r"1 of them lie in different splits, which is a leak: left \(train\) - right \(test\)"),
    ],
)
def test_given_splits_that_part_shared_ground_are_told_as_such(
    crops: Path, tmp_path: Path, right: str, told: str
) -> None:
    table = tmp_path / "splits.csv"
    splits = {"left": "train", "right": right, "other0": "train", "other1": "valid", "other2": "test"}
    rows = [("id", "split"), *splits.items(), ("other3", "train")]
    with table.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    prepared = prepare(crops, tmp_path / "out", splits=table)
    note = said(prepared, "share ground pixel for pixel")
    assert note.startswith("1 pairs of pictures")
    assert re.search(told, note)
    assert note in json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["notes"]


def test_blocks_join_pictures_that_share_ground_into_one_plane(tmp_path: Path) -> None:
    scene = noise(3, 256, 448)
    ids = scene.reshape(-1, 3).astype(np.int64) @ (1, 256, 65536)
    assert len(np.unique(ids)) > ids.size * 0.98, "a pixel is known by its value"
    save(tmp_path / "raw", "a", scene[:, :320], marked(256, 320))
    save(tmp_path / "raw", "b", scene[:, 128 + 7 :], marked(256, 313))
    prepared = prepare(tmp_path / "raw", tmp_path / "out", tile=64, blocks=64, seed=1)
    note = said(prepared, "share ground pixel for pixel")
    assert note.endswith("what lies in different splits shares none of it.")
    seen: dict[str, set[int]] = {}
    for item in items_of(tmp_path / "out"):
        tile = cv2.imread(str(tmp_path / "out" / item["image"]["file"]))
        assert tile is not None
        seen.setdefault(item["split"], set()).update(
            (tile.reshape(-1, 3).astype(int) @ (1, 256, 65536)).tolist()
        )
    assert set(seen) == {"train", "valid", "test"}
    often = {value for value, count in Counter(ids.tolist()).items() if count > 1}
    for one, other in combinations(seen, 2):
        assert not (seen[one] & seen[other]) - often


# ----------------------------------------------------------------------------------------- regions


@pytest.fixture
def counties(tmp_path: Path) -> Path:
    """9 landslides of three counties, 12 negatives without one; `n00` shares ground with `df0`."""
    raw = tmp_path / "bijie"
    for folder in ("landslide/image", "landslide/mask", "non-landslide/image"):
        (raw / folder).mkdir(parents=True)
    scene = noise(99, 40, 90)
    for number in range(9):
        name = f"{('df', 'hz', 'js')[number % 3]}{number}.png"
        image = scene[:, :50] if number == 0 else noise(number, 40, 50)
        assert cv2.imwrite(str(raw / "landslide/image" / name), image)
        assert cv2.imwrite(str(raw / "landslide/mask" / name), marked(40, 50))
    for number in range(12):
        image = scene[:, 20:] if number == 0 else noise(100 + number, 40, 50)
        assert cv2.imwrite(str(raw / "non-landslide/image" / f"n{number:02}.png"), image)
    return raw


def kinds(folder: Path) -> dict[str, tuple[int, int]]:
    """Pictures with and without objects of each split."""
    counts = Counter((item["split"], item["negative"]) for item in items_of(folder))
    return {split: (counts[split, False], counts[split, True]) for split in sorted({s for s, _ in counts})}


def test_pictures_without_a_region_are_spread_over_the_regions(counties: Path, tmp_path: Path) -> None:
    pattern = "^(?:df|hz|js)"
    prepared = prepare(counties, tmp_path / "each", leave_out="each", region_pattern=pattern)
    found = kinds(tmp_path / "each")
    assert set(found) == {"region_df", "region_hz", "region_js"}
    assert sorted(found.values()) in ([(3, 3), (3, 4), (3, 5)], [(3, 4)] * 3)
    home = {item["id"]: item["split"] for item in items_of(tmp_path / "each")}
    assert home["n00"] == "region_df", "it shows the ground of df0"
    assert said(prepared, "region").startswith("12 pictures without a region")

    prepare(counties, tmp_path / "df", leave_out="df", region_pattern=pattern, shares=(0.8, 0.2, 0))
    parted = kinds(tmp_path / "df")
    assert parted["test"] == found["region_df"], "the same pictures test, whichever way they are left out"
    assert parted["train"][1] > 0
    assert {item["split"] for item in items_of(tmp_path / "df") if item["id"] == "n00"} == {"test"}


def test_an_empty_cell_is_no_region_of_its_own(counties: Path, tmp_path: Path) -> None:
    table = tmp_path / "regions.csv"
    names = [path.stem for path in sorted(counties.glob("*/image/*.png"))]
    rows = [("id", "county"), *((name, "" if name.startswith("n") else name[:2]) for name in names)]
    with table.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    prepare(counties, tmp_path / "out", leave_out="each", groups=table, group_column="county")
    assert set(kinds(tmp_path / "out")) == {"region_df", "region_hz", "region_js"}


def test_regions_that_share_ground_still_cannot_part(counties: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"regions df0, n00 share ground"):
        prepare(counties, tmp_path / "out", leave_out="each", region_pattern=r"^(?:df\d|hz|js|n00)")


# ------------------------------------------------------------------------------------------ merging


def georeferenced(
    root: Path, name: str, seed: int, left_m: float, mask: Pixels, pixel_m: float = 10.0
) -> None:
    grid = Grid((pixel_m, 0.0, 300000.0 + left_m, 0.0, -pixel_m, 3800000.0), UTM)
    for folder, pixels in (("images", noise(seed, 64, 80).transpose(2, 0, 1)), ("masks", mask[None])):
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_raster(root / folder / f"{name}.tif", pixels, grid)


def test_masks_on_grids_that_fit_are_merged_and_the_others_named(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    georeferenced(raw, "a", 1, 0, marked(64, 80, left=55))
    georeferenced(raw, "b", 2, 400, marked(64, 80, top=40, left=20))  # 40 columns to the east
    georeferenced(raw, "half", 3, 605, marked(64, 80))  # upon b, by half a pixel beside it
    georeferenced(raw, "coarse", 4, -1500, marked(64, 80), pixel_m=20.0)  # upon a
    for number in range(3):
        georeferenced(raw, f"far{number}", 5 + number, 50000 + 5000 * number, marked(64, 80))
    prepared = prepare(raw, tmp_path / "out", merge_overlaps="union", shares=(1, 0, 0))

    def labels(name: str) -> Pixels:
        return np.asarray(read_mask_picture(tmp_path / f"out/train/masks/{name}.tif").bands[0], np.uint8)

    expected = marked(64, 80, left=55) // 255
    expected[40:55, 60:75] = 1
    assert (labels("a") == expected).all()
    assert (labels("b")[:, :40] == expected[:, 40:]).all()
    assert (labels("half") == marked(64, 80) // 255).all()
    unmerged = said(prepared, "were not merged")
    assert unmerged.startswith("3 pairs")
    assert "a - coarse, a - half, b - half" in unmerged
    assert said(prepared, "were changed").startswith("2 masks")
    (entry,) = [item for item in items_of(tmp_path / "out") if item["id"] == "a"]
    assert entry["merged"] == {"with": ["b"], "changed_pixels": 225}


def ground(seed: int, edge: int = 160) -> Any:
    """A landscape of blobs of many sizes."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((cells, cells, 3)), (edge, edge), interpolation=cv2.INTER_CUBIC)
        for cells in (4, 10, 25, 60)
    ]
    return np.clip(np.sum(layers, axis=0) * 64, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_and_its_changed_copy_stay_in_one_split(seed: int, tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / "raw", f"p{number}", ground(number), marked(160, 160))
    for name, turn in (("again", 25), ("once_more", 70)):
        matrix = cv2.getRotationMatrix2D((80, 80), turn, 1.3)
        copy: Any = cv2.warpAffine(ground(3), matrix, (160, 160), borderMode=cv2.BORDER_REFLECT)
        copy = cv2.convertScaleAbs(copy, alpha=0.8, beta=20)
        save(tmp_path / "raw", name, copy, marked(160, 160))
    found = prepare(tmp_path / "raw", tmp_path / "out", seed=seed, shares=(50, 25, 25))
    of = {item["id"]: item for item in items_of(tmp_path / "out")}
    same = [of[name] for name in ("p3", "again", "once_more")]
    assert len({item["split"] for item in same}) == 1
    assert len({item["group"] for item in same}) == 1
    assert "they stay in one split" in said(found, "show the same ground, changed")
    alone = prepare(tmp_path / "raw", tmp_path / "alone", seed=seed, shares=(50, 25, 25), overlaps=False)
    assert not any("same ground" in note for note in alone.notes)


def test_a_set_that_was_augmented_before_it_was_split_is_mended(tmp_path: Path) -> None:
    """What `check` advises for the reference's way of preparing: no copy is left in valid or test."""
    for number in range(12):
        split = ("train", "train", "train", "valid", "test")[number % 5]
        for copy, name in enumerate((f"p{number}", f"hflipped_p{number}", f"rotated_90_p{number}")):
            image, mask = ground(number), marked(160, 160)
            turned = (image, mask) if copy == 0 else (image[:, ::-1], mask[:, ::-1])
            if copy == 2:
                turned = np.rot90(image), np.rot90(mask)
            there = ("train", "valid", "test")[copy] if number % 2 else split
            save(tmp_path / "leaking" / there, name, *turned)
    found = check(tmp_path / "leaking")
    assert found.leaks
    (tmp_path / "groups.csv").write_text(groups_csv(found), encoding="utf-8")
    made = prepare(
        tmp_path / "leaking", tmp_path / "out", groups=tmp_path / "groups.csv", shares=(50, 25, 25)
    )
    items = items_of(tmp_path / "out")
    held_out = [item["id"] for item in items if item["split"] != "train"]
    assert held_out
    assert not [name for name in held_out if "_p" in name]
    assert [item["id"] for item in items if "_p" in item["id"]], "train keeps them"
    assert "augmented copies" in said(made, "left out")
    assert not check(tmp_path / "out").leaks
