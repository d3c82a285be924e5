"""Crops that favour rare classes lie on pixels of them, inside the picture, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from flexunet.augment import Augmenter
from flexunet.augment.geometry import draw_rare_pixel
from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.config import AugmentConfig

BANDS = Bands(names=("row", "column"), dtype="float32", mean=(0.0, 0.0), std=(1.0, 1.0))
CROP = 32


def scene(height: int = 300, width: int = 400) -> np.ndarray:
    """Background, a patch of class 1 in a corner, a speck of class 2, and ignored rows."""
    labels = np.zeros((height, width), np.uint8)
    labels[10:40, 10:40] = 1
    labels[200:206, 300:306] = 2
    labels[-50:] = IGNORE_INDEX
    return labels


def crops(rare_crop: float, count: int = 60) -> list[np.ndarray]:
    labels = scene()
    pixels = np.indices(labels.shape).astype(np.float32)
    config = AugmentConfig.model_validate({
        "rare_crop": rare_crop, "hflip": 0, "vflip": 0, "turns": False, "rotation": 0, "scale": [1, 1],
        "aspect": 1, "shift": 0, "brightness": 0, "contrast": 0, "colour": 0,
    })  # fmt: skip
    augmenter = Augmenter(config, BANDS, (CROP, CROP), "crop")
    everywhere = np.ones(labels.shape, np.bool_)
    seen = []
    for seed in range(count):
        image, shown = augmenter(pixels, labels, everywhere, np.random.default_rng(seed))
        row, column = image[:, 0, 0].astype(int)
        assert 0 <= row <= 300 - CROP
        assert 0 <= column <= 400 - CROP
        np.testing.assert_array_equal(shown, labels[row : row + CROP, column : column + CROP])
        seen.append(shown)
    return seen


def test_rare_classes_are_seen_as_often_as_they_are_asked_for() -> None:
    def share(label: int, seen: list[np.ndarray]) -> float:
        return float(np.mean([(shown == label).any() for shown in seen]))

    anywhere, always = crops(0.0), crops(1.0)
    assert share(2, anywhere) < 0.1
    assert share(2, always) > 0.8  # 36 pixels against 900 and 99 000
    assert share(1, always) < 0.2
    assert 0.25 < share(2, crops(0.5, 100)) < 0.75


def test_no_probability_draws_nothing_and_the_draw_repeats() -> None:
    labels, rng = scene(), np.random.default_rng(0)
    before = rng.bit_generator.state
    assert draw_rare_pixel(labels, 0.0, rng) is None
    assert rng.bit_generator.state == before
    twice = [draw_rare_pixel(labels, 1.0, np.random.default_rng(4)) for _ in "ab"]
    assert twice[0] == twice[1] is not None


@pytest.mark.parametrize("shape", [(5000, 40), (40, 5000), (2100, 2100), (1, 3000)])
def test_large_and_narrow_pictures_give_pixels_of_their_own(shape: tuple[int, int]) -> None:
    labels = np.zeros(shape, np.uint8)
    labels[:, shape[1] // 2 :] = 1
    labels[0, 0] = 2
    for seed in range(20):
        found = draw_rare_pixel(labels, 1.0, np.random.default_rng(seed))
        assert found is not None
        assert 0 < found[0] < shape[1]
        assert 0 < found[1] < shape[0]


def test_nothing_labelled_leaves_the_place_to_chance() -> None:
    labels = np.full((50, 50), IGNORE_INDEX, np.uint8)
    assert draw_rare_pixel(labels, 1.0, np.random.default_rng(0)) is None
