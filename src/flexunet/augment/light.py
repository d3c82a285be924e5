"""Shadow and haze: a normalised image moves towards the dark or the bright end of its bands.

For 8-bit images the dark end is 0, so that a shadow multiplies the raw values.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.augmentation import HazeConfig, ShadowConfig
from .values import Image

_COARSE = 4  # sample pixels a pixel in which a shadow is drawn: its edge is soft
_KNOTS = 4  # of haze along each axis
_THINNEST = 0.4  # share of haze that is everywhere
_AIRLIGHT = 0.9  # place of the veil's own value between dark and bright
_CORNERS = (3, 7)  # of a shadow, at least and below


def draw_shadow(
    config: ShadowConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """The share of the light that is missing, float32 (H, W); None where no shadow falls."""
    happens, share, centre_x, centre_y, size, softness = rng.random(6)
    corners = int(rng.integers(*_CORNERS))
    turns, reaches = np.sort(rng.random(corners)), rng.uniform(0.4, 1.0, corners)
    if happens >= config.probability:
        return None
    height, width = (max(2, math.ceil(length / _COARSE)) for length in frame_hw)
    radius = (0.15 + 0.45 * size) * max(height, width)
    angles = 2 * math.pi * (turns + centre_x)
    points = np.stack([
        centre_x * width + radius * reaches * np.cos(angles),
        centre_y * height + radius * reaches * np.sin(angles),
    ], axis=-1)  # fmt: skip
    coarse = np.zeros((height, width), np.float32)
    darkest = config.strength[0] + share * (config.strength[1] - config.strength[0])
    cv2.fillPoly(coarse, [np.rint(points).astype(np.int32)], float(darkest))
    soft = cv2.GaussianBlur(coarse, (0, 0), (0.005 + 0.03 * softness) * max(height, width) + 0.3)
    return _enlarged(np.asarray(soft, np.float32), frame_hw, cv2.INTER_LINEAR)


def draw_haze(
    config: HazeConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """The veil's share, float32 (H, W), largest where it is thickest; None where the air is clear."""
    happens, share = rng.random(2)
    knots = rng.random((_KNOTS, _KNOTS), np.float32)
    if happens >= config.probability:
        return None
    thickest = config.strength[0] + share * (config.strength[1] - config.strength[0])
    knots = _THINNEST + (1 - _THINNEST) * knots / knots.max()
    return _enlarged(knots * np.float32(thickest), frame_hw, cv2.INTER_CUBIC)


def darken(image: Image, weight: NDArray[np.float32], low: NDArray[np.float32]) -> None:
    """In place: every band (C, H, W) towards its dark end `low` (C,)."""
    _lay_over(image, weight, low)


def veil(
    image: Image, weight: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> None:
    """In place: every band (C, H, W) towards one bright value between `low` and `high` (C,)."""
    _lay_over(image, weight, low + np.float32(_AIRLIGHT) * (high - low))


def _lay_over(image: Image, weight: NDArray[np.float32], value: NDArray[np.float32]) -> None:
    """x + w (value - x)"""
    step = np.empty_like(image[0])
    for band, level in zip(image, value, strict=True):
        np.subtract(level, band, out=step)
        step *= weight
        band += step


def _enlarged(coarse: NDArray[np.float32], frame_hw: tuple[int, int], method: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(coarse, frame_hw[::-1], interpolation=method), np.float32).clip(0, 1)
