"""From raw values to normalised ones, each pixel in its place: sharpening, then what a curve can do.

Brightening, normalisation, gamma, brightness, contrast and colour are curves, one for each band; 8-bit images
go through all of them by one table of 256 entries a band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..bands import Bands
from ..config.augmentation import AugmentConfig, BrighteningConfig

Image = NDArray[np.float32]

_USUAL_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Curves:
    """What was drawn for the values of one sample; applied by `develop`."""

    sharpening: float | None
    brightening: BrighteningConfig | None
    gamma: float | None
    contrast: float
    saturation: float
    shifts: NDArray[np.float32]
    """float32 (C,), in normalised values."""


def draw_curves(config: AugmentConfig, bands: int, rng: np.random.Generator) -> Curves:
    """Draw the values' changes; operations that `config` leaves out draw nothing."""
    sharpening = brightening = gamma = None
    if config.sharpening is not None and rng.random() < config.sharpening.probability:
        sharpening = config.sharpening.strength
    if config.brightening is not None and rng.random() < config.brightening.probability:
        brightening = config.brightening
    contrast, brightness, saturation = 2 * rng.random(3) - 1
    shifts = rng.standard_normal(bands).astype(np.float32) * np.float32(config.colour)
    shifts += np.float32(brightness * config.brightness)
    if config.gamma is not None:
        happens, share = rng.random(2)
        low, high = (math.log(end) for end in config.gamma.range)
        gamma = math.exp(low + share * (high - low)) if happens < config.gamma.probability else None
    return Curves(
        sharpening, brightening, gamma, contrast * config.contrast, saturation * config.saturation, shifts
    )


def develop(pixels: NDArray[Any], bands: Bands, curves: Curves | None) -> Image:
    """Raw values (C, H, W) of any type as normalised float32 (C, H, W), changed as was drawn."""
    if curves is None:
        return bands.normalise(pixels)
    if curves.sharpening is not None:
        pixels = sharpened(pixels, curves.sharpening)
    by_table = pixels.dtype == np.uint8
    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(len(pixels), 0)
    values: NDArray[Any] = levels if by_table else pixels
    if curves.brightening is not None:
        values = brightened(values, curves.brightening.factor, curves.brightening.offset)
    image = bands.normalise(values)
    if curves.gamma is not None:
        _change_gamma(image, curves.gamma, *limits(bands, image))
    image *= np.float32(1 + curves.contrast)
    image += curves.shifts[:, None, None]
    if by_table:
        image = _looked_up(pixels, image)
    if curves.saturation and len(image) > 1:
        _saturate(image, 1 + curves.saturation, curves.shifts)
    return image


def sharpened(pixels: NDArray[Any], strength: float) -> NDArray[Any]:
    """x + strength * (8 x - its eight neighbours), within the range of the data type."""
    kernel = np.full((3, 3), -strength, np.float32)
    kernel[1, 1] = 1 + 8 * strength
    sharp = np.empty_like(pixels)
    for band, out in zip(pixels, sharp, strict=True):
        out[:] = cv2.filter2D(band, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return sharp


def brightened(pixels: NDArray[Any], factor: float, offset: float) -> NDArray[Any]:
    """x * factor + offset, rounded and kept within the range of the data type."""
    values = pixels * np.float32(factor) + np.float32(offset)
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        values = np.rint(values).clip(limits.min, limits.max)
    return np.asarray(values.astype(pixels.dtype))


def limits(bands: Bands, image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The normalised values float32 (C,) that stand for dark and bright in each band.

    8 bit: its 0 and its 255. Other types: the mean and three standard deviations to either side; of the
    sample itself where the bands were normalised without statistics.
    """
    mean, std = np.asarray(bands.mean), np.asarray(bands.std)
    if bands.dtype == "uint8":
        return ((0 - mean) / std).astype(np.float32), ((255 - mean) / std).astype(np.float32)
    if mean.any():
        usual = np.full(len(bands), _USUAL_DEVIATIONS, np.float32)
        return -usual, usual
    moments = [cv2.meanStdDev(band) for band in image]
    middle = np.array([each[0].item() for each in moments], np.float32)
    wide = np.array([_USUAL_DEVIATIONS * each[1].item() for each in moments], np.float32)
    wide = np.maximum(wide, np.float32(1e-6))
    return middle - wide, middle + wide


def _change_gamma(image: Image, gamma: float, low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
    """In place: low + (high - low) u^gamma with u = (x - low) / (high - low); what is below low stays."""
    for band, dark, bright in zip(image, low, high, strict=True):
        share = (band - dark) / (bright - dark)
        raised = cv2.pow(np.maximum(share, 0), gamma)
        np.copyto(band, raised * (bright - dark) + dark, where=share > 0)


def _saturate(image: Image, factor: float, shifts: NDArray[np.float32]) -> None:
    """In place: bands move away from their mean by `factor`, as if `shifts` (C,) had come after that.

    With y = x + s the result is f x + (1 - f) mean(x) + s = f y + (1 - f) (mean(y) + s - mean(s)).
    """
    mean = image[0] / np.float32(len(image))
    for band in image[1:]:
        cv2.scaleAdd(band, 1 / len(image), mean, dst=mean)
    for band, shift in zip(image, (shifts - shifts.mean()).tolist(), strict=True):
        cv2.addWeighted(band, factor, mean, 1 - factor, (1 - factor) * shift, dst=band)


def _looked_up(pixels: NDArray[np.uint8], table: Image) -> Image:
    """uint8 (C, H, W) through float32 (C, 256, 1)."""
    image = np.empty(pixels.shape, np.float32)
    for band, levels, out in zip(pixels, table, image, strict=True):
        cv2.LUT(band, levels.ravel(), dst=out)
    return image
