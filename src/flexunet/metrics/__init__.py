"""Scores: the confusion matrix and what follows from it; the reference's numbers under their own names."""

from .confusion import ConfusionMatrix
from .objects import ObjectCounter, ObjectTally, Regions
from .reference import REFERENCE_LOSSES, REFERENCE_METRICS, reference_dice_multiclass
from .seams import LineChanges, line_changes, rate_ratio

__all__ = [
    "REFERENCE_LOSSES",
    "REFERENCE_METRICS",
    "ConfusionMatrix",
    "LineChanges",
    "ObjectCounter",
    "ObjectTally",
    "Regions",
    "line_changes",
    "rate_ratio",
    "reference_dice_multiclass",
]
