"""Sharpening and brightening change raw values of the image only, within its data type."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import Augmenter
from flexunet.augment.values import brightened, develop, draw_curves, sharpened
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
    assert sharpened(pixels, 1.0).dtype == brightened(pixels, 1.2, 10).dtype == dtype
    bands = Bands(names=tuple("abcde"), mean=(0.0,) * 5, std=(1.0,) * 5)
    image, seen = Augmenter(config, bands, (20, 24), "resize")(
        pixels, labels, np.ones(labels.shape, np.bool_), rng
    )
    assert_array_equal(seen, labels)
    assert_allclose(image, brightened(sharpened(pixels, 1.0), 1.2, 10), rtol=1e-6)


def test_without_augmentation_values_are_normalised_and_nothing_else() -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (2, 9, 7)).astype(np.uint8)
    bands = Bands(names=("a", "b"), mean=(90.0, 100.0), std=(40.0, 50.0))
    assert_array_equal(develop(pixels, bands, None), bands.normalise(pixels))


@pytest.mark.parametrize(
    "settings",
    [
        {"contrast": 0.4, "brightness": 0.3, "colour": 0.2},
        {"brightening": {"probability": 1}, "gamma": {"probability": 1}},
        {"sharpening": {"probability": 1, "strength": 0.01}, "saturation": 0.5, "colour": 0.3},
    ],
)
def test_the_table_of_8_bit_images_gives_what_computing_each_pixel_gives(settings: dict[str, Any]) -> None:
    """The same values once as uint8, by table, and once as int16; none comes near the ends of 8 bit."""
    pixels = np.random.default_rng(4).integers(20, 200, (3, 31, 33)).astype(np.uint8)
    bands = Bands(names=tuple("abc"), mean=(90.0, 100.0, 110.0), std=(40.0, 50.0, 60.0))
    curves = draw_curves(AugmentConfig.model_validate(settings), 3, np.random.default_rng(1))
    each = develop(pixels.astype(np.int16), bands, curves)
    assert_allclose(develop(pixels, bands, curves), each, atol=1e-5)


def test_saturation_moves_bands_away_from_their_mean() -> None:
    image = np.random.default_rng(4).normal(size=(4, 9, 8)).astype(np.float32)
    bands = Bands(names=tuple("abcd"), dtype="float32", mean=(0.0,) * 4, std=(1.0,) * 4)
    config = AugmentConfig(saturation=0.4, contrast=0.3, brightness=0.2, colour=0.5)
    curves = draw_curves(config, 4, np.random.default_rng(8))
    grey = image.mean(0)
    saturated = grey + (1 + curves.saturation) * (image - grey)
    expected = saturated * (1 + curves.contrast) + curves.shifts[:, None, None]
    assert_allclose(develop(image, bands, curves), expected, atol=1e-5)


def test_gamma_by_hand() -> None:
    bands = Bands(names=("a",), mean=(100.0,), std=(50.0,))
    config = AugmentConfig.model_validate(
        {"gamma": {"probability": 1, "range": [2, 2]}, "contrast": 0, "brightness": 0, "colour": 0}
    )
    image = develop(
        np.array([[[0, 51, 255]]], np.uint8), bands, draw_curves(config, 1, np.random.default_rng(0))
    )
    assert_allclose(image * 50 + 100, [[[0, 255 * 0.2**2, 255]]], atol=1e-4)
