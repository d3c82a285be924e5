"""Scores: the confusion matrix and what follows from it; the reference's numbers under their own names."""

from .confusion import ConfusionMatrix
from .reference import REFERENCE_LOSSES, REFERENCE_METRICS, reference_dice_multiclass

__all__ = ["REFERENCE_LOSSES", "REFERENCE_METRICS", "ConfusionMatrix", "reference_dice_multiclass"]
