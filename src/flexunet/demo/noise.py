"""Fractal noise that everything in the landscape is made of."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def fractal(
    size: int, generator: np.random.Generator, *, largest: float, octaves: int = 5, gain: float = 0.5
) -> Field:
    """float32 (size, size), mean 0 and deviation 1: octaves of noise, the coarsest `largest` px wide."""
    total = np.zeros((size, size), np.float32)
    amplitude, wavelength = 1.0, largest
    for _ in range(octaves):
        if wavelength < 1:
            break
        total += amplitude * smooth_noise(size, generator, wavelength)
        amplitude, wavelength = amplitude * gain, wavelength / 2
    return standard(total)


def ridged(size: int, generator: np.random.Generator, *, largest: float, octaves: int = 5) -> Field:
    """float32 (size, size), mean 0, standard deviation 1, with sharp crests: Musgrave's ridged multifractal.

    Each octave is (1 - |noise|) squared and weighted by the octave before it, so that crests carry the detail
    (Ebert et al., "Texturing and Modeling", chapter 16).
    """
    total = np.zeros((size, size), np.float32)
    weight: Field | float = 1.0
    amplitude, wavelength = 1.0, largest
    for _ in range(octaves):
        if wavelength < 2:
            break
        crest = (1 - np.minimum(np.abs(smooth_noise(size, generator, wavelength)), 1)) ** 2 * weight
        total += amplitude * crest
        weight = np.clip(crest * 1.6, 0, 1)
        amplitude, wavelength = amplitude * 0.55, wavelength / 2
    return standard(total)


def smooth_noise(size: int, generator: np.random.Generator, wavelength: float) -> Field:
    """float32 (size, size) of about unit variance: random values every `wavelength` px, cubic in between."""
    if wavelength <= 1:
        return generator.standard_normal((size, size), np.float32)
    knots = int(np.ceil(size / wavelength)) + 4
    edge = round(knots * wavelength)
    grid = generator.standard_normal((knots, knots), np.float32)
    fine = cv2.resize(grid, (edge, edge), interpolation=cv2.INTER_CUBIC)
    top, left = generator.integers(0, edge - size + 1, 2)
    return np.asarray(1.35 * fine[top : top + size, left : left + size], np.float32)


def standard(values: Field) -> Field:
    """The same field with mean 0 and standard deviation 1."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-9), np.float32)


def blur(values: NDArray[Any], sigma: float) -> Field:
    """Gaussian blur with mirrored borders."""
    return np.asarray(
        cv2.GaussianBlur(values.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32
    )


def ramp(values: NDArray[Any], low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth in between (either may be the larger one)."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
