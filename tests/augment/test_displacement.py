"""Deformation, distortion and lenses move image and labels alike, as far as their numbers say."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import Augmenter
from flexunet.augment.displacement import deformation, distortion, draw_displacement, lens
from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.config import AugmentConfig, DeformationConfig, DistortionConfig, LensConfig

STILL: dict[str, Any] = {
    "hflip": 0, "vflip": 0, "turns": False, "rotation": 0, "scale": (1, 1), "aspect": 1, "shift": 0,
    "brightness": 0, "contrast": 0, "colour": 0,
}  # fmt: skip
OPERATIONS: dict[str, dict[str, Any]] = {
    "deformation": {"deformation": {"probability": 1}},
    "distortion": {"distortion": {"probability": 1, "strengths": [0.05]}},
    "barrel": {
        "lenses": [{"probability": 1, "radius": 0.3, "amount": 0.3, "centres": [[0.3, 0.3], [0.6, 0.5]]}]
    },
    "pincushion": {"lenses": [{"probability": 1, "amount": -0.3}]},
}  # fmt: skip
OPERATIONS["all"] = {
    name: value
    for operation in (OPERATIONS["deformation"], OPERATIONS["distortion"], OPERATIONS["barrel"])
    for name, value in operation.items()
}
RAW = Bands(names=("grey",), mean=(0.0,), std=(1.0,))


def augmenter(size_hw: tuple[int, int] = (128, 128), **settings: Any) -> Augmenter:
    return Augmenter(AugmentConfig.model_validate({**STILL, **settings}), RAW, size_hw, "resize")


def landscape(height: int = 160, width: int = 160) -> np.ndarray:
    """A two-class mask of smooth blobs."""
    noise = np.random.default_rng(3).normal(size=(height, width))
    return (cv2.GaussianBlur(noise, (0, 0), 14) > 0).astype(np.uint8)


@pytest.mark.parametrize("settings", OPERATIONS.values(), ids=OPERATIONS)
def test_the_mask_moves_with_its_image_and_the_same_seed_moves_both_alike(settings: dict[str, Any]) -> None:
    labels = landscape()
    pixels, everywhere = labels[None] * np.uint8(100), np.ones(labels.shape, np.bool_)
    draw = augmenter(**settings)
    image, moved = draw(pixels, labels, everywhere, np.random.default_rng(5))
    kernel = np.ones((3, 3), np.uint8)
    certain = cv2.erode(moved, kernel) == cv2.dilate(moved, kernel)
    assert not (((image[0] > 50) != (moved == 1)) & certain).any()
    still = augmenter()(pixels, labels, everywhere, np.random.default_rng(5))[1]
    assert 0.01 < (moved != still).mean() < 0.3
    again = draw(pixels, labels, everywhere, np.random.default_rng(5))
    assert_array_equal(again[0], image)
    assert_array_equal(again[1], moved)


@pytest.mark.parametrize("border", ["reflect", "ignore"])
def test_what_is_missing_or_unlabelled_stays_so_where_it_moves_to(border: str) -> None:
    labels = landscape()
    unlabelled = np.zeros(labels.shape, np.bool_)
    unlabelled[30:60, 20:90] = True
    valid = np.ones(labels.shape, np.bool_)
    valid[100:140, 60:150] = False
    labels[unlabelled] = IGNORE_INDEX
    # the value of a pixel tells what it is, apart from the pixels between
    pixels = np.where(unlabelled, 200, np.where(labels == 1, 100, 1))[None].astype(np.float32)
    image, moved = augmenter(**OPERATIONS["all"], border=border)(
        pixels, labels, valid, np.random.default_rng(8)
    )
    assert (moved[image[0] > 190] == IGNORE_INDEX).all()
    assert (moved[image[0] == 0] == IGNORE_INDEX).all()
    share = (~valid).mean()
    assert 0.5 * share < (image[0] == 0).mean() < 3 * share
    assert set(np.unique(moved)) == {0, 1, IGNORE_INDEX}


def test_no_displacement_is_the_affine_warp() -> None:
    labels = landscape(90, 131)
    pixels = np.random.default_rng(0).integers(0, 255, (1, *labels.shape)).astype(np.uint8)
    affine: dict[str, Any] = {**STILL, "hflip": 1, "angles": (30,), "scale": (1.3, 1.3)}
    flat = {"lenses": [{"probability": 1, "amount": 0.0}]}
    everywhere = np.ones(labels.shape, np.bool_)
    by_affine = augmenter((64, 96), **affine)(pixels, labels, everywhere, np.random.default_rng(1))
    by_places = augmenter((64, 96), **affine, **flat)(pixels, labels, everywhere, np.random.default_rng(1))
    assert_allclose(by_places[0], by_affine[0], atol=8)  # OpenCV counts 1/32 pixels in both, rounded apart
    assert (by_places[1] != by_affine[1]).mean() < 0.002


def test_nothing_configured_draws_nothing() -> None:
    rng = np.random.default_rng(2)
    before = rng.bit_generator.state
    assert draw_displacement(AugmentConfig(), (32, 32), rng) is None
    assert rng.bit_generator.state == before


def test_an_operation_happens_as_often_as_its_probability() -> None:
    config = AugmentConfig(
        deformation=DeformationConfig(probability=0.25, sigmas=(4, 8)),
        lenses=(LensConfig(probability=0.25),),
    )
    rng = np.random.default_rng(0)
    moved = sum(draw_displacement(config, (16, 16), rng) is not None for _ in range(400))
    assert moved / 400 == pytest.approx(1 - 0.75**2, abs=0.08)


@pytest.mark.parametrize("sigma", [1.5, 8.0, 16.0])
def test_deformation_moves_as_far_as_three_axes_of_smoothing_leave(sigma: float) -> None:
    """The reference's filter, along all three axes of noise (H, W, 3), done in full."""
    rng = np.random.default_rng(4)
    weights = [math.exp(-(k**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi)) for k in (-1, 0, 1)]

    def in_full() -> np.ndarray:
        noise = rng.uniform(-1, 1, (420, 400, 3)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), sigma) @ np.array(weights, np.float32)
        return 1300 * smooth[60:-60, 60:-60]

    expected = math.sqrt(np.mean([np.square(in_full()).mean() for _ in range(8)]))
    drawn = [deformation((300, 280), 1300, sigma, rng) for _ in range(8)]
    assert math.sqrt(np.square(drawn).mean()) == pytest.approx(expected, rel=0.15)


