"""Boundary F1: how much of an outline lies within a few pixels of the true one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX

DISTANCES_PX = (1, 2, 3, 4, 5)

Bools = NDArray[np.bool_]


class BoundaryCounts:
    """Outline pixels of one class and how many have their counterpart near, summed over images.

    Precision is the share of the predicted outline within d pixels (Euclidean) of the true one, recall that
    of the true outline within d pixels of the predicted one, F1 their harmonic mean (Csurka, Larlus,
    Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC 2013), here pooled over
    images: long outlines count for more. An outline is the inner border of a region; where the region ends at
    the image's edge or at ignored pixels there is none. NaN where neither side has one.
    """

    def __init__(self) -> None:
        self.predicted_near = np.zeros(len(DISTANCES_PX), np.int64)
        self.truth_near = np.zeros(len(DISTANCES_PX), np.int64)
        self.predicted = 0
        self.truth = 0

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], label: int) -> None:
        """Count one image: labels uint8 (H, W), IGNORE_INDEX in the truth counts nowhere."""
        known = truth != IGNORE_INDEX
        true_line = _outline(truth == label, known)
        said_line = _outline(predicted == label, known)
        self.truth += int(true_line.sum())
        self.predicted += int(said_line.sum())
        self.truth_near += _near(true_line, said_line)
        self.predicted_near += _near(said_line, true_line)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Boundary F1 for each of `DISTANCES_PX`."""
        if not self.truth + self.predicted:
            return np.full(len(DISTANCES_PX), np.nan)
        precision = self.predicted_near / max(self.predicted, 1)
        recall = self.truth_near / max(self.truth, 1)
        both = precision + recall
        return np.asarray(np.divide(2 * precision * recall, both, out=np.zeros(len(both)), where=both > 0))


def _outline(inside: Bools, known: Bools) -> Bools:
    """Pixels of the region with a known pixel outside it among their 8 neighbours."""
    outside = (known & ~inside).astype(np.uint8)
    beside = cv2.dilate(outside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(inside & known & (beside > 0))


def _near(line: Bools, other: Bools) -> NDArray[np.int64]:
    """How many pixels of `line` have one of `other` within each distance."""
    if not line.any() or not other.any():
        return np.zeros(len(DISTANCES_PX), np.int64)
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[line]
    return np.array([(distance <= limit + 1e-3).sum() for limit in DISTANCES_PX], np.int64)
