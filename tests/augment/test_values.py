"""Sharpening and brightening change raw values of the image only, within its data type."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import Augmenter
from flexunet.augment.values import brightened, change_raw, sharpened
from flexunet.bands import Bands
from flexunet.config import AugmentConfig, BrighteningConfig, SharpeningConfig


def test_sharpening_by_hand() -> None:
    pixels = np.full((2, 5, 6), 10, np.int16)
    pixels[0, 2, 3] = 20
    sharp = sharpened(pixels, 0.5)
    assert sharp[0, 2, 3] == 20 + 0.5 * 8 * 10
    assert sharp[0, 1, 2] == 10 - 0.5 * 10
    assert_array_equal(sharp[1], 10)
    assert sharp.dtype == np.int16


def test_brightening_by_hand() -> None:
    assert_array_equal(brightened(np.array([[[0, 100, 250]]], np.uint8), 1.2, 10), [[[10, 130, 255]]])
    assert_array_equal(brightened(np.array([[[-5, 32760]]], np.int16), 2.0, -3), [[[-13, 32767]]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_values_stay_of_their_data_type_and_labels_in_place(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (5, 20, 24)).astype(dtype)
    labels = rng.integers(0, 3, (20, 24)).astype(np.uint8)
    config = AugmentConfig(
        hflip=0, vflip=0, turns=False, rotation=0, scale=(1, 1), aspect=1, shift=0,
        brightness=0, contrast=0, colour=0,
        sharpening=SharpeningConfig(probability=1), brightening=BrighteningConfig(probability=1),
    )  # fmt: skip
    assert change_raw(pixels, config, rng).dtype == dtype
    bands = Bands(names=tuple("abcde"), mean=(0.0,) * 5, std=(1.0,) * 5)
    image, seen = Augmenter(config, bands, (20, 24), "resize")(
        pixels, labels, np.ones(labels.shape, np.bool_), rng
    )
    assert_array_equal(seen, labels)
    assert_allclose(image, brightened(sharpened(pixels, 1.0), 1.2, 10), rtol=1e-6)


def test_nothing_configured_draws_nothing_and_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    before = rng.bit_generator.state
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert change_raw(pixels, AugmentConfig(), rng) is pixels
    assert rng.bit_generator.state == before
