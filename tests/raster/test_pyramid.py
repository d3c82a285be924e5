"""Overviews halve what is below them, whatever order the parts come in; the container moves no pixel."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers, sampled_from, tuples
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate

from flexunet.errors import RasterError
from flexunet.raster import Grid, Window
from flexunet.raster.cog import CogOfParts, class_layer, create_part, share_layer
from flexunet.raster.pyramid import halved
from flexunet.raster.tiff import join_levels

LABELS = class_layer(((0, 0, 0), (255, 0, 0), (0, 0, 255)), ("ground", "slide", "water"), 255)
SHAPES = tuples(integers(1, 2), integers(1, 9), integers(1, 9))


def squares(pixels: NDArray[Any]) -> list[tuple[tuple[int, ...], list[Any]]]:
    """Place and values of what each pixel at half the size is made of; an odd edge counts twice."""
    count, height, width = pixels.shape
    found: list[tuple[tuple[int, ...], list[Any]]] = []
    for band in range(count):
        for row in range(0, height, 2):
            for col in range(0, width, 2):
                rows, cols = (row, min(row + 1, height - 1)), (col, min(col + 1, width - 1))
                found.append(((band, row // 2, col // 2), [pixels[band, i, j] for i in rows for j in cols]))
    return found


@settings(deadline=None)
@given(pixels=SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=sampled_from((0, 1, 2, 255)))))
def test_classes_become_the_most_frequent_one_of_those_that_are_there(pixels: NDArray[np.uint8]) -> None:
    result = halved(pixels, LABELS)
    for place, values in squares(pixels):
        there = [value for value in values if value != 255]
        assert result[place] == (max(there, key=there.count) if there else 255)


@settings(deadline=None)
@given(pixels=SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=sampled_from((0, 7, 254, 255)))))
def test_shares_become_the_mean_of_those_that_are_there(pixels: NDArray[np.uint8]) -> None:
    stored = halved(pixels, share_layer(("p",) * len(pixels), half=False))
    shares = np.where(pixels == 255, np.nan, pixels / 254).astype(np.float32)
    floats = halved(shares, share_layer(("p",) * len(pixels), half=True))
    for place, values in squares(pixels):
        there = [int(value) for value in values if value != 255]
        if not there:
            assert stored[place] == 255
            assert np.isnan(floats[place])
            continue
        assert abs(stored[place] - np.mean(there)) <= 0.5
        assert_allclose(floats[place], np.mean(there) / 254, atol=1e-3)


def test_parts_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (1, 1300, 620), dtype=np.uint8)
    windows = [
        Window(0, 0, 700, 200),
        Window(700, 0, 600, 200),
        Window(0, 200, 500, 420),
        Window(500, 200, 800, 420),
    ]
    parts = [(tmp_path / f"part_{number}.tif", window) for number, window in enumerate(windows)]
    for path, window in parts:
        with create_part(path, LABELS, window.shape) as write:
            write(labels[:, window.rows, window.cols], Window(0, 0, *window.shape))
    written = set()
    for order in [*permutations(range(4))][::5]:
        out = tmp_path / "out" / f"map {order}.tif"
        with CogOfParts(out, LABELS, parts, (1300, 620), Grid()) as cog:
            for index in (*order, order[0]):
                cog.take(index)
            assert not out.exists()
            cog.finish(lambda: None)
        written.add(out.read_bytes())
    assert len(written) == 1
    assert cog_validate(out, quiet=True) == (True, [], [])
    assert sorted(tmp_path.glob("*.tif")) == [path for path, _ in parts]
    with rasterio.open(out) as raster:
        assert raster.overviews(1) == [2, 4]
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert_array_equal(raster.read(), labels)
    for level in (0, 1):
        labels = halved(labels, LABELS)
        with rasterio.open(out, overview_level=level) as raster:
            assert_array_equal(raster.read(), labels)
            assert raster.nodata == 255
            assert raster.colormap(1)[1][:3] == (255, 0, 0)


@pytest.mark.parametrize("big_levels", ["YES", "NO"])
@pytest.mark.parametrize("big", [True, False])
def test_big_and_classic_tiffs_hold_the_same(tmp_path: Path, big_levels: str, big: bool) -> None:
    rng = np.random.default_rng(1)
    levels = []
    for edge in (1000, 500):
        pixels = rng.random((2, edge, edge), np.float32)
        path = tmp_path / f"{edge}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=2, height=edge, width=edge, dtype="float32", tiled=True,
            blockxsize=512, blockysize=512, compress="deflate", predictor=3, interleave="pixel",
            BIGTIFF=big_levels, crs="EPSG:32648", transform=rasterio.Affine(2, 0, 1e5, 0, -2, 3e6),
        ) as target:  # fmt: skip
            target.write(pixels)
            target.set_band_description(2, "second")
        levels.append((path, pixels))
    out = tmp_path / "out.tif"
    join_levels([path for path, _ in levels], out, big=big)
    assert out.read_bytes()[2] == (43 if big else 42)
    assert cog_validate(out, quiet=True) == (True, [], [])
    with rasterio.open(out) as raster:
        assert_array_equal(raster.read(), levels[0][1])
        assert raster.crs.to_epsg() == 32648
        assert raster.transform[:6] == (2, 0, 1e5, 0, -2, 3e6)
        assert raster.descriptions == (None, "second")
    with rasterio.open(out, overview_level=0) as raster:
        assert_array_equal(raster.read(), levels[1][1])


def test_a_level_that_lacks_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(2).integers(0, 255, (1, 600, 600), dtype=np.uint8)
    profile = {"driver": "GTiff", "count": 1, "height": 600, "width": 600, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", blockxsize=512, blockysize=512, **profile) as target:
        target.write(noise)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(OSError, match=r"cut\.tif is not whole"):
        join_levels([path], tmp_path / "out.tif")


def test_a_part_that_cannot_be_read_is_a_fault_of_its_own_raster(tmp_path: Path) -> None:
    (tmp_path / "part.tif").write_bytes(b"II*\0 nothing more")
    parts = [(tmp_path / "part.tif", Window(0, 0, 30, 30))]
    with (
        CogOfParts(tmp_path / "map.tif", LABELS, parts, (30, 30), Grid()) as cog,
        pytest.raises(RasterError, match=r"map\.tif: cannot be written"),
    ):
        cog.take(0)
