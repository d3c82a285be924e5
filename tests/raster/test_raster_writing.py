"""Written files are whole, readable by others, and say the same as the arrays."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from PIL import Image
from rasterio.errors import RasterioError

from flexunet.errors import RasterError
from flexunet.raster import (
    Grid,
    Window,
    create_raster,
    open_raster,
    write_labels_png,
    write_png,
    write_raster,
)
from flexunet.raster.writers import creating

COLOURS = [(0, 0, 0), (255, 0, 255), (12, 200, 30)]


@pytest.mark.parametrize("classes", [2, 3, 5, 17])
def test_a_label_png_holds_the_labels_and_shows_the_colours(classes: int, tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, classes, (9, 13), dtype=np.uint8)
    colours = [(i, 255 - i, 2 * i) for i in range(classes)]
    write_labels_png(tmp_path / "ö.png", labels, colours)
    picture = Image.open(tmp_path / "ö.png")
    assert picture.mode == "P"
    assert_array_equal(np.asarray(picture), labels)
    assert_array_equal(np.asarray(picture.convert("RGB")), np.asarray(colours, np.uint8)[labels])


def test_labels_without_a_colour_are_grey(tmp_path: Path) -> None:
    write_labels_png(tmp_path / "l.png", np.array([[0, 255]], np.uint8), COLOURS)
    picture = Image.open(tmp_path / "l.png")
    assert np.asarray(picture).tolist() == [[0, 255]]
    assert picture.convert("RGB").getpixel((1, 0)) == (128, 128, 128)


def test_two_classes_take_one_bit(tmp_path: Path) -> None:
    write_labels_png(tmp_path / "l.png", np.zeros((64, 64), np.uint8), COLOURS[:2])
    assert (tmp_path / "l.png").read_bytes()[24] == 1  # bit depth in the header


def test_a_picture_png_is_the_array(tmp_path: Path) -> None:
    rgb = np.random.default_rng(2).integers(0, 255, (5, 4, 3), dtype=np.uint8)
    write_png(tmp_path / "sub" / "a.png", rgb)
    assert_array_equal(np.asarray(Image.open(tmp_path / "sub" / "a.png")), rgb)
    with pytest.raises(ValueError, match="needs uint8 pixels, not float64"):
        write_png(tmp_path / "b.png", np.zeros((2, 2)))  # type: ignore[arg-type]


def test_a_class_raster_has_a_palette_nodata_and_grid(tmp_path: Path) -> None:
    labels = np.random.default_rng(2).integers(0, 3, (30, 40), dtype=np.uint8)
    grid = Grid((2.0, 0.0, 100.0, 0.0, -2.0, 900.0), rasterio.crs.CRS.from_epsg(32648).to_wkt())
    write_raster(tmp_path / "c.tif", labels, grid, nodata=255, colours=COLOURS)
    with rasterio.open(tmp_path / "c.tif") as raster:
        assert raster.colormap(1)[2] == (12, 200, 30, 255)
        assert raster.nodata == 255
        assert raster.crs.to_epsg() == 32648
        assert_array_equal(raster.read(1), labels)


def test_a_raster_written_by_windows_is_the_whole(tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).normal(size=(2, 300, 290)).astype(np.float32)
    with create_raster(tmp_path / "w.tif", (2, 300, 290), "float32", Grid()) as write:
        for row in (0, 256):
            window = Window(row, 0, min(256, 300 - row), 290)
            write(pixels[:, window.rows], window)
    with open_raster(tmp_path / "w.tif") as raster:
        assert_array_equal(raster.read(), pixels)


def stop_halfway(path: Path) -> None:
    with create_raster(path, (1, 9, 9), "uint8", Grid()) as write:
        write(np.zeros((1, 4, 9), np.uint8), Window(0, 0, 4, 9))
        raise RuntimeError("stopped")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_raster(tmp_path / "w.tif", np.ones((1, 4, 4), np.uint8), Grid())
    before = (tmp_path / "w.tif").read_bytes()
    with pytest.raises(RuntimeError, match="stopped"):
        stop_halfway(tmp_path / "w.tif")
    assert (tmp_path / "w.tif").read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["w.tif"]


def test_a_folder_in_the_way_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "there.tif").mkdir()
    with pytest.raises(RasterError, match=r"there\.tif: cannot be written: Is a directory"):
        write_raster(tmp_path / "there.tif", np.ones((1, 4, 4), np.uint8), Grid())


def test_a_full_disk_is_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    said = r"a\.tif: cannot be written: the disk is full: block 3 failed"
    with pytest.raises(RasterError, match=said), creating(tmp_path / "a.tif"):
        raise RasterioError("block 3 failed")


def test_windows_know_their_halo_and_refuse_nonsense() -> None:
    assert Window(2, 5, 10, 20).grown(3, 14, 26) == Window(0, 2, 14, 24)
    assert Window(2, 5, 10, 20).within(12, 25)
    assert not Window(2, 5, 10, 20).within(12, 24)
    for bad in [(-1, 0, 1, 1), (0, 0, 0, 1), (0, 0, 3, -2)]:
        with pytest.raises(ValueError, match="window"):
            Window(*bad)


def test_the_grid_of_a_part_starts_where_the_part_does() -> None:
    grid = Grid((2.0, 0.0, 100.0, 0.0, -2.0, 900.0), "wkt")
    assert grid.shifted(10, 5).transform == (2.0, 0.0, 110.0, 0.0, -2.0, 880.0)
    assert not Grid().is_georeferenced
