"""Light, optics, sensor and storage change values only, of any bands and types; what is missing stays so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import Augmenter
from flexunet.augment.light import darken, draw_haze, draw_shadow
from flexunet.augment.sensor import add_noise, blur, compress, drop_bands
from flexunet.augment.values import limits
from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.config import (
    AugmentConfig,
    BandDropoutConfig,
    BlurConfig,
    HazeConfig,
    JpegConfig,
    NoiseConfig,
    ShadowConfig,
)

STILL: dict[str, Any] = {
    "hflip": 0, "vflip": 0, "turns": False, "rotation": 0, "scale": (1, 1), "aspect": 1, "shift": 0,
    "brightness": 0, "contrast": 0, "colour": 0,
}  # fmt: skip
EFFECTS: dict[str, dict[str, Any]] = {
    "gamma": {"probability": 1, "range": [1.5, 2]},
    "shadow": {"probability": 1},
    "haze": {"probability": 1},
    "blur": {"probability": 1, "sigma": [1, 1]},
    "noise": {"probability": 1, "deviation": [0.1, 0.1]},
    "jpeg": {"probability": 1, "quality": [20, 20]},
    "band_dropout": {"probability": 1},
}
ALL_AT_ONCE = {name: {**settings, "probability": 1} for name, settings in EFFECTS.items()}


def bands_of(count: int, dtype: str, mean: float = 100.0, std: float = 40.0) -> Bands:
    names = tuple(f"b{number}" for number in range(count))
    return Bands(names=names, dtype=dtype, mean=(mean,) * count, std=(std,) * count)


def picture(count: int, dtype: str, size: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (C, H, W), labels with an ignored corner, and valid with a hole of wild values."""
    rng = np.random.default_rng(count)
    pixels = rng.normal(100, 40, (count, size, size)).clip(0, 255).astype(dtype)
    labels = rng.integers(0, 2, (size, size)).astype(np.uint8)
    labels[:5, :5] = IGNORE_INDEX
    valid = np.ones((size, size), np.bool_)
    valid[20:30, 10:40] = False
    pixels[:, ~valid] = np.nan if dtype == "float32" else np.iinfo(dtype).max
    return pixels, labels, valid


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 13])
@pytest.mark.parametrize("effect", [*EFFECTS, "all"])
def test_any_bands_and_types_keep_labels_and_what_is_missing(effect: str, count: int, dtype: str) -> None:
    pixels, labels, valid = picture(count, dtype)
    settings = ALL_AT_ONCE if effect == "all" else {effect: EFFECTS[effect]}
    samples = [
        Augmenter(
            AugmentConfig.model_validate({**STILL, **more}), bands_of(count, dtype), (64, 64), "resize"
        )(pixels, labels, valid, np.random.default_rng(3))
        for more in ({}, settings, settings)
    ]
    (plain, _), (image, seen), (again, _) = samples
    assert_array_equal(seen, np.where(valid, labels, IGNORE_INDEX))
    assert_array_equal(image, again)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert (image[:, ~valid] == 0).all()
    assert (plain[:, ~valid] == 0).all()
    if effect != "band_dropout" or count > 1:
        assert not np.array_equal(plain, image)
    # nothing of the hole's wild values has come out of it
    assert np.abs(image).max() < 2.5 * np.abs(plain).max() + 1


def test_what_the_config_leaves_out_draws_nothing() -> None:
    """The whole draw of the default config, number by number: samples stay what they were."""
    pixels, labels, valid = picture(3, "uint8")
    for sizing, places in (("resize", 0), ("fit", 0), ("crop", 2)):
        rng, counted = np.random.default_rng(9), np.random.default_rng(9)
        Augmenter(AugmentConfig(), bands_of(3, "uint8"), (32, 32), sizing)(  # type: ignore[arg-type]
            pixels, labels, valid, rng
        )
        counted.random(10)  # flips, turns, zoom ...
        counted.random(places)
        counted.random(3)  # contrast, brightness, saturation
        counted.standard_normal(3)  # colour
        assert rng.bit_generator.state == counted.bit_generator.state


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_that_does_not_happen_changes_nothing(effect: str) -> None:
    pixels, labels, valid = picture(3, "uint16")
    never = {effect: {**EFFECTS[effect], "probability": 0}}
    with_it, without = (
        Augmenter(AugmentConfig.model_validate({**STILL, **more}), bands_of(3, "uint16"), (64, 64), "resize")(
            pixels, labels, valid, np.random.default_rng(1)
        )[0]
        for more in (never, {})
    )
    assert_array_equal(with_it, without)


# -------------------------------------------------------------------------------- one by one


