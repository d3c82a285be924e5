"""Pixels for the eye: any bands as RGB, and labels over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes

RGB = NDArray[np.uint8]

_COLOUR_BANDS = (("red", "green", "blue"), ("r", "g", "b"), ("b4", "b3", "b2"), ("b04", "b03", "b02"))
_SAMPLED = 1 << 17  # pixels that the percentiles are taken from
_MISSING = 48  # grey of pixels without data


def display_rgb(
    pixels: NDArray[Any],
    valid: NDArray[np.bool_] | None = None,
    *,
    band_names: Sequence[str] | None = None,
) -> RGB:
    """Raw pixels (C, H, W) of any dtype as uint8 (H, W, 3).

    Three 8-bit bands are shown as they are. Everything else is stretched from its 2nd to its 98th
    percentile, band by band; shown are the bands named red, green and blue (or Sentinel-2's B4, B3, B2),
    else the first three, else the first as grey. Pixels that are not `valid` or not finite are dark grey.
    """
    shown = np.stack([pixels[band] for band in shown_bands(len(pixels), band_names)])
    missing = np.zeros(shown.shape[1:], np.bool_) if valid is None else ~valid
    if shown.dtype.kind == "f":
        missing = missing | ~np.isfinite(shown).all(0)
    if shown.dtype != np.uint8:
        shown = np.stack([_stretched(band, missing) for band in shown])
    rgb: RGB = np.ascontiguousarray(shown.transpose(1, 2, 0)).astype(np.uint8)
    rgb[missing] = _MISSING
    return rgb


def overlay(
    rgb: RGB, labels: NDArray[np.uint8], classes: Classes, *, tint: float = 0.3, thickness: int | None = None
) -> RGB:
    """The picture uint8 (H, W, 3) with each foreground class tinted and outlined in its colour.

    The outline is `thickness` pixels wide; left out, it grows with the picture, so that it survives being
    shown small. IGNORE_INDEX is hatched grey.
    """
    if rgb.shape[:2] != labels.shape:
        raise ValueError(f"the picture is {rgb.shape[:2]}, its labels {labels.shape}")
    drawn: RGB = rgb.copy()
    thickness = thickness or max(1, round(min(labels.shape) / 160))
    for label in classes.foreground:
        inside = labels == label
        colour = np.asarray(classes.colours[label], np.float32)
        drawn[inside] = (rgb[inside] * np.float32(1 - tint) + colour * np.float32(tint)).round()
        drawn[outline(inside, thickness)] = colour
    ignored = labels == IGNORE_INDEX
    if ignored.any():
        diagonal = np.arange(labels.shape[0])[:, None] + np.arange(labels.shape[1])
        stripes = ignored & (diagonal // (2 * thickness + 1) % 2 == 0)
        drawn[stripes] = 128
    return drawn


def write_note(rgb: RGB, text: str, *, warn: bool = False) -> None:
    """Write a line of text into the lower left corner of a picture uint8 (H, W, 3): white, as a warning red.

    Its height grows with the picture; words in front go where the line is wider than the picture.
    """
    height, width = rgb.shape[:2]
    scale = max(0.3, min(height, width) / 800)
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(scale))
    while True:
        (wide, high), below = cv2.getTextSize(text, font, scale, thick)
        if wide + 6 <= width or " " not in text:
            break
        text = text.partition(" ")[2]
    colour = (255, 90, 80) if warn else (255, 255, 255)
    rgb[max(0, height - high - below - 6) :, : wide + 6] //= 3
    cv2.putText(rgb, text, (3, height - below - 2), font, scale, colour, thick, cv2.LINE_AA)


def outline(inside: NDArray[np.bool_], thickness: int = 1) -> NDArray[np.bool_]:
    """The inner border of a region, `thickness` pixels wide; the picture's edge is no border."""
    mask = inside.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * thickness + 1, 2 * thickness + 1))
    core = cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray((mask == 1) & (core == 0))


def shown_bands(count: int, names: Sequence[str] | None) -> tuple[int, int, int]:
    """The bands, from 0, that stand for red, green and blue; see `display_rgb`."""
    lower = [name.lower() for name in names or ()]
    for wanted in _COLOUR_BANDS:
        if all(name in lower for name in wanted):
            red, green, blue = (lower.index(name) for name in wanted)
            return red, green, blue
    return (0, 1, 2) if count >= 3 else (0, 0, 0)


def _stretched(band: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.uint8]:
    every = max(1, int(np.sqrt(band.size / _SAMPLED)))
    known = band[::every, ::every][~missing[::every, ::every]]
    if not known.size:
        return np.full(band.shape, _MISSING, np.uint8)
    low, high = (float(value) for value in np.percentile(known.astype(np.float64), (2, 98)))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    if high <= low:
        return np.full(band.shape, 128, np.uint8)
    scaled = (np.where(missing, low, band).astype(np.float64) - low) * (255 / (high - low))
    return np.asarray(scaled.clip(0, 255).round(), np.uint8)