def test_neighbours_are_as_alike_as_the_gaussian_says() -> None:
    sigma = 8.0
    moved = deformation((600, 600), 1300, sigma, np.random.default_rng(9))[..., 0]
    for lag in (4, 8, 16):
        alike = np.corrcoef(moved[:, lag:].ravel(), moved[:, :-lag].ravel())[0, 1]
        assert alike == pytest.approx(math.exp(-(lag**2) / (4 * sigma**2)), abs=0.06)


def test_distortion_reaches_its_strength_along_both_axes() -> None:
    moved = distortion((100, 200), 0.03, 12.0, np.random.default_rng(1))
    assert_allclose(np.abs(moved).max((0, 1)), [6.0, 3.0], rtol=1e-5)


def test_distortion_follows_a_gradient() -> None:
    """The field of a gradient has no rotation: d(dx)/dy = d(dy)/dx, once both have one scale."""
    moved = distortion((256, 256), 0.03, 24.0, np.random.default_rng(1))[8:-8, 8:-8]
    across, down = np.gradient(moved[..., 0], axis=0), np.gradient(moved[..., 1], axis=1)
    assert np.corrcoef(across.ravel(), down.ravel())[0, 1] > 0.95


def test_a_lens_by_hand() -> None:
    moved = lens((20, 40), LensConfig(radius=0.25, amount=2.0, centres=((0.5, 0.5),)))
    # pixel (10, 23): 3.5 right of and 0.5 below the centre (20, 10), radius 10
    distance = math.hypot(3.5, 0.5)
    factor = math.sin(math.pi * distance / 20) ** 2
    assert_allclose(moved[10, 23], [3.5 * (factor - 1), 0.5 * (factor - 1)], rtol=1e-5)
    assert_array_equal(moved[:, :9], 0)


def test_each_lens_sees_what_the_one_before_shows() -> None:
    centres = ((0.4, 0.5), (0.6, 0.5))
    both = lens((64, 64), LensConfig(radius=0.3, amount=0.5, centres=centres))
    first, second = (lens((64, 64), LensConfig(radius=0.3, amount=0.5, centres=(c,))) for c in centres)
    columns, rows = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(64, dtype=np.float32))
    x, y = columns + second[..., 0], rows + second[..., 1]
    x, y = (
        x + cv2.remap(first[..., 0].copy(), x, y, cv2.INTER_LINEAR),
        y + cv2.remap(first[..., 1].copy(), x, y, cv2.INTER_LINEAR),
    )
    assert_allclose(both[..., 0], x - columns, atol=0.15)
    assert_allclose(both[..., 1], y - rows, atol=0.15)


def test_empty_choices_are_refused() -> None:
    for model, field in ((DeformationConfig, "sigmas"), (DistortionConfig, "strengths")):
        with pytest.raises(ValueError, match="at least 1"):
            model.model_validate({field: []})
