"""Cutting a picture into windows and stitching them back is the identity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, tuples
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.prediction.blending import axis_weights, blend
from flexunet.prediction.tiles import tiled, whole

SIZES = tuples(integers(1, 90), integers(1, 90))
TILES = tuples(integers(1, 24), integers(1, 24))
HALOS = tuples(integers(0, 9), integers(0, 9))


@settings(deadline=None)  # a loaded machine is no fault
@given(size=SIZES, tile=TILES, halo=HALOS)
def test_stitching_untouched_tiles_gives_back_the_picture(
    size: tuple[int, int], tile: tuple[int, int], halo: tuple[int, int]
) -> None:
    picture = np.random.default_rng(0).random((2, *size), np.float32) + 0.5
    grid = tiled(*size, tile, halo)
    tiles = (picture[:, window.rows, window.cols] for window in grid)
    strips = list(blend(grid, tiles))
    assert_allclose(np.concatenate([strip for _, strip in strips], axis=1), picture, rtol=1e-5)
    heights = [strip.shape[1] for _, strip in strips]
    assert [row for row, _ in strips] == [sum(heights[:index]) for index in range(len(heights))]


@settings(deadline=None)
@given(size=SIZES, tile=TILES, halo=HALOS)
def test_windows_are_of_one_size_inside_the_picture_and_overlap_by_two_halos(
    size: tuple[int, int], tile: tuple[int, int], halo: tuple[int, int]
) -> None:
    grid = tiled(*size, tile, halo)
    windows = list(grid)
    assert len(windows) == len(grid)
    assert all(window.within(*size) for window in windows)
    expected = tuple(min(extent, t + 2 * h) for extent, t, h in zip(size, tile, halo, strict=True))
    assert {window.shape for window in windows} == {expected}
    for spans, margin in ((grid.rows, halo[0]), (grid.cols, halo[1])):
        assert all(a.stop - b.start >= 2 * margin for a, b in pairwise(spans))
        assert all(a.start < b.start for a, b in pairwise(spans))


@settings(deadline=None)
@given(length=integers(1, 300), tile=integers(1, 40), halo=integers(0, 30))
def test_weights_are_positive_and_sum_to_one(length: int, tile: int, halo: int) -> None:
    spans = tiled(length, 1, (tile, 1), (halo, 0)).rows
    total = np.zeros(length)
    for span, weight in zip(spans, axis_weights(spans, length), strict=True):
        assert (weight > 0).all()
        total[span.start : span.stop] += weight
    assert_allclose(total, 1, rtol=1e-6)


@settings(deadline=None)
@given(size=SIZES, tile=TILES, halo=HALOS)
def test_a_pixel_that_one_window_sees_is_untouched(
    size: tuple[int, int], tile: tuple[int, int], halo: tuple[int, int]
) -> None:
    grid = tiled(*size, tile, halo)
    seen = np.zeros(size, int)
    for window in grid:
        seen[window.rows, window.cols] += 1
    picture = np.random.default_rng(1).random((1, *size), np.float32)
    blended = np.concatenate(
        [strip for _, strip in blend(grid, (picture[:, w.rows, w.cols] for w in grid))], axis=1
    )
    assert_array_equal(blended[:, seen == 1], picture[:, seen == 1])


def test_the_seam_of_two_tiles_is_a_smooth_ramp() -> None:
    grid = tiled(1, 28, (1, 12), (0, 4))
    assert [(span.start, span.stop) for span in grid.cols] == [(0, 20), (8, 28)]
    left, right = np.zeros((1, 1, 20), np.float32), np.ones((1, 1, 20), np.float32)
    ((_, strip),) = blend(grid, [left, right])
    ramp = strip[0, 0]
    assert_array_equal(ramp[:8], 0)
    assert_array_equal(ramp[20:], 1)
    assert (np.diff(ramp[7:21]) > 0).all()
    assert_allclose(ramp, 1 - ramp[::-1], atol=1e-6)


def test_a_whole_image_is_a_scene_of_one_window() -> None:
    (window,) = whole(60, 40)
    assert (window.row, window.col, window.height, window.width) == (0, 0, 60, 40)
    tile = np.ones((2, 60, 40), np.float32)
    ((row, strip),) = blend(whole(60, 40), [tile])
    assert row == 0
    assert strip is tile


def test_only_a_strip_is_kept() -> None:
    grid = tiled(4000, 8, (8, 8), (2, 0))
    largest = max(
        strip.nbytes for _, strip in blend(grid, (np.zeros((2, *w.shape), np.float32) for w in grid))
    )
    assert largest <= 2 * 12 * 8 * 4


def test_impossible_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="impossible"):
        tiled(10, 10, (0, 5), (1, 1))
