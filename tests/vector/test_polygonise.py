"""Polygons traced strip by strip are those that GDAL finds in the whole raster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
import rasterio
import rasterio.features
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flexunet.vector import Polygons, Tracer, polygonise
from shared_data import SHARED, needs_shared

Labels = NDArray[np.uint8]
Ring = tuple[tuple[int, int], ...]
Found = list[tuple[int, Ring, tuple[Ring, ...]]]


def normal(ring: NDArray[Any]) -> Ring:
    """The same ring from its lowest vertex in its lower direction, whatever way it was written."""
    points = [(int(x), int(y)) for x, y in ring[:-1]]
    ways = []
    for way in (points, points[::-1]):
        lowest = min(way)
        ways += [tuple(way[i:] + way[:i]) for i, point in enumerate(way) if point == lowest]
    return min(ways)


def of_gdal(labels: Labels, skip: tuple[int, ...], connectivity: int) -> Found:
    found = []
    for geometry, value in rasterio.features.shapes(labels, connectivity=connectivity):
        if int(value) not in skip:
            outer, *holes = (normal(np.array(ring)) for ring in geometry["coordinates"])
            found.append((int(value), outer, tuple(sorted(holes))))
    return sorted(found)


def listed(batches: Iterator[Polygons]) -> Found:
    found = []
    for batch in batches:
        lines = batch.outlines
        for i, label in enumerate(batch.labels.tolist()):
            rings = [
                normal(lines.coordinates[lines.ring_offsets[r] : lines.ring_offsets[r + 1]])
                for r in range(lines.polygon_offsets[i], lines.polygon_offsets[i + 1])
            ]
            found.append((label, rings[0], tuple(sorted(rings[1:]))))
    return sorted(found)


def cut(labels: Labels, heights: list[int]) -> Iterator[tuple[int, Labels]]:
    row, turn = 0, 0
    while row < len(labels):
        height = heights[turn % len(heights)]
        yield row, labels[row : row + height]
        row, turn = row + height, turn + 1


@st.composite
def rasters(draw: st.DrawFn) -> Labels:
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    classes = draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (height, width)).astype(np.uint8)
    if draw(st.booleans()):
        labels[rng.random((height, width)) < 0.2] = 255
    return labels


@settings(max_examples=100, deadline=None)
@given(
    labels=rasters(),
    heights=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    skip=st.sampled_from([(), (0,), (255,), (0, 255)]),
    connectivity=st.sampled_from([4, 8]),
    block_pixels=st.integers(1, 80),
)
def test_any_cut_of_any_raster_gives_the_polygons_of_the_whole(
    labels: Labels, heights: list[int], skip: tuple[int, ...], connectivity: Literal[4, 8], block_pixels: int
) -> None:
    strips = cut(labels, heights)
    found = polygonise(strips, skip=skip, connectivity=connectivity, block_pixels=block_pixels)
    assert listed(found) == of_gdal(labels, skip, connectivity)


@settings(max_examples=40, deadline=None)
@given(labels=rasters(), block_pixels=st.integers(1, 80))
def test_touching_polygons_that_wait_for_each_other_are_still_the_same(
    labels: Labels, block_pixels: int
) -> None:
    tracer = Tracer(labels.shape[1], skip=(0,), together=True, block_pixels=block_pixels)
    batches = [*tracer.add(labels), *tracer.finish()]
    assert listed(iter(batches)) == of_gdal(labels, (0,), 4)
    corners = [{(x, y) for x, y in batch.outlines.coordinates.tolist()} for batch in batches]
    for i, some in enumerate(corners):
        assert not any(some & others for others in corners[i + 1 :]), "touching polygons in two batches"


def test_rings_within_rings_and_a_pinch_by_hand() -> None:
    picture = [
        "1111111",
        "1000001",
        "1011101",
        "1010101",
        "1011001",  # its hole is closed by a corner only
        "1000001",
        "1111111",
    ]
    labels = np.array([[int(c) for c in line] for line in picture], np.uint8)
    found = listed(polygonise(cut(labels, [1]), skip=(0,), block_pixels=1))
    outer, inner = found
    assert outer[1:] == (((0, 0), (0, 7), (7, 7), (7, 0)), (((1, 1), (1, 6), (6, 6), (6, 1)),))
    assert len(inner[1]) == 6
    assert inner[2] == (((3, 3), (3, 4), (4, 4), (4, 3)),)


def test_a_spiral_through_every_strip_is_one_polygon() -> None:
    labels = np.zeros((41, 41), np.uint8)
    row, col, step, turn = 20, 20, 2, 0
    while True:
        down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        end_row, end_col = row + down * step, col + right * step
        if not (0 <= end_row < 41 and 0 <= end_col < 41):
            break
        labels[min(row, end_row) : max(row, end_row) + 1, min(col, end_col) : max(col, end_col) + 1] = 1
        row, col, turn, step = end_row, end_col, turn + 1, step + 2 * (turn % 2)
    found = listed(polygonise(cut(labels, [1]), skip=(0,), block_pixels=41))
    assert len(found) == 1
    assert found == of_gdal(labels, (0,), 4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9000), (9000, 1), (3, 5000)])
def test_slender_rasters(shape: tuple[int, int]) -> None:
    labels = (np.random.default_rng(3).random(shape) < 0.4).astype(np.uint8)
    labels.flat[0] = 1
    assert listed(polygonise(cut(labels, [7]), skip=(0,), block_pixels=1000)) == of_gdal(labels, (0,), 4)


def test_all_256_labels_can_be_polygons() -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert listed(polygonise(cut(labels, [5]), block_pixels=32)) == of_gdal(labels, (), 4)


def test_polygons_come_out_as_soon_as_they_are_complete() -> None:
    labels = np.zeros((4000, 50), np.uint8)
    labels[5::10, 5::10] = 1
    tracer = Tracer(50, skip=(0,), block_pixels=500)
    done = 0
    for row in range(0, 4000, 10):
        done += sum(len(batch) for batch in tracer.add(labels[row : row + 10]))
        assert row // 10 * 5 <= done
    assert done + sum(len(batch) for batch in tracer.finish()) == 2000


def test_a_polygon_that_stays_open_does_not_keep_the_others() -> None:
    """Corners that are held grow with the open polygon, not with the many that it passes."""
    labels = np.zeros((3000, 64), np.uint8)
    labels[:, 0] = 1
    labels[1::3, 2::3] = 1
    tracer = Tracer(64, skip=(0,), block_pixels=64 * 10)
    most = 0
    for row in range(0, 3000, 10):
        list(tracer.add(labels[row : row + 10]))
        most = max(most, tracer._open.corner_count)
    assert most < 400


def test_values_of_pixels_are_gathered_across_strips() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random((60, 45)) < 0.6).astype(np.uint8)
    values = rng.random((60, 45)).astype(np.float32)
    values[rng.random((60, 45)) < 0.1] = np.nan
    tracer = Tracer(45, skip=(0,), layers=("v",), block_pixels=100)
    batches = []
    for row in range(0, 60, 7):
        batches += list(tracer.add(labels[row : row + 7], {"v": values[row : row + 7]}))
    batches += list(tracer.finish())
    seen = 0
    for batch in batches:
        lines, layer = batch.outlines, batch.objects.layers["v"]
        for i in range(len(batch)):
            rings = [
                lines.coordinates[lines.ring_offsets[r] : lines.ring_offsets[r + 1]].tolist()
                for r in range(lines.polygon_offsets[i], lines.polygon_offsets[i + 1])
            ]
            shape = {"type": "Polygon", "coordinates": rings}
            inside = rasterio.features.rasterize([shape], labels.shape).astype(bool)
            mine = np.where(inside, values, np.nan).ravel().astype(np.float64)
            known = np.isfinite(mine)
            assert batch.objects.pixels[i] == inside.sum()
            assert layer.counts[i] == known.sum()
            if known.any():
                np.testing.assert_allclose(layer.means[i], mine[known].mean(), rtol=1e-12)
                assert layer.highest_at[i] == np.nanargmax(mine)
                assert layer.lowest_at[i] == np.nanargmin(mine)
                assert layer.highest[i] == np.nanmax(mine)
            seen += 1
    assert seen == len(of_gdal(labels, (0,), 4))


@needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "uav-scene/landslide_mask.tif",
        "terrain/landcover.tif",
        "sentinel/sen1floods11/Spain_7370579_LabelHand.tif",
    ],
)
@pytest.mark.parametrize("connectivity", [4, 8])
def test_real_masks(name: str, connectivity: Literal[4, 8]) -> None:
    with rasterio.open(SHARED / "data" / name) as source:
        labels = source.read(1)[:2000, :2000].astype(np.uint8)
    found = polygonise(cut(labels, [100]), connectivity=connectivity, block_pixels=labels.shape[1] * 37)
    assert listed(found) == of_gdal(labels, (), connectivity)


def test_strips_have_to_follow_each_other() -> None:
    with pytest.raises(ValueError, match="the next strip starts at row 2, not 3"):
        list(polygonise([(0, np.zeros((2, 4), np.uint8)), (3, np.zeros((2, 4), np.uint8))]))
