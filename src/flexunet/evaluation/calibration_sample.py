"""Pixels of held-out predictions, drawn picture by picture, and the calibration that fits them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..metrics.calibration import (
    LEAST,
    ProbabilityHistogram,
    fit_temperature,
    negative_log_likelihood,
    scale_probabilities,
)
from ..metrics.detection import TOP_SHARE, best_image_threshold
from ..modelfile import Calibration

SAMPLED = 2_000_000
"""Pixels in all that are kept for the fit."""
MOST_AN_IMAGE, LEAST_AN_IMAGE = 16_384, 64


class CalibrationSample:
    """At most `SAMPLED` pixels, drawn evenly from each picture and weighed by its size.

    For two classes 26 MB, for K classes 4 K + 9 bytes a pixel. images: how many pictures are to come.
    """

    def __init__(self, classes: Classes, images: int) -> None:
        self._classes = classes
        self._two = len(classes) == 2 and classes.background is not None
        self._most = int(np.clip(SAMPLED // max(images, 1), LEAST_AN_IMAGE, MOST_AN_IMAGE))
        self._rng = np.random.default_rng(0)
        self._logs: list[NDArray[np.float32]] = []  # (n, K)
        self._truth: list[NDArray[np.uint8]] = []  # (n,)
        self._weights: list[NDArray[np.float64]] = []  # (n,), pixels that each stands for
        self._highest: list[NDArray[np.float32]] = []  # foreground, two classes only
        self._there: list[bool] = []

    @property
    def empty(self) -> bool:
        """Whether no pixel with a label has come."""
        return not self._logs

    def add(
        self, probabilities: NDArray[np.float32], labels: NDArray[np.uint8], valid: NDArray[np.bool_]
    ) -> None:
        """A picture's uncalibrated probabilities (K, H, W), its truth and its pixels with data (H, W)."""
        known = np.flatnonzero((labels != IGNORE_INDEX) & valid)
        if not len(known):
            return
        p, truth = probabilities.reshape(len(probabilities), -1), np.asarray(labels).ravel()
        drawn = known if len(known) <= self._most else self._rng.choice(known, self._most, replace=False)
        self._logs.append(np.log(np.maximum(p[:, drawn].T, np.float32(LEAST))))
        self._truth.append(truth[drawn])
        self._weights.append(np.full(len(drawn), len(known) / len(drawn)))
        if self._two:
            (label,) = self._classes.foreground
            kept = max(1, int(len(known) * TOP_SHARE))
            self._highest.append(np.partition(p[label, known], len(known) - kept)[-kept:])
            self._there.append(bool((truth[known] == label).any()))

    def fit(self, fitted_on: dict[str, Any], *, tta: bool) -> Calibration:
        """Temperature and thresholds; there must be pixels. fitted_on: what the pictures were; tta: whether
        the probabilities are the mean of eight flips and turns.
        """
        logs, truth = np.concatenate(self._logs), np.concatenate(self._truth)
        weights = np.concatenate(self._weights)
        temperature = fit_temperature(logs, truth, weights)
        about = {
            **fitted_on,
            "pixels_sampled": len(truth),
            "nll_before": negative_log_likelihood(logs, truth, weights),
            "nll_after": negative_log_likelihood(logs, truth, weights, temperature),
        }
        before = np.exp(logs).T
        after = scale_probabilities(before, temperature)
        for name, p in (("before", before), ("after", after)):
            about[f"ece_{name}"] = _confidence(p, truth, weights).reliability().error
        threshold = image_threshold = None
        if self._two:
            threshold = self._threshold(after, truth, weights, about)
            image_threshold = self._image_threshold(temperature)
        return Calibration(
            temperature=temperature, threshold=threshold, image_threshold=image_threshold, tta=tta,
            fitted_on=about,
        )  # fmt: skip

    def _threshold(
        self,
        p: NDArray[np.float32],
        truth: NDArray[np.uint8],
        weights: NDArray[np.float64],
        about: dict[str, Any],
    ) -> float | None:
        """For pixels; None where no foreground is in the truth."""
        (label,) = self._classes.foreground
        if not (truth == label).any():
            return None
        histogram = ProbabilityHistogram()
        histogram.add(p[label], truth == label, weights)
        curve = histogram.curve()
        threshold = curve.best_threshold()
        for name, value in (("at_half", 0.5), ("at_threshold", threshold)):
            about[f"iou_{name}"] = float(curve.iou[int(np.argmin(np.abs(curve.thresholds - value)))])
        return threshold

    def _image_threshold(self, temperature: float) -> float | None:
        means = []
        for top in self._highest:
            scaled = scale_probabilities(np.stack([1 - top, top]), temperature)
            means.append(float(scaled[1].mean()))
        return best_image_threshold(np.array(means), np.array(self._there, np.bool_))


def _confidence(
    p: NDArray[np.float32], truth: NDArray[np.uint8], weights: NDArray[np.float64]
) -> ProbabilityHistogram:
    """Pixels by the probability of the likeliest class, and whether it is the true one."""
    histogram = ProbabilityHistogram()
    histogram.add(p.max(0), p.argmax(0) == truth, weights)
    return histogram
