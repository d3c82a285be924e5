"""Missing pixels that no file declares: marks such as -9999, and collars of zeros around a turned scene."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MARKS = (-9999.0, -99999.0, -32768.0)
"""Values that stand for missing data by long habit and are no measurement of anything in an image."""
LEAST_COLLAR_PX = 64
LEAST_EDGE_PX = 8

Pixels = NDArray[Any]
Valid = NDArray[np.bool_]


def find_marks(pixels: Pixels, valid: Valid) -> tuple[float, ...]:
    """Which of `MARKS` stand among the valid pixels (C, H, W) of a signed type, far below all the others."""
    if pixels.dtype.kind == "u":
        return ()
    found = []
    for mark in MARKS:
        here = (pixels == mark).any(0) & valid
        if not here.any():
            continue
        rest = pixels[:, valid & ~here]
        if not rest.size or float(rest.min()) > mark / 2:
            found.append(mark)
    return tuple(found)


def without_marks(pixels: Pixels, valid: Valid, marks: tuple[float, ...]) -> Valid:
    """The valid pixels that hold none of the marks."""
    for mark in marks:
        valid = valid & ~(pixels == mark).any(0)
    return valid


def collar(pixels: Pixels, sides: tuple[bool, bool, bool, bool] = (True,) * 4) -> Valid | None:
    """Pixels of connected areas that are 0 in all bands and lie along the edge; None where there are none.

    sides: which edges (top, bottom, left, right) of a tile are edges of its picture. Areas that fill a
    quarter of a tile and more count without touching one. Only pictures of three bands and more: in one band
    0 is dark ground or sea. An area counts from `LEAST_COLLAR_PX` pixels of which `LEAST_EDGE_PX` lie on the
    edge.
    """
    if len(pixels) < 3:
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
    return np.asarray(large[labels]) if large.any() else None