def test_a_shadow_multiplies_the_raw_values_of_8_bit_images() -> None:
    bands = bands_of(2, "uint8")
    raw = np.random.default_rng(0).integers(0, 255, (2, 40, 50)).astype(np.uint8)
    image = bands.normalise(raw)
    weight = draw_shadow(ShadowConfig(probability=1, strength=(0.5, 0.5)), (40, 50), np.random.default_rng(2))
    assert weight is not None
    assert 0 < weight.max() <= 0.5
    assert 0.02 < (weight > 0.25).mean() < 0.9
    darken(image, weight, limits(bands, image)[0])
    assert_allclose(image * 40 + 100, raw * (1 - weight), atol=1e-3)


def test_haze_is_thickest_at_its_strength_and_everywhere() -> None:
    for seed in range(5):
        weight = draw_haze(
            HazeConfig(probability=1, strength=(0.4, 0.4)), (60, 80), np.random.default_rng(seed)
        )
        assert weight is not None
        assert weight.shape == (60, 80)
        assert 0.3 < weight.max() < 0.5
        assert weight.min() > 0.1


def test_blur_is_a_mean_of_neighbours_that_have_data() -> None:
    image = np.zeros((1, 21, 21), np.float32)
    image[0, 10, 10] = 1
    blur(image, None, BlurConfig(probability=1, sigma=(1, 1)), np.random.default_rng(0))
    assert image.sum() == pytest.approx(1, abs=1e-3)
    assert image[0, 10, 10] == pytest.approx(1 / (2 * np.pi), rel=0.05)
    even = np.full((2, 21, 21), 3.0, np.float32)
    valid = np.ones((21, 21), np.bool_)
    valid[:, 12:] = False
    even[:, ~valid] = -50
    blur(even, valid, BlurConfig(probability=1, sigma=(1.4, 1.4)), np.random.default_rng(0))
    assert_allclose(even[:, valid], 3, rtol=1e-5)


def test_noise_has_its_deviation_and_differs_by_band_and_place() -> None:
    image = np.zeros((3, 600, 500), np.float32)  # more pixels than the sequence has numbers
    add_noise(image, NoiseConfig(probability=1, deviation=(0.2, 0.2)), np.random.default_rng(4))
    assert_allclose(image.std((1, 2)), 0.2, rtol=0.02)
    assert_allclose(image.mean((1, 2)), 0, atol=0.002)
    assert np.abs(np.corrcoef(image.reshape(3, -1)) - np.eye(3)).max() < 0.02
    assert abs(np.corrcoef(image[0, :300].ravel(), image[0, 300:].ravel())[0, 1]) < 0.02


def test_jpeg_keeps_values_beyond_its_limits_and_reds_red() -> None:
    rng = np.random.default_rng(5)
    bands = bands_of(3, "uint16", mean=1000, std=200)
    image = np.zeros((3, 32, 32), np.float32)
    image[0] = 1.0  # a red surface: an even colour survives
    image[:, 8, 8] = 40.0
    before = image.copy()
    compress(image, JpegConfig(probability=1, quality=(95, 95)), *limits(bands, image), rng)
    assert image[0, 8, 8] > 35
    assert_allclose(image[:, 20:, 20:], before[:, 20:, 20:], atol=0.06)
    rough = rng.normal(0, 1, (4, 32, 32)).astype(np.float32)
    errors = []
    for quality in (95, 20):
        changed = rough.copy()
        compress(
            changed,
            JpegConfig(probability=1, quality=(quality, quality)),
            *limits(bands_of(4, "float32"), changed),
            np.random.default_rng(0),
        )
        errors.append(np.square(changed - rough).mean((1, 2)))
    assert (errors[1] > errors[0]).all()  # every band, the single fourth one too
    assert errors[1][3] > 10 * errors[0][3]


def test_band_dropout_leaves_at_least_one_band() -> None:
    lost = []
    for seed in range(60):
        image = np.ones((4, 3, 3), np.float32)
        drop_bands(image, BandDropoutConfig(probability=1, most=9), np.random.default_rng(seed))
        lost.append(int((image[:, 0, 0] == 0).sum()))
    assert set(lost) == {1, 2, 3}
    single = np.ones((1, 3, 3), np.float32)
    drop_bands(single, BandDropoutConfig(probability=1), np.random.default_rng(0))
    assert (single == 1).all()


def test_limits_come_from_the_sample_where_bands_have_no_statistics() -> None:
    bands = Bands(names=("a",), dtype="uint16", mean=(0.0,), std=(1.0,))
    image = np.random.default_rng(0).normal(5000, 100, (1, 50, 50)).astype(np.float32)
    low, high = limits(bands, image)
    assert low[0] == pytest.approx(4700, abs=20)
    assert high[0] == pytest.approx(5300, abs=20)
