"""The confusion matrix, and every score that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..classes import IGNORE_INDEX

_CHUNK = 1 << 20  # pixels counted at a time: bounds the memory of `add` whatever the size of the picture


class ConfusionMatrix:
    """Pixel counts by true class (rows) and predicted class (columns).

    With TP, FP and FN of one class read from its row and column, per class (float64 (K,)):

    - IoU (Jaccard) = TP / (TP + FP + FN), NaN where the class is in neither truth nor prediction;
    - F1 (Dice)     = 2 TP / (2 TP + FP + FN), NaN likewise;
    - precision     = TP / (TP + FP), NaN where the class is never predicted;
    - recall        = TP / (TP + FN), NaN where the class is not in the truth.

    NaN says "not measurable" and is left out of every mean; a class that is in the truth and never found has
    IoU 0.
    """

    def __init__(self, num_classes: int, counts: ArrayLike | None = None) -> None:
        if not 2 <= num_classes <= IGNORE_INDEX:
            raise ValueError(f"num_classes is 2 to {IGNORE_INDEX}, not {num_classes}")
        shape = (num_classes, num_classes)
        self.counts: NDArray[np.int64] = (
            np.zeros(shape, np.int64) if counts is None else np.array(counts, np.int64)
        )
        if self.counts.shape != shape:
            raise ValueError(f"counts must have shape {shape}, not {self.counts.shape}")

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return len(self.counts)

    def add(self, truth: NDArray[Any], predicted: NDArray[Any]) -> None:
        """Count pixels of two label arrays of one shape (any integer dtype); truth IGNORE_INDEX is skipped.

        Time is linear in the pixels; memory beyond the arguments stays below 32 MB.

        Raises:
            ValueError: the shapes differ, or a counted pixel has a label outside 0 .. K-1.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"truth has shape {truth.shape}, the prediction {predicted.shape}")
        cells = np.zeros((256, 256), np.int64)
        for true_labels, predicted_labels in _chunks(truth, predicted):
            cell = _as_bytes(true_labels).astype(np.uint16)
            cell <<= 8
            cell |= _as_bytes(predicted_labels)
            cells += np.bincount(cell, minlength=1 << 16).reshape(256, 256)
        cells[IGNORE_INDEX] = 0
        size = self.num_classes
        counted = cells[:size, :size]
        if counted.sum() != cells.sum():
            raise ValueError(_strangers(cells, size))
        self.counts += counted

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        return ConfusionMatrix(self.num_classes, self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfusionMatrix) and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # it grows: not a key

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes}, {self.counts.tolist()})"

    @property
    def total(self) -> int:
        """Pixels counted."""
        return int(self.counts.sum())

    @property
    def truth(self) -> NDArray[np.int64]:
        """Pixels of each class in the truth, int64 (K,)."""
        return np.asarray(self.counts.sum(1), np.int64)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Pixels of each class in the prediction, int64 (K,)."""
        return np.asarray(self.counts.sum(0), np.int64)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class."""
        return _ratio(self._hits, self.truth + self.predicted - self._hits)

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1, also called Dice, of each class."""
        return _ratio(2 * self._hits, self.truth + self.predicted)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the pixels predicted as a class that are of it."""
        return _ratio(self._hits, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the pixels of a class that are predicted as it."""
        return _ratio(self._hits, self.truth)

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels with the right class; NaN when no pixel was counted."""
        return float(_ratio(self._hits.sum(), self.counts.sum()))

    def mean_iou(self, labels: Iterable[int] | None = None) -> float:
        """Mean IoU of these classes (all of them when left out); NaN when none of them can be measured."""
        return self.mean(self.iou, labels)

    def mean_f1(self, labels: Iterable[int] | None = None) -> float:
        """Mean F1 of these classes (all of them when left out); NaN when none of them can be measured."""
        return self.mean(self.f1, labels)

    def mean(self, scores: NDArray[np.float64], labels: Iterable[int] | None = None) -> float:
        """Mean of per-class scores (K,) over these classes; NaN scores are left out, NaN if all are."""
        chosen = scores if labels is None else scores[list(labels)]
        measured = chosen[~np.isnan(chosen)]
        return float(measured.mean()) if measured.size else float("nan")

    @property
    def _hits(self) -> NDArray[np.int64]:
        return np.asarray(self.counts.diagonal(), np.int64)


def _chunks(truth: NDArray[Any], predicted: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The two arrays in flat pieces of bounded length; memory-mapped arrays are never read whole."""
    if truth.ndim < 2 or truth.size <= _CHUNK:
        flat_truth, flat_predicted = truth.ravel(), predicted.ravel()
        for start in range(0, truth.size, _CHUNK):
            yield flat_truth[start : start + _CHUNK], flat_predicted[start : start + _CHUNK]
        return
    for true_part, predicted_part in zip(truth, predicted, strict=True):
        yield from _chunks(true_part, predicted_part)


def _as_bytes(labels: NDArray[Any]) -> NDArray[np.uint8]:
    if labels.dtype == np.uint8:
        return np.asarray(labels, np.uint8)
    if labels.dtype.kind not in "iub":
        raise ValueError(f"labels are integers, not {labels.dtype}")
    if labels.size and (labels.min() < 0 or labels.max() > IGNORE_INDEX):
        raise ValueError(f"labels lie in 0 .. {IGNORE_INDEX}; found {labels.min()} to {labels.max()}")
    return labels.astype(np.uint8)


def _strangers(cells: NDArray[np.int64], size: int) -> str:
    in_truth = [label for label in np.flatnonzero(cells.sum(1)).tolist() if label >= size]
    in_prediction = [label for label in np.flatnonzero(cells.sum(0)).tolist() if label >= size]
    found = f"truth has {in_truth}" if in_truth else f"the prediction has {in_prediction}"
    return f"labels lie in 0 .. {size - 1} ({IGNORE_INDEX} in the truth is ignored); {found}"


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """numerator / denominator, NaN where the denominator is 0."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.asarray(np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0))
