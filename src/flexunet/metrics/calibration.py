"""Probabilities that mean what they say: temperature, calibration error, curves over the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FINE_BINS = 3000
"""Bins of a `ProbabilityHistogram`: 200 in each of the 15 bins of the calibration error, 3 in each
thousandth."""
LEAST = 1e-30
"""Probabilities below are taken for this: a float32 softmax may say 0."""
_SHARPEST, _FLATTEST = 0.05, 20.0  # bounds of the temperature

Floats = NDArray[np.float64]


def scale_probabilities(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities float32 (K, ...) at another temperature: p_k ** (1 / T) / sum_j p_j ** (1 / T).

    For a softmax it is the softmax of its logits divided by T (Guo, Pleiss, Sun, Weinberger, "On calibration
    of modern neural networks", ICML 2017, section 4.2). The order of the classes stays.
    """
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(probabilities, np.float32(LEAST)))
    logits *= np.float32(1 / temperature)
    logits -= logits.max(0)
    scaled = np.exp(logits, out=logits)
    scaled /= scaled.sum(0)
    result: NDArray[np.float32] = scaled
    return result


def threshold_before_scaling(threshold: float, temperature: float) -> float:
    """The uncalibrated probability of two classes that scaling takes to `threshold`: T logit, back again."""
    odds: float = (threshold / (1 - threshold)) ** temperature
    return odds / (1 + odds)


def negative_log_likelihood(
    log_probabilities: ArrayLike, truth: NDArray[Any], weights: ArrayLike, temperature: float = 1.0
) -> float:
    """Weighted mean of -log p of the true class; log_probabilities (N, K), truth (N,), weights (N,)."""
    logits = np.asarray(log_probabilities, np.float64) / temperature
    logits -= logits.max(1, keepdims=True)
    true = np.take_along_axis(logits, truth[:, None].astype(np.intp), 1)[:, 0]
    return float(np.average(np.log(np.exp(logits).sum(1)) - true, weights=np.asarray(weights, np.float64)))


def fit_temperature(log_probabilities: ArrayLike, truth: NDArray[Any], weights: ArrayLike) -> float:
    """The temperature, 0.05 to 20, with the smallest negative log-likelihood.

    In b = 1 / T the likelihood is convex: its slope is E[sum_k p_k z_k - z_true], its curvature the mean
    variance of z under p. The root of the slope is found by bisection in log T.

    Raises:
        ValueError: no pixels.
    """
    logits = np.asarray(log_probabilities, np.float64)
    share = np.asarray(weights, np.float64)
    if not len(logits) or share.sum() <= 0:
        raise ValueError("no pixels to fit a temperature on")
    true = np.take_along_axis(logits, truth[:, None].astype(np.intp), 1)[:, 0]

    def slope(temperature: float) -> float:
        scaled = logits / temperature
        scaled -= scaled.max(1, keepdims=True)
        p = np.exp(scaled)
        p /= p.sum(1, keepdims=True)
        return float(np.average((p * logits).sum(1) - true, weights=share))

    low, high = np.log(_SHARPEST), np.log(_FLATTEST)
    for _ in range(40):
        middle = (low + high) / 2
        if slope(float(np.exp(middle))) > 0:  # larger b raises the loss: b is too large, T too small
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: for each bin of predicted probability what was said and what was so."""

    counts: Floats
    """Pixels in each bin (B,)."""
    said: Floats
    """Mean predicted probability (B,), NaN in an empty bin."""
    found: Floats
    """Share of pixels for which it was true (B,), NaN in an empty bin."""

    @property
    def error(self) -> float:
        """Expected calibration error: sum over bins of their share times |found - said| (Guo et al. 2017,
        eq. 5); NaN without pixels.
        """
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.found[filled] - self.said[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


class ProbabilityHistogram:
    """Pixels by the predicted probability of something and by its truth; of fixed size (120 kB)."""

    def __init__(self) -> None:
        self._pixels = np.zeros((2, FINE_BINS))  # false, true
        self._said = np.zeros(FINE_BINS)

    def add(
        self, probability: NDArray[np.float32], is_true: NDArray[np.bool_], weight: float | Floats = 1.0
    ) -> None:
        """Count probabilities (N,) with their truths (N,); `weight`: how many pixels each stands for."""
        bins = np.minimum((probability * np.float32(FINE_BINS)).astype(np.int64), FINE_BINS - 1)
        weights = np.broadcast_to(np.asarray(weight, np.float64), bins.shape)
        cells = np.bincount(bins + FINE_BINS * is_true, weights, 2 * FINE_BINS)
        self._pixels += cells.reshape(2, FINE_BINS)
        self._said += np.bincount(bins, weights * probability, FINE_BINS)

    @property
    def pixels(self) -> int:
        """Pixels counted."""
        return round(float(self._pixels.sum()))

    @property
    def true_share(self) -> float:
        """Share of pixels for which it was true: the precision of saying it everywhere."""
        return float(self._pixels[1].sum() / self.pixels) if self.pixels else float("nan")

    def reliability(self, bins: int = 15) -> Reliability:
        """The diagram in `bins` bins of one width; `bins` divides `FINE_BINS`."""
        if FINE_BINS % bins:
            raise ValueError(f"{bins} does not divide {FINE_BINS}")
        pixels = self._pixels.reshape(2, bins, -1).sum(2)
        counts, said = pixels.sum(0), self._said.reshape(bins, -1).sum(1)
        filled = np.where(counts > 0, counts, np.nan)
        return Reliability(counts, said / filled, pixels[1] / filled)

    def curve(self) -> ThresholdCurve:
        """Hits, false alarms and misses for each threshold: "true" is said from it on."""
        at_least = self._pixels[:, ::-1].cumsum(1)[:, ::-1]
        thresholds = np.arange(FINE_BINS) / FINE_BINS
        return ThresholdCurve(thresholds, at_least[1], at_least[0], self._pixels[1].sum() - at_least[1])


@dataclass(frozen=True)
class ThresholdCurve:
    """Pixel counts (T,) over thresholds (T,) that rise from 0."""

    thresholds: Floats
    hits: Floats
    false_alarms: Floats
    misses: Floats

    @property
    def precision(self) -> Floats:
        """TP / (TP + FP); 1 where nothing is said."""
        said = self.hits + self.false_alarms
        return np.asarray(np.divide(self.hits, said, out=np.ones(len(said)), where=said > 0))

    @property
    def recall(self) -> Floats:
        """TP / (TP + FN); NaN where there is nothing to find."""
        return _share(self.hits, self.hits + self.misses)

    @property
    def iou(self) -> Floats:
        """TP / (TP + FP + FN)."""
        return _share(self.hits, self.hits + self.false_alarms + self.misses)

    @property
    def average_precision(self) -> float:
        """Area under precision over recall by steps, sum of (R_n - R_n-1) P_n, as scikit-learn has it."""
        recall, precision = self.recall[::-1], self.precision[::-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))

    def best_threshold(self, tolerance: float = 0.002) -> float:
        """The threshold nearest to one half whose IoU is within `tolerance` of the best one.

        The peak is flat and its place noisy; a threshold off one half has to earn it.
        """
        iou = self.iou
        good = np.flatnonzero(iou >= np.nanmax(iou) - tolerance)
        good = good[self.thresholds[good] > 0]
        if not len(good) or not self.hits[0]:
            return 0.5
        return float(self.thresholds[good[np.argmin(np.abs(self.thresholds[good] - 0.5))]])


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
