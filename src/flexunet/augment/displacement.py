"""Displacements of single pixels: elastic deformation, slow distortion, lenses.

A displacement is float32 (H, W, 2): a pixel of the sample shows what stands at its own centre plus (x, y), in
pixels of the sample. Displacements that are drawn together are added up and become part of the one warp that
image, valid mask and labels go through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.augmentation import AugmentConfig, LensConfig

Displacement = NDArray[np.float32]

_KNOTS_A_SIGMA = 2  # a Gaussian is smooth enough to be drawn this coarsely and interpolated
_MARGIN_IN_SIGMAS = 3  # noise beyond the sample that its edge still feels
_UNIFORM_DEVIATION = 1 / math.sqrt(3)  # of the uniform distribution on -1 .. 1


def draw_displacement(
    config: AugmentConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> Displacement | None:
    """Draw the displacement of one sample; None where nothing moves single pixels.

    Without deformation, distortion and lenses in `config` nothing is drawn from `rng`.
    """
    parts: list[Displacement] = []
    if config.deformation is not None:
        sigma = _one_of(config.deformation.sigmas, config.deformation.probability, rng)
        if sigma is not None:
            parts.append(deformation(frame_hw, config.deformation.alpha, sigma, rng))
    if config.distortion is not None:
        strength = _one_of(config.distortion.strengths, config.distortion.probability, rng)
        if strength is not None:
            parts.append(distortion(frame_hw, strength, config.distortion.sigma, rng))
    parts += [lens(frame_hw, each) for each in config.lenses if rng.random() < each.probability]
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = np.asarray(cv2.add(total, part), np.float32)
    return total


def deformation(
    frame_hw: tuple[int, int], alpha: float, sigma: float, rng: np.random.Generator
) -> Displacement:
    """Elastic deformation: alpha times uniform noise on -1 .. 1, smoothed by a Gaussian, for x and y apart.

    Simard et al. 2003, section 2. The reference draws noise of the shape (H, W, 3) and smooths it along all
    three axes, which weakens it; an image deformed here moves as far as one does there.
    """
    third_axis = sum(_gaussian(offset, sigma) ** 2 for offset in (-1, 0, 1))
    deviation = alpha * _UNIFORM_DEVIATION / (2 * sigma * math.sqrt(math.pi)) * math.sqrt(third_axis)
    knots = [_smooth_noise(frame_hw, sigma, rng, lambda knots: knots) for _ in "xy"]
    return _upsampled(np.asarray(cv2.merge(knots), np.float32) * np.float32(deviation), frame_hw)


def distortion(
    frame_hw: tuple[int, int], strength: float, sigma: float, rng: np.random.Generator
) -> Displacement:
    """Displacement along the gradient of Gaussian-smoothed noise, at most `strength` of width and height.

    The reference's `distortion`, with one field for image and mask where it draws two.
    """
    knots = cv2.split(_smooth_noise(frame_hw, sigma, rng, _gradient))
    moved = [_upsampled(np.asarray(axis, np.float32), frame_hw) for axis in knots]
    for axis, length in zip(moved, frame_hw[::-1], strict=True):
        axis *= np.float32(strength * length / max(cv2.norm(axis, cv2.NORM_INF), 1e-9))
    return np.asarray(cv2.merge(moved), np.float32)


@lru_cache(maxsize=16)
def lens(frame_hw: tuple[int, int], config: LensConfig) -> Displacement:
    """Round lenses: within the radius r of a centre the offset d becomes d sin(pi |d| / 2r)^amount.

    The reference's barrel and pincushion distortion. Read-only: it is made once for all samples.
    """
    height, width = frame_hw
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + np.float32(0.5)
    x, y = columns.copy(), rows.copy()
    radius = config.radius * width
    for centre_x, centre_y in reversed(config.centres):  # the last lens is the one that is looked into
        across, down = x - centre_x * width, y - centre_y * height
        distance = np.hypot(across, down)
        inside = (distance < radius) & (distance > 0)
        factor = np.sin(np.pi * distance[inside] / (2 * radius)) ** config.amount
        x[inside] = centre_x * width + factor * across[inside]
        y[inside] = centre_y * height + factor * down[inside]
    moved = np.stack([x - columns, y - rows], axis=-1)
    moved.setflags(write=False)
    return moved


def _one_of(values: tuple[float, ...], probability: float, rng: np.random.Generator) -> float | None:
    """One of the values, each as likely as the other, or None where the operation does not happen."""
    happens, which = rng.random(2)
    return values[int(which * len(values))] if happens < probability else None


def _smooth_noise(
    frame_hw: tuple[int, int],
    sigma: float,
    rng: np.random.Generator,
    derive: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Gaussian noise of unit variance smoothed with `sigma`, on knots that cover the frame.

    `derive` sees the knots with their margin, which is cut off after it.
    """
    counts = [max(1, math.ceil(length * min(1.0, _KNOTS_A_SIGMA / sigma))) for length in frame_hw]
    down, across = (sigma * count / length for count, length in zip(counts, frame_hw, strict=True))
    margin = 1 + math.ceil(_MARGIN_IN_SIGMAS * max(down, across))
    noise = rng.standard_normal([count + 2 * margin for count in counts], np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=across, sigmaY=down)
    # what smoothing took from the deviation
    restored = np.float32(2 * math.sqrt(math.pi * down * across)) * np.asarray(smooth, np.float32)
    return np.ascontiguousarray(derive(restored)[margin:-margin, margin:-margin])


def _gradient(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 2): the slope along x and along y."""
    down, across = np.gradient(values)
    return np.stack([across, down], axis=-1)


def _upsampled(knots: NDArray[np.float32], frame_hw: tuple[int, int]) -> NDArray[np.float32]:
    if knots.shape[:2] == frame_hw:
        return knots
    return np.asarray(cv2.resize(knots, frame_hw[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _gaussian(offset: float, sigma: float) -> float:
    return math.exp(-(offset**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
