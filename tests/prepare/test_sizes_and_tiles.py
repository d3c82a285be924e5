"""Pictures are resized whole, then cut: tiles have the edge that was asked for."""

import json
from functools import partial
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import cv2
import numpy as np
import pytest

from flexunet.errors import DataError
from flexunet.prepare import prepare
from flexunet.prepare.resized_pictures import Kept
from flexunet.raster import Grid, read_mask_picture, read_picture, write_raster

SIZES = [(64, 80), (100, 90), (48, 48), (70, 70), (96, 96), (60, 120)]


def save(root: Path, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    for folder, pixels in (("images", image), ("masks", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / folder / f"{name}.png"), pixels)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for n, size_hw in enumerate(SIZES):
        image = np.random.default_rng(n).integers(1, 256, (*size_hw, 3), dtype=np.uint8)
        mask = np.zeros(size_hw, np.uint8)
        mask[10:30, 5 : 20 + n] = 255
        save(tmp_path / "raw", f"p{n}", image, mask)
    return tmp_path / "raw"


def items_of(folder: Path) -> list[dict[str, Any]]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    items: list[dict[str, Any]] = manifest["items"]
    return items


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("workers", [1, 4])
def test_tiles_are_cut_from_the_resized_picture(workers: int, raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", size=(96, 128), tile=48, augment=("hflip",), workers=workers)
    prepare(raw, tmp_path / "whole", size=(96, 128), masks="index")
    whole = {item["id"]: item for item in items_of(tmp_path / "whole")}
    tiles = [item for item in items_of(tmp_path / "out") if "parent" not in item]
    assert len(tiles) == 2 * 3 * len(SIZES)
    for tile in tiles:
        row, col, height, width = tile["window"]
        assert (height, width, tile["height"], tile["width"]) == (48, 48, 48, 48)
        assert tile["window_of"] == [96, 128]
        place = (..., slice(row, row + 48), slice(col, col + 48))
        entry = whole[tile["source_id"]]
        expected = read_picture(tmp_path / "whole" / entry["image"]["file"]).pixels[place]
        assert (read_picture(tmp_path / "out" / tile["image"]["file"]).pixels == expected).all()
        labels = read_mask_picture(tmp_path / "whole" / entry["mask"]["file"]).bands[0][place]
        assert (read_mask_picture(tmp_path / "out" / tile["mask"]["file"]).bands[0] == labels).all()
        assert tile["object_share"] == pytest.approx((labels == 1).mean(), abs=1e-6)
    prepare(raw, tmp_path / "again", size=(96, 128), tile=48, augment=("hflip",), workers=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_only_pictures_that_are_too_small_are_enlarged_before_they_are_cut(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", min_side=60, tile=40)
    enlarged = {item["source_id"]: item.get("window_of") for item in items_of(tmp_path / "out")}
    assert enlarged == {f"p{n}": [60, 60] if n == 2 else None for n in range(len(SIZES))}
    assert {(item["height"], item["width"]) for item in items_of(tmp_path / "out")} == {(40, 40)}


def test_shared_ground_of_resized_pictures_is_found_and_blocks_of_it_refused(
    raw: Path, tmp_path: Path
) -> None:
    ground = np.random.default_rng(9).integers(1, 256, (64, 120, 3), dtype=np.uint8)
    for name, left in (("left", 0), ("right", 31)):
        save(raw, name, ground[:, left : left + 80], np.full((64, 80), 255, np.uint8))
    choice: dict[str, Any] = {"size": (96, 96), "tile": 48}
    prepared = prepare(raw, tmp_path / "out", **choice)
    assert any(note.startswith("1 pairs of pictures share ground pixel for pixel") for note in prepared.notes)
    found = {item["split"] for item in items_of(tmp_path / "out") if item["source_id"] in ("left", "right")}
    assert len(found) == 1
    with pytest.raises(DataError, match=r"--blocks: left and right share pixels.*Leave out --size"):
        prepare(raw, tmp_path / "blocks", blocks=48, **choice)


def test_missing_pixels_and_coordinates_follow_the_resizing(tmp_path: Path) -> None:
    from flexunet.vector.libraries import pyproj

    grid = Grid((10.0, 0.0, 300000.0, 0.0, -10.0, 3800000.0), pyproj.CRS.from_epsg(32643).to_wkt())
    pixels = np.full((1, 60, 60), 500, np.float32)
    pixels[0, 10:12, 10:12] = -9999
    for folder, plane in (("images", pixels), ("masks", (pixels > 0).astype(np.uint8))):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        write_raster(tmp_path / "raw" / folder / "s.tif", plane, grid)
    prepare(tmp_path / "raw", tmp_path / "out", size=(120, 120), tile=60, shares=(1, 0, 0))
    items = items_of(tmp_path / "out")
    assert [item["transform"] for item in items] == [
        [5.0, 0.0, 300000.0 + x, 0.0, -5.0, 3800000.0 - y] for y in (0, 300) for x in (0, 300)
    ]
    assert [item.get("missing_found") for item in items] == [["-9999"], None, None, None]
    for item in items:
        picture = read_picture(tmp_path / "out" / item["image"]["file"])
        assert (picture.pixels[0][picture.valid] == 500).all(), "a mark bleeds into its neighbours"
        assert picture.grid.transform == tuple(item["transform"])


def test_pictures_too_large_to_be_held_whole_are_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p0\.png: would be resized to 5000x4000 pixels.*second prepare"):
        prepare(raw, tmp_path / "out", size=(4000, 5000), tile=512)


def test_what_is_kept_is_made_once_for_all_threads_and_a_fault_reaches_each() -> None:
    made: list[str] = []
    kept: Kept[int] = Kept(2)

    def make(key: str) -> int:
        made.append(key)
        return len(key)

    together = Barrier(4)

    def ask() -> None:
        together.wait()
        assert kept.of("abc", partial(make, "abc")) == 3

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["abc"]
    for key in ("b", "c", "abc"):
        kept.of(key, partial(make, key))
    assert made == ["abc", "b", "c", "abc"], "two are kept, the oldest goes"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            kept.of("d", lambda: 1 // 0)
