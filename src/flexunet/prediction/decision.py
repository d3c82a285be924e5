"""From what the network says of each pixel to classes: calibration, threshold, and what is left open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..modelfile import Calibration
from .applicability import Familiar
from .calibrate import calibrate, decide
from .unsure import Unsure, is_unsure


@dataclass(frozen=True)
class Decided:
    """Pixels of a strip (h, w)."""

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    """float32 (K, h, w), calibrated; where they were asked for."""
    applicability: NDArray[np.float32] | None
    """float32 (h, w), 0 to 1; where it was asked for."""


@dataclass(frozen=True)
class Decision:
    """How labels come of probabilities. A plain value that can be sent to another process."""

    classes: Classes
    """Those the network knows."""
    calibration: Calibration | None = None
    familiar: Familiar | None = None
    """Where the last plane is the distance from training."""
    unsure: Unsure | None = None

    @property
    def planes(self) -> int:
        """The planes that come from the network: a probability a class, and the distance."""
        return len(self.classes) + (self.familiar is not None)

    def of(
        self, planes: NDArray[np.float32], *, probabilities: bool = False, applicability: bool = False
    ) -> Decided:
        """Classes of float32 (K, h, w) or, with the distance, (K + 1, h, w); more on request."""
        raw = planes[: len(self.classes)]
        labels = decide(raw, self.calibration, self.classes)
        calibrated = share = None
        if probabilities or self.unsure is not None:
            calibrated = calibrate(raw, self.calibration)
        if self.familiar is not None and (applicability or self.unsure is not None):
            share = self.familiar.value(planes[len(self.classes)])
        if self.unsure is not None:
            assert calibrated is not None
            labels[is_unsure(labels, calibrated, share, self.unsure)] = len(self.classes)
        return Decided(labels, calibrated, share)
