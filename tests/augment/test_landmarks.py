"""Landmarks drawn on image and mask stay on each other to half a pixel, through every online operation."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexunet.augment import Augmenter, SampleMixer, Sizing
from flexunet.bands import Bands
from flexunet.config import AugmentConfig, MixConfig

STILL: dict[str, Any] = {
    "hflip": 0, "vflip": 0, "turns": False, "rotation": 0, "scale": [1, 1], "aspect": 1, "shift": 0,
    "brightness": 0, "contrast": 0, "colour": 0, "border": "ignore",
}  # fmt: skip
ALWAYS = {"probability": 1.0}
OPERATIONS: dict[str, dict[str, Any]] = {
    "flips": {"hflip": 0.5, "vflip": 0.5},
    "turns": {"turns": True},
    "angles": {"angles": [30, 77.5]},
    "rotation": {"rotation": 180},
    "scale": {"scale": [0.7, 1.4]},
    "aspect": {"aspect": 1.3},
    "shear": {"shear": 0.3},
    "shift": {"shift": 0.1},
    "resized_crop": {"resized_crop": {**ALWAYS, "edge": [0.6, 1.0]}},
    "perspective": {"perspective": {**ALWAYS, "strength": 0.15}},
    "deformation": {"deformation": ALWAYS},
    "distortion": {"distortion": {**ALWAYS, "strengths": [0.01, 0.02, 0.03]}},
    "lenses": {"lenses": [{**ALWAYS, "amount": 0.3}, {**ALWAYS, "amount": -0.3, "radius": 0.3}]},
    "colour": {"brightness": 0.2, "contrast": 0.2, "colour": 0.07, "saturation": 0.3},
    "sharpening": {"sharpening": {**ALWAYS, "strength": 0.1}},
    "brightening": {"brightening": ALWAYS},
    "gamma": {"gamma": ALWAYS},
    # deep shadows, thick haze and coarse blocks change where a flank crosses half the height, moving nothing
    "shadow": {"shadow": {**ALWAYS, "strength": [0.05, 0.05]}},
    "haze": {"haze": {**ALWAYS, "strength": [0.05, 0.05]}},
    "blur": {"blur": ALWAYS},
    "noise": {"noise": ALWAYS},
    "jpeg": {"jpeg": {**ALWAYS, "quality": [70, 90]}},
    "band_dropout": {"band_dropout": ALWAYS},
}
GEOMETRY = tuple(OPERATIONS)[: tuple(OPERATIONS).index("colour")]
OPERATIONS["all geometry"] = {
    name: value for operation in GEOMETRY for name, value in OPERATIONS[operation].items() if name != "angles"
}
CENTRES = [(52, 55), (60, 117), (108, 84)]
SIGMA = 9.0  # large enough that rounding to whole label pixels averages out along the outline


def landmarks(size_hw: tuple[int, int], dtype: str, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Landmark k is a bump of 200 in all bands; label k + 1 is where it is above 100."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    bumps = [
        np.exp(-((rows - row - offset) ** 2 + (columns - column + offset) ** 2) / (2 * SIGMA**2))
        for row, column in CENTRES
    ]
    pixels = np.rint(200 * np.stack([np.max(bumps, axis=0)] * 4)).astype(dtype)
    labels = np.zeros(size_hw, np.uint8)
    for number, bump in enumerate(bumps):
        labels[bump > 0.5] = number + 1
    return pixels, labels


def centre_of(weights: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / float(weights.sum())


def distances(image: np.ndarray, labels: np.ndarray) -> list[float]:
    """How far each landmark that is whole lies on the mask from where it lies on the image, along an axis."""
    found = []
    seen = labels != 255
    band = image[np.ptp(image, axis=(1, 2)).argmax()]  # one that has not been dropped
    for number in range(len(CENTRES)):
        here = labels == number + 1
        around = cv2.dilate(here.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        whole = here.sum() > 100 and not (around & (labels == 255)).any()
        border = around[0].any() or around[-1].any() or around[:, 0].any() or around[:, -1].any()
        if not whole or border:
            continue
        low, high = np.percentile(band[seen], 20), band[around].max()
        # the area above half the height, its edge pixels counted by how far they are above it
        area = (((band - low) / (high - low) - 0.5) / 0.2 + 0.5).clip(0, 1) * around
        found.append(float(np.abs(centre_of(area) - centre_of(here.astype(float))).max()))
    return found


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=6, deadline=None)
@given(
    sizing=st.sampled_from(["resize", "fit", "crop"]),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    offset=st.floats(0, 1),
    seed=st.integers(0, 9999),
)
def test_landmarks_stay_on_image_and_mask_alike(
    operation: str, sizing: Sizing, dtype: str, offset: float, seed: int
) -> None:
    pixels, labels = landmarks((160, 176), dtype, offset)
    bands = Bands(names=tuple("abcd"), dtype=dtype, mean=(20.0,) * 4, std=(50.0,) * 4)
    config = AugmentConfig.model_validate({**STILL, **OPERATIONS[operation]})
    image, moved = Augmenter(config, bands, (152, 160), sizing)(
        pixels, labels, np.ones(labels.shape, np.bool_), np.random.default_rng(seed)
    )
    found = distances(image, moved)
    # unchanged pictures measure up to 0.41, for labels are whole pixels; a shadow's edge bends one outline
    judged = sorted(found)[:-1] if operation == "shadow" else found
    assert all(distance <= 0.75 for distance in judged)
    if operation not in (*GEOMETRY, "all geometry"):
        assert len(found) >= 2  # an edge of the crop cuts one at most


@settings(max_examples=10, deadline=None)
@given(kind=st.sampled_from(["cutmix", "classmix", "copy_paste"]), seed=st.integers(0, 9999))
def test_landmarks_stay_together_through_mixing(kind: str, seed: int) -> None:
    first, second = landmarks((160, 176), "float32", 0.0), landmarks((160, 176), "float32", 7.5)
    mixer = SampleMixer(MixConfig.model_validate({kind: 1.0}))
    mixed = mixer(*first, lambda: (second[0] + 1, second[1]), np.random.default_rng(seed))
    shown = mixed.image.max(0) > 100
    edge = cv2.morphologyEx(shown.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not ((shown != (mixed.labels > 0)) & ~edge).any()
