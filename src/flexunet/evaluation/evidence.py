"""What the report needs of every image, gathered while the images pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..metrics.boundary import DISTANCES_PX, BoundaryCounts
from ..metrics.calibration import LEAST, ProbabilityHistogram, Reliability
from ..metrics.detection import image_score
from ..metrics.patches import COVERED, by_size, compare_patches, size_edges
from ..modelfile import Calibration
from ..prediction import calibrate
from ..prediction.unsure import margin

_CURVE_POINTS = 100
_MARGINS = 100


@dataclass
class _OfClass:
    """One foreground class over all images."""

    before: ProbabilityHistogram = field(default_factory=ProbabilityHistogram)
    after: ProbabilityHistogram = field(default_factory=ProbabilityHistogram)
    boundary: BoundaryCounts = field(default_factory=BoundaryCounts)
    truth: list[tuple[NDArray[Any], NDArray[np.float64]]] = field(default_factory=list)
    """Area and cover of the true patches of each image."""
    predicted: list[tuple[NDArray[Any], NDArray[np.float64]]] = field(default_factory=list)
    truth_px: list[NDArray[np.float64]] = field(default_factory=list)
    predicted_px: list[NDArray[np.float64]] = field(default_factory=list)


class Evidence:
    """Histograms of probabilities, patches, outlines and a score for each image.

    Probabilities themselves are not kept: memory is 0.3 MB a class, 0.8 kB a pair of classes, 32 bytes a
    patch and 8 bytes an image.
    """

    def __init__(self, classes: Classes, calibration: Calibration | None) -> None:
        self._classes, self._calibration = classes, calibration
        self._of = {label: _OfClass() for label in classes.foreground}
        self._sure = {"before": ProbabilityHistogram(), "after": ProbabilityHistogram()}
        self._nll = {"before": 0.0, "after": 0.0}
        self._pixels = 0
        self.by_margin: NDArray[np.int64] = np.zeros((_MARGINS, len(classes), len(classes)), np.int64)
        """Confusion counts by the calibrated margin of the decision, the smallest first."""
        self.image_scores: list[float] = []
        self.areas_m2: list[float | None] = []
        """Ground area of a pixel of each image."""

    def add(
        self,
        probabilities: NDArray[np.float32],
        truth: NDArray[np.uint8],
        predicted: NDArray[np.uint8],
        pixel_m2: float | None,
    ) -> None:
        """One image: the network's probabilities (K, H, W), true and predicted labels (H, W)."""
        known = truth != IGNORE_INDEX
        labels = truth[known]
        raw = probabilities[:, known]
        scaled = calibrate(raw, self._calibration)
        for name, p in (("before", raw), ("after", scaled)):
            self._sure[name].add(p.max(0), p.argmax(0) == labels)
            true = np.take_along_axis(p, labels[None].astype(np.intp), 0)[0]
            self._nll[name] -= float(np.log(np.maximum(true, np.float32(LEAST))).sum(dtype=np.float64))
        self._pixels += labels.size
        said = predicted[known]
        self._count_margins(labels, said, margin(said[None], scaled[:, None])[0])
        background = self._classes.background
        there = scaled.max(0) if background is None else 1 - scaled[background]
        self.image_scores.append(image_score(there))
        self.areas_m2.append(pixel_m2)
        for label, of in self._of.items():
            is_true = labels == label
            of.before.add(raw[label], is_true)
            of.after.add(scaled[label], is_true)
            of.boundary.add(truth, predicted, label)
            wanted, found = compare_patches(truth, predicted, label)
            ground = math.nan if pixel_m2 is None else pixel_m2
            of.truth.append((wanted.areas_px * ground, wanted.covered))
            of.predicted.append((found.areas_px * ground, found.covered))
            of.truth_px.append(wanted.areas_px.astype(np.float64))
            of.predicted_px.append(found.areas_px.astype(np.float64))

    def _count_margins(
        self, truth: NDArray[np.uint8], said: NDArray[np.uint8], margins: NDArray[np.float32]
    ) -> None:
        """Pixels (N,) by their margin, -1 to 1; those below 0 count as 0."""
        steps = np.clip(margins * np.float32(_MARGINS), 0, _MARGINS - 1).astype(np.int64)
        classes = len(self._classes)
        cells = (steps * classes + truth) * classes + said
        self.by_margin += np.bincount(cells, minlength=self.by_margin.size).reshape(self.by_margin.shape)

    @property
    def on_ground(self) -> bool:
        """Whether the ground area of a pixel is known for every image."""
        return bool(self.areas_m2) and all(area is not None for area in self.areas_m2)

    def by_class(self) -> list[dict[str, Any]]:
        """Curves, objects and outlines of each foreground class; JSON values."""
        return [
            {
                "name": self._classes.names[label],
                "curves": self._curves(of.after),
                "objects": self._objects(of),
                "boundary": {
                    "distances_px": list(DISTANCES_PX),
                    "f1": [number(value) for value in of.boundary.f1],
                    "truth_pixels": of.boundary.truth,
                    "predicted_pixels": of.boundary.predicted,
                },
                "reliability": {
                    "before": reliability(of.before.reliability()),
                    "after": reliability(of.after.reliability()),
                },
            }
            for label, of in self._of.items()
        ]

    def calibration(self) -> dict[str, Any]:
        """Calibration of the likeliest class, before and after; JSON values."""
        pixels = max(self._pixels, 1)
        return {
            "fitted": None if self._calibration is None else self._calibration.model_dump(mode="json"),
            **{
                name: {
                    "ece": number(self._sure[name].reliability().error),
                    "nll": self._nll[name] / pixels,
                    "reliability": reliability(self._sure[name].reliability()),
                }
                for name in ("before", "after")
            },
        }

    def _curves(self, histogram: ProbabilityHistogram) -> dict[str, Any]:
        curve = histogram.curve()
        places = np.linspace(0, len(curve.thresholds), _CURVE_POINTS, endpoint=False).astype(int)
        best = int(np.nanargmax(curve.iou)) if np.isfinite(curve.iou).any() else 0
        return {
            "threshold": numbers(curve.thresholds[places]),
            "precision": numbers(curve.precision[places]),
            "recall": numbers(curve.recall[places]),
            "iou": numbers(curve.iou[places]),
            "average_precision": number(curve.average_precision),
            "true_share": number(histogram.true_share),
            "best_threshold_here": number(curve.thresholds[best]),
            "best_iou_here": number(curve.iou[best]),
        }

    def _objects(self, of: _OfClass) -> dict[str, Any]:
        truth, said = _joined(of.truth), _joined(of.predicted)
        if not self.on_ground:
            truth = (np.concatenate(of.truth_px) if of.truth_px else np.zeros(0), truth[1])
            said = (np.concatenate(of.predicted_px) if of.predicted_px else np.zeros(0), said[1])
        bins = by_size(truth, said, size_edges(truth[0]))
        return {
            "unit": "m2" if self.on_ground else "px",
            "covered": COVERED,
            "truth": len(truth[0]),
            "predicted": len(said[0]),
            "found": int((truth[1] >= COVERED).sum()),
            "touched": int((truth[1] > 0).sum()),
            "right": int((said[1] >= COVERED).sum()),
            "by_size": [
                {
                    "low": size.low, "high": size.high, "truth": size.truth, "found": size.found,
                    "predicted": size.predicted, "right": size.right,
                    "recall": size.recall, "precision": size.precision,
                }
                for size in bins
            ],
        }  # fmt: skip


def number(value: float) -> float | None:
    """A plain float of 6 digits, or None for what cannot be measured."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def numbers(values: NDArray[np.float64]) -> list[float | None]:
    """The same of an array (N,)."""
    return [number(float(value)) for value in values]


def reliability(diagram: Reliability) -> dict[str, Any]:
    """A reliability diagram as JSON values."""
    return {
        "ece": number(diagram.error),
        "pixels": [round(count) for count in diagram.counts.tolist()],
        "said": numbers(diagram.said),
        "found": numbers(diagram.found),
    }


def _joined(
    parts: list[tuple[NDArray[Any], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not parts:
        return np.zeros(0), np.zeros(0)
    areas, covered = zip(*parts, strict=True)
    return np.concatenate(areas), np.concatenate(covered)
