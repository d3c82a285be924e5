"""Resizing keeps means, places and missing pixels where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.data import PlainSampler, bring_to_size, fit_window, resize_labels, resize_pixels
from flexunet.data.resize import Sizing, reduce_labels

sides = st.integers(1, 40)
DTYPES = ("uint8", "uint16", "int16", "float32")


def picture(bands: int, height: int, width: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 200, (height, width, bands)).astype(dtype)
    return values.transpose(2, 0, 1)


# ------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([1, 2, 3, 4, 5, 7, 13]), st.sampled_from(DTYPES))
def test_every_size_band_count_and_type_goes_to_every_size(
    height: int, width: int, to_height: int, to_width: int, bands: int, dtype: str
) -> None:
    pixels = picture(bands, height, width, dtype)
    resized, valid = resize_pixels(pixels, np.ones((height, width), bool), (to_height, to_width))
    assert resized.shape == (bands, to_height, to_width)
    assert resized.dtype == dtype
    assert valid.all()
    assert float(resized.min()) >= float(pixels.min()) - 1
    assert float(resized.max()) <= float(pixels.max()) + 1


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(1, 4), st.integers(1, 4), st.integers(1, 9))
def test_shrinking_by_whole_factors_is_the_mean_of_the_blocks(
    height: int, width: int, down: int, across: int, bands: int
) -> None:
    pixels = picture(bands, height * down, width * across)
    resized, _ = resize_pixels(pixels, np.ones(pixels.shape[1:], bool), (height, width))
    blocks = pixels.reshape(bands, height, down, width, across).mean((2, 4))
    assert_allclose(resized, blocks, rtol=1e-4, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 99))
def test_missing_pixels_never_leak_into_their_neighbours(
    height: int, width: int, to_height: int, to_width: int, seed: int
) -> None:
    pixels = np.full((2, height, width), 50, np.float32)
    valid = np.random.default_rng(seed).random((height, width)) > 0.4
    pixels[:, ~valid] = 1e30
    resized, shown = resize_pixels(pixels, valid, (to_height, to_width))
    assert_allclose(resized[:, shown], 50, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.integers(2, 5))
def test_labels_are_never_mixed(height: int, width: int, to_height: int, to_width: int, count: int) -> None:
    labels = np.random.default_rng(1).integers(0, count, (height, width)).astype(np.uint8)
    labels[0, 0] = IGNORE_INDEX
    for way in (resize_labels, reduce_labels):
        resized = way(labels, (to_height, to_width))
        assert resized.shape == (to_height, to_width)
        assert set(np.unique(resized)) <= set(np.unique(labels))


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 600), st.integers(1, 600))
def test_a_fitted_picture_fills_one_side_and_keeps_its_aspect(
    height: int, width: int, frame_height: int, frame_width: int
) -> None:
    window = fit_window((height, width), (frame_height, frame_width))
    assert window.within(frame_height, frame_width)
    assert window.height == frame_height or window.width == frame_width
    scale = min(frame_height / height, frame_width / width)
    assert abs(window.height - height * scale) <= 1
    assert abs(window.width - width * scale) <= 1


# ------------------------------------------------------------------------------- single cases


def test_majority_wins_when_labels_shrink() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 1, 1, 2], [2, 2, 0, 0], [2, 2, 0, 0]], np.uint8)
    assert reduce_labels(labels, (2, 2)).tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("sizing", "kept"), [("resize", (0, 8, 0, 8)), ("fit", (2, 6, 0, 8)), ("crop", (1, 7, 0, 8))]
)
def test_padding_is_not_valid_and_ignored(sizing: Sizing, kept: tuple[int, int, int, int]) -> None:
    pixels = picture(3, 6, 12, "uint8") + np.uint8(1)
    labels = np.ones((6, 12), np.uint8)
    sized, sized_labels, valid = bring_to_size(pixels, labels, np.ones((6, 12), bool), (8, 8), sizing)
    inside = np.zeros((8, 8), bool)
    inside[kept[0] : kept[1], kept[2] : kept[3]] = True
    assert_array_equal(valid, inside)
    assert (sized[:, ~inside] == 0).all()
    assert_array_equal(sized_labels, np.where(inside, 1, IGNORE_INDEX))
    assert sized.shape == (3, 8, 8)


def test_a_crop_takes_the_centre_untouched() -> None:
    pixels = picture(2, 9, 11)
    sized, _, _ = bring_to_size(pixels, np.zeros((9, 11), np.uint8), np.ones((9, 11), bool), (3, 5), "crop")
    assert_array_equal(sized, pixels[:, 3:6, 3:8])


def test_a_sample_is_normalised_and_zero_without_data() -> None:
    bands = Bands(names=("a", "b"), mean=(10, 20), std=(2, 4))
    pixels = np.stack([np.full((4, 4), 14, np.int16), np.full((4, 4), 20, np.int16)])
    valid = np.ones((4, 4), bool)
    valid[1, 2] = False
    values, labels = PlainSampler(bands, (4, 4), "resize")(
        pixels, np.ones((4, 4), np.uint8), valid, np.random.default_rng()
    )
    assert values.dtype == np.float32
    assert values[0, 0, 0] == 2
    assert (values[1] == 0).all()
    assert values[0, 1, 2] == 0
    assert labels[1, 2] == IGNORE_INDEX


def test_fine_stripes_do_not_alias_when_they_shrink() -> None:
    stripes = np.zeros((1, 240, 240), np.uint8)
    stripes[:, :, ::2] = 255
    resized, _ = resize_pixels(stripes, np.ones((240, 240), bool), (96, 96))
    assert resized.std() < 40  # bilinear sampling alone gives stripes of full contrast
