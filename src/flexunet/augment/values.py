"""Changes of values that leave every pixel in its place: of raw values, and of normalised ones."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.augmentation import AugmentConfig


def change_raw(pixels: NDArray[Any], config: AugmentConfig, rng: np.random.Generator) -> NDArray[Any]:
    """Raw values (C, H, W), sharpened and brightened as often as `config` says, of their own data type.

    Without either in `config` nothing is drawn from `rng`.
    """
    if config.sharpening is not None and rng.random() < config.sharpening.probability:
        pixels = sharpened(pixels, config.sharpening.strength)
    if config.brightening is not None and rng.random() < config.brightening.probability:
        pixels = brightened(pixels, config.brightening.factor, config.brightening.offset)
    return pixels


def sharpened(pixels: NDArray[Any], strength: float) -> NDArray[Any]:
    """x + strength * (8 x - its eight neighbours), within the range of the data type."""
    kernel = np.full((3, 3), -strength, np.float32)
    kernel[1, 1] = 1 + 8 * strength
    return np.stack([cv2.filter2D(band, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for band in pixels])


def brightened(pixels: NDArray[Any], factor: float, offset: float) -> NDArray[Any]:
    """x * factor + offset, rounded and kept within the range of the data type."""
    values = pixels * np.float32(factor) + np.float32(offset)
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        values = np.rint(values).clip(limits.min, limits.max)
    return np.asarray(values.astype(pixels.dtype))


def change_colour(image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator) -> None:
    """Change a normalised image float32 (C, H, W) in place.

    Per band: x * contrast + brightness + shift of the band, all in the unit of the normalised values, which
    is the band's standard deviation under `statistics` normalisation; saturation moves the bands away from
    their mean or towards it.
    """
    contrast, brightness, saturation = 2 * rng.random(3) - 1
    shifts = rng.standard_normal(len(image)).astype(np.float32) * np.float32(config.colour)
    if config.saturation and len(image) > 1:
        grey = image.mean(0)
        image -= grey
        image *= np.float32(1 + saturation * config.saturation)
        image += grey
    image *= np.float32(1 + contrast * config.contrast)
    image += (shifts + np.float32(brightness * config.brightness))[:, None, None]
