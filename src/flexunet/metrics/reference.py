"""The reference system's own numbers, by its own definitions and under its own names.

They are kept so that its users can compare; none of them is a class IoU or F1. Everywhere:
`probabilities` is float (B, K, H, W) or (K, H, W), `labels` integer (B, H, W) or (H, W); y is the one-hot
truth, p the probabilities. K = 1 is the reference's one-class form: p is the probability of class 1 and y
says where class 1 is. Pixels with IGNORE_INDEX are left out of both. Sources: the reference's `losses.py`
and metrics; Keras 2 for cross-entropies and accuracies.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX

Floats = NDArray[np.float64]
Measure = Callable[[NDArray[Any], NDArray[Any]], float]

_KERAS_EPSILON = 1e-7


def reference_dice_multiclass(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`dice_coef_multiclass`: mean over images of (2 sum(yp) + 1) / (sum y + sum p + 1), over classes too.

    Despite its name no Dice: with probabilities that add up to 1 it is the mean probability of the true
    class, a soft pixel accuracy in which the background counts as much as any class.
    """
    truth, p, _ = _one_hot(probabilities, labels)
    axes = (1, 2, 3)
    return float(np.mean((2 * (truth * p).sum(axes) + 1) / (truth.sum(axes) + p.sum(axes) + 1)))


