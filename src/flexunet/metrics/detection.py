"""Whole images: does a picture hold any object at all?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP_SHARE = 0.01
"""An image's score is the mean of this share of its highest probabilities: one hot pixel is no landslide."""


def image_score(probability: NDArray[np.float32]) -> float:
    """Mean of the highest hundredth (at least one) of foreground probabilities (N,); 0 without pixels."""
    if not probability.size:
        return 0.0
    kept = max(1, int(probability.size * TOP_SHARE))
    return float(np.partition(probability, probability.size - kept)[-kept:].mean())


@dataclass(frozen=True)
class Detection:
    """Images said to hold an object against those that do."""

    hits: int
    false_alarms: int
    misses: int
    rejections: int

    @classmethod
    def of(cls, said: NDArray[np.bool_], there: NDArray[np.bool_]) -> Detection:
        """Count images (N,)."""
        cells = (said & there, said & ~there, ~said & there, ~said & ~there)
        return cls(*(int(cell.sum()) for cell in cells))

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where there is nothing to find and nothing is said."""
        whole = 2 * self.hits + self.false_alarms + self.misses
        return 2 * self.hits / whole if whole else None

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP)."""
        said = self.hits + self.false_alarms
        return self.hits / said if said else None

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN)."""
        there = self.hits + self.misses
        return self.hits / there if there else None


def area_under_roc(scores: NDArray[np.float64], there: NDArray[np.bool_]) -> float | None:
    """Share of the pairs (image with, image without) in which the first has the higher score; ties count one
    half (Mann and Whitney's U). None where there are no such pairs.
    """
    positive, negative = scores[there], scores[~there]
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / 2 / len(negative))


def best_image_threshold(scores: NDArray[np.float64], there: NDArray[np.bool_]) -> float | None:
    """The score from which saying "there is one" has the highest F1; the middle of the gap below the lowest
    image that is then said. None where one of the two kinds is missing.
    """
    if there.all() or not there.any():
        return None
    best, threshold = -1.0, 0.5
    values = np.unique(scores)
    for index, value in enumerate(values):
        f1 = Detection.of(scores >= value, there).f1 or 0.0
        if f1 > best:
            below = values[index - 1] if index else 0.0
            best, threshold = f1, float((value + below) / 2)
    return threshold
