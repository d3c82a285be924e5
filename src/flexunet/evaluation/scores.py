"""From confusion matrices to the numbers of `scores.json` and `per_image.csv`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..classes import Classes
from ..metrics import ConfusionMatrix

MEASURES = ("iou", "f1", "precision", "recall")

DEFINITIONS = {
    "pooled": "One confusion matrix over all pixels of all images, at the masks' own resolution. "
    "Ignored pixels and pixels without image data are not counted.",
    "iou": "TP / (TP + FP + FN) of one class; null where it is in neither truth nor prediction.",
    "f1": "2 TP / (2 TP + FP + FN) of one class, also called Dice; null likewise.",
    "precision": "TP / (TP + FP) of one class; null where it is never predicted.",
    "recall": "TP / (TP + FN) of one class; null where it is not in the truth.",
    "foreground": "Mean over all classes but the background; null is left out of a mean.",
    "pixel_accuracy": "Share of counted pixels with the right class; background counts as much as any.",
    "with_foreground": "The same, pooled over the images whose truth has a foreground class.",
    "without_foreground": "Images whose truth is background only: what is predicted there is false alarm.",
    "image_scores": "Mean IoU of the foreground classes in one image; 1 where neither truth nor "
    "prediction has any, null where no pixel counts.",
    "reference": "The reference system's two numbers by its own definition, at the network's size. Its "
    "dice_coef_multiclass is no Dice: it is the mean probability of the true class, background included.",
}
"""What each number means; goes into `scores.json`."""


@dataclass(frozen=True)
class ImageScores:
    """One image: its confusion matrix and what it took to get there."""

    id: str
    image: str
    height: int
    width: int
    """Of the mask, where the image has another size."""
    ignored: int
    confusion: ConfusionMatrix
    applicability: float | None = None
    """How much the image is like those of training, 0 to 1; None: the model file does not know."""

    def has_foreground(self, classes: Classes) -> bool:
        """Whether the truth holds a foreground class."""
        return bool(self.confusion.truth[list(classes.foreground)].any())

    def score(self, classes: Classes) -> float | None:
        """Mean foreground IoU; 1 for nothing to find and nothing found, None where no pixel counts."""
        if not self.confusion.total:
            return None
        mean = self.confusion.mean_iou(classes.foreground)
        return 1.0 if math.isnan(mean) else mean

    @property
    def errors(self) -> int:
        """Pixels with the wrong class."""
        return int(self.confusion.total - self.confusion.counts.trace())


def pooled(confusion: ConfusionMatrix, classes: Classes) -> dict[str, Any]:
    """Per-class scores, foreground means and pixel accuracy of one confusion matrix; NaN becomes None."""
    per_class = {measure: getattr(confusion, measure) for measure in MEASURES}
    return {
        "pixels": confusion.total,
        "classes": [
            {
                "name": name,
                **{measure: _number(values[label]) for measure, values in per_class.items()},
                "truth_pixels": int(confusion.truth[label]),
                "predicted_pixels": int(confusion.predicted[label]),
            }
            for label, name in enumerate(classes.names)
        ],
        "foreground": {
            measure: _number(confusion.mean(values, classes.foreground))
            for measure, values in per_class.items()
        },
        "pixel_accuracy": _number(confusion.pixel_accuracy),
    }


def all_scores(images: Sequence[ImageScores], classes: Classes) -> dict[str, Any]:
    """Everything that follows from the images' confusion matrices."""
    landslides = [image for image in images if image.has_foreground(classes)]
    counted = [image for image in images if image.confusion.total]
    empty = [image for image in counted if not image.has_foreground(classes)]
    everything = total(images, classes)
    values = [score for image in counted if (score := image.score(classes)) is not None]
    return {
        "images": len(images),
        "ignored_pixels": sum(image.ignored for image in images),
        **pooled(everything, classes),
        "confusion": {"rows": "truth", "columns": "prediction", "counts": everything.counts.tolist()},
        "with_foreground": {"images": len(landslides), **pooled(total(landslides, classes), classes)},
        "without_foreground": false_alarms(empty, classes),
        "image_scores": {
            "images": len(values),
            "mean": _number(float(np.mean(values))) if values else None,
            "median": _number(float(np.median(values))) if values else None,
        },
    }


def false_alarms(images: Sequence[ImageScores], classes: Classes) -> dict[str, Any]:
    """What is predicted on images whose truth is background only."""
    foreground = list(classes.foreground)
    alarms = [int(image.confusion.predicted[foreground].sum()) for image in images]
    shares = [alarm / image.confusion.total for alarm, image in zip(alarms, images, strict=True)]
    pixels = sum(image.confusion.total for image in images)
    return {
        "images": len(images),
        "images_with_false_alarm": sum(alarm > 0 for alarm in alarms),
        "pixels": pixels,
        "false_alarm_pixels": sum(alarms),
        "false_alarm_share": sum(alarms) / pixels if pixels else None,
        "largest_share_in_an_image": max(shares, default=None),
    }


def total(images: Sequence[ImageScores], classes: Classes) -> ConfusionMatrix:
    """The images' confusion matrices added up."""
    return sum((image.confusion for image in images), ConfusionMatrix(len(classes)))


def image_row(image: ImageScores, classes: Classes) -> dict[str, Any]:
    """One row of `per_image.csv`."""
    confusion = image.confusion
    row: dict[str, Any] = {
        "id": image.id,
        "image": image.image,
        "height": image.height,
        "width": image.width,
        "counted_pixels": confusion.total,
        "ignored_pixels": image.ignored,
        "wrong_pixels": image.errors,
        "has_foreground": image.has_foreground(classes),
        "score": image.score(classes),
        "pixel_accuracy": _number(confusion.pixel_accuracy),
    }
    if image.applicability is not None:
        row["applicability"] = image.applicability
    for label in classes.foreground:
        name = classes.names[label]
        row |= {f"{measure}_{name}": _number(getattr(confusion, measure)[label]) for measure in MEASURES}
        row[f"truth_pixels_{name}"] = int(confusion.truth[label])
        row[f"predicted_pixels_{name}"] = int(confusion.predicted[label])
    return row


def _number(value: float) -> float | None:
    """A plain float, or None for what cannot be measured."""
    return float(value) if math.isfinite(value) else None
