"""From a network's probabilities to calibrated ones, and from those to classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..metrics.calibration import scale_probabilities, threshold_before_scaling
from ..modelfile import Calibration


def calibrate(probabilities: NDArray[np.float32], calibration: Calibration | None) -> NDArray[np.float32]:
    """Probabilities float32 (K, H, W) as the calibration has them; the same without one."""
    if calibration is None:
        return probabilities
    return scale_probabilities(probabilities, calibration.temperature)


def decide(
    probabilities: NDArray[np.float32], calibration: Calibration | None, classes: Classes
) -> NDArray[np.uint8]:
    """Classes uint8 (H, W) from the network's own probabilities float32 (K, H, W).

    The most probable class; with two classes and a threshold, the foreground from that calibrated
    probability on. The temperature alone changes no class.
    """
    threshold = None if calibration is None else calibration.threshold
    if calibration is None or threshold is None or len(probabilities) != 2 or classes.background is None:
        return most_probable(probabilities)
    cut = np.float32(threshold_before_scaling(threshold, calibration.temperature))
    (foreground,) = classes.foreground
    found = probabilities[foreground] >= cut
    labels: NDArray[np.uint8] = np.where(found, np.uint8(foreground), np.uint8(classes.background))
    return labels


def most_probable(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The most probable class uint8 (H, W) of float32 (K, H, W); the lower one on a tie."""
    if len(probabilities) == 2:
        second: NDArray[np.uint8] = (probabilities[1] > probabilities[0]).view(np.uint8)
        return second
    labels: NDArray[np.uint8] = probabilities.argmax(0).astype(np.uint8)
    return labels