def dice_coef(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`dice_coef`: (2 sum(y p) + 1) / (sum(y) + sum(p) + 1) over the whole batch and all classes."""
    truth, p, _ = _one_hot(probabilities, labels)
    return float((2 * (truth * p).sum() + 1) / (truth.sum() + p.sum() + 1))


def iou_coef(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`iou_coef`: sum(y p) / sum(y + p - y p) over batch and classes; 0 where that is 0 / 0."""
    truth, p, _ = _one_hot(probabilities, labels)
    union = (truth + p - truth * p).sum()
    return float((truth * p).sum() / union) if union > 0 else 0.0


def sensitivity(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`sensitivity`: sum(round(y p)) / (sum(y) + 1e-7), over all classes."""
    truth, p, _ = _one_hot(probabilities, labels)
    return float(np.round((truth * p).clip(0, 1)).sum() / (truth.sum() + _KERAS_EPSILON))


def specificity(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`specificity`: sum(round((1-y)(1-p))) / (sum(1-y) + 1e-7), over all classes."""
    truth, p, counted = _one_hot(probabilities, labels)
    others = (1 - truth) * counted
    return float(np.round((others * (1 - p)).clip(0, 1)).sum() / (others.sum() + _KERAS_EPSILON))


def categorical_accuracy(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Keras `accuracy`: share of pixels whose most probable class is the true one."""
    truth, p, counted = _one_hot(probabilities, labels)
    if p.shape[1] == 1:
        return binary_accuracy(probabilities, labels)
    return _mean(p.argmax(1) == truth.argmax(1), counted[:, 0])


def binary_accuracy(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Keras `binary_accuracy`: share of (pixel, class) entries with y = [p > 0.5]."""
    truth, p, counted = _one_hot(probabilities, labels)
    return _mean((p > 0.5) == (truth > 0.5), np.broadcast_to(counted, p.shape))


def categorical_crossentropy(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Keras `categorical_crossentropy`: mean of -log p of the true class; p sums to 1, clipped to 1e-7."""
    truth, p, counted = _one_hot(probabilities, labels)
    p = (p / np.maximum(p.sum(1, keepdims=True), _KERAS_EPSILON)).clip(_KERAS_EPSILON, 1 - _KERAS_EPSILON)
    return _mean(-(truth * np.log(p)).sum(1), counted[:, 0])


def binary_crossentropy(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Keras `binary_crossentropy`: mean of -(y log p + (1-y) log(1-p)), over classes too; p clipped."""
    truth, p, counted = _one_hot(probabilities, labels)
    p = p.clip(_KERAS_EPSILON, 1 - _KERAS_EPSILON)
    entropy = -(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    return _mean(entropy, np.broadcast_to(counted, p.shape))


def ssim_loss(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """`ssim_loss`: 1 - SSIM(y, p) (Wang et al. 2004, IEEE TIP 13:600; range 1, Gauss 11 x 11, sigma 1.5).

    Mean over images, classes and positions where the window fits; smaller images use their whole as window.
    """
    truth, p, _ = _one_hot(probabilities, labels)
    planes = zip(truth.reshape(-1, *truth.shape[2:]), p.reshape(-1, *p.shape[2:]), strict=True)
    return 1 - float(np.mean([_ssim(y, q) for y, q in planes]))


def _losses() -> dict[str, Measure]:
    def dice_loss(p: NDArray[Any], y: NDArray[Any]) -> float:
        return 1 - dice_coef(p, y)

    def iou_loss(p: NDArray[Any], y: NDArray[Any]) -> float:
        return 1 - iou_coef(p, y)

    return {
        "categorical_crossentropy": categorical_crossentropy,
        "binary_crossentropy": binary_crossentropy,
        "dice_loss_multiclass": lambda p, y: 1 - reference_dice_multiclass(p, y),
        "dice_loss": dice_loss,
        "bce_dice_loss": lambda p, y: (binary_crossentropy(p, y) + dice_loss(p, y)) / 2,
        "jacard_loss": iou_loss,
        "iou_loss": iou_loss,
        "bce_iou_loss": lambda p, y: (binary_crossentropy(p, y) + iou_loss(p, y)) / 2,
        "ssim_loss": ssim_loss,
        "basnet_hybrid_loss": lambda p, y: (binary_crossentropy(p, y) + ssim_loss(p, y) + iou_loss(p, y)) / 3,
    }


REFERENCE_LOSSES = MappingProxyType(_losses())
"""The reference's losses by name."""

REFERENCE_METRICS: MappingProxyType[str, Measure] = MappingProxyType(
    {
        "dice_coef_multiclass": reference_dice_multiclass,
        "dice_coef": dice_coef,
        "iou_coef": iou_coef,
        "jacard_similarity": iou_coef,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "accuracy": categorical_accuracy,
        "categorical_accuracy": categorical_accuracy,
        "binary_accuracy": binary_accuracy,
        **{name: loss for name, loss in REFERENCE_LOSSES.items() if name != "ssim_loss"},
    }
)
"""What a reference config may name as metric."""


def _one_hot(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Truth y (B, K, H, W), probabilities p with ignored pixels at 0, and counted (B, 1, H, W) as 0 or 1."""
    p = np.asarray(probabilities, np.float64)
    p, y = (p[None], labels[None]) if p.ndim == 3 else (p, labels)
    if p.ndim != 4 or y.shape != (p.shape[0], *p.shape[2:]):
        found = f"{probabilities.shape} and {labels.shape}"
        raise ValueError(f"probabilities are (B, K, H, W) and labels (B, H, W); found {found}")
    counted = (y != IGNORE_INDEX)[:, None].astype(np.float64)
    channels = np.arange(p.shape[1]) if p.shape[1] > 1 else np.ones(1, np.int64)
    truth = (y[:, None] == channels[:, None, None]).astype(np.float64) * counted
    return truth, p * counted, counted


def _mean(values: NDArray[Any], counted: Floats) -> float:
    """Mean of the counted values; 0 when there are none, as an empty Keras batch gives."""
    weight = counted.sum()
    return float((values * counted).sum() / weight) if weight else 0.0


def _ssim(first: Floats, second: Floats) -> float:
    size = min(11, *first.shape)
    axis = np.arange(size) - (size - 1) / 2
    window = np.exp(-(axis**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image: Floats) -> Floats:
        everywhere = cv2.sepFilter2D(image, cv2.CV_64F, window, window, anchor=(0, 0))
        return np.asarray(everywhere[: image.shape[0] - size + 1, : image.shape[1] - size + 1])

    mean_1, mean_2 = blur(first), blur(second)
    contrast_1, contrast_2 = 0.01**2, 0.03**2
    spread = blur(first**2 + second**2) - mean_1**2 - mean_2**2
    common = blur(first * second) - mean_1 * mean_2
    light = (2 * mean_1 * mean_2 + contrast_1) / (mean_1**2 + mean_2**2 + contrast_1)
    return float(np.mean(light * (2 * common + contrast_2) / (spread + contrast_2)))
