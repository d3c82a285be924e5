"""Missing pixels that no file declares: marks such as -9999, and collars of zeros around a turned scene.

Floats of an extreme size (-3.4e38 ...) are missing as soon as they are read, see `values.data_mask`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MARKS = (-9999.0, -99999.0, -32768.0, -32767.0)
"""Values that stand for missing data by long habit and are no measurement of anything in an image."""
SATURATED = 65535.0
"""The largest value of 16 bits: missing, or too bright for the sensor. Told, but not taken for missing."""
LEAST_COLLAR_PX = 64
LEAST_EDGE_PX = 8
LEAST_STEP = 0.25
"""How far beyond 0 data stand beside a collar, over how far they do in the middle of all: sea, lakes and
level ground end gently."""

Pixels = NDArray[Any]
Valid = NDArray[np.bool_]


def find_marks(pixels: Pixels, valid: Valid) -> tuple[float, ...]:
    """Which of `MARKS` stand among the valid pixels (C, H, W) of a signed type, far below all the others."""
    if pixels.dtype.kind == "u" or not pixels.size or pixels.min() > max(MARKS):
        return ()
    marked = valid & ~without_marks(pixels, valid, MARKS)
    found = set()
    for band in pixels:
        rest = band[valid & ~marked]
        lowest = float(rest.min()) if rest.size else np.inf
        found |= {mark for mark in MARKS if lowest > mark / 2 and bool(((band == mark) & valid).any())}
    return tuple(mark for mark in MARKS if mark in found)


def without_marks(pixels: Pixels, valid: Valid, marks: tuple[float, ...]) -> Valid:
    """The valid pixels that hold none of the marks."""
    for mark in marks:
        valid = valid & ~(pixels == mark).any(0)
    return valid


def collar(pixels: Pixels, valid: Valid, sides: tuple[bool, bool, bool, bool] = (True,) * 4) -> Valid | None:
    """Pixels of connected areas that are 0 in all bands and lie along the edge; None where there are none.

    sides: which edges (top, bottom, left, right) of a tile are edges of its picture. Areas that fill a
    quarter of a tile and more count without touching one. An area counts from `LEAST_COLLAR_PX` pixels of
    which `LEAST_EDGE_PX` lie on the edge.

    In one or two bands 0 may be dark ground, sea or a level place: of integers no collar is found there, of
    floats one that the data reach with a step, and only where nothing declares missing pixels.
    """
    few = len(pixels) < 3
    if few and (pixels.dtype.kind != "f" or not valid.all()):
        return None
    zero = np.asarray(~pixels.any(0))
    if zero.sum() < LEAST_COLLAR_PX:
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats(zero.view(np.uint8), connectivity=4)
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    touching = np.zeros(count, np.int64)
    for edge, counts in zip(edges, sides, strict=True):
        touching += np.bincount(edge, minlength=count) * counts
    areas = stats[:, cv2.CC_STAT_AREA]
    large = (areas >= LEAST_COLLAR_PX) & (touching >= LEAST_EDGE_PX)
    if not all(sides):
        large |= areas >= zero.size / 4
    large[0] = False
    found = np.asarray(large[labels])
    return found if large.any() and not (few and _ends_gently(pixels, found)) else None


def _ends_gently(pixels: Pixels, collar: Valid) -> bool:
    """Whether the data (C, H, W) come near 0 in every band where they meet the collar."""
    beside = (cv2.dilate(collar.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~collar
    if not beside.any():
        return True  # nothing but zeros
    return all(
        float(np.median(np.abs(band[beside]))) < LEAST_STEP * float(np.median(np.abs(band[~collar])))
        for band in pixels
    )
