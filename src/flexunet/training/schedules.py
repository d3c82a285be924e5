"""The learning rate as a function of the step, and what watches a value from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.schema import TrainConfig

ONECYCLE_START, ONECYCLE_END = 1 / 25, 1 / 250_000
"""Rates before and after, as shares of the peak (PyTorch's OneCycleLR: div_factor 25, final_div_factor
1e4).
"""
PLATEAU_MIN_DELTA = 1e-4
"""An improvement smaller than this is none, as in Keras' ReduceLROnPlateau."""


def learning_rate(train: TrainConfig, step: int, total_steps: int, plateau_factor: float = 1.0) -> float:
    """The rate of optimiser step `step` (from 0) of `total_steps`.

    constant: the peak. plateau: the peak times what the plateau has reduced it to. cosine: linear climb over
    the warm-up, then half a cosine to 0 (Loshchilov and Hutter 2017). onecycle: half a cosine up from 1/25,
    half a cosine down to 1/250000 (Smith and Topin 2018, in PyTorch's form).
    """
    peak = train.learning_rate
    if train.schedule in ("constant", "plateau"):
        return peak * plateau_factor
    warm = train.warmup * total_steps
    if train.schedule == "cosine":
        if step < warm:
            return peak * (step + 1) / (math.ceil(warm) + 1)
        return peak * _half_cosine((step - warm) / max(total_steps - warm, 1), 1.0, 0.0)
    turn = max(warm - 1, 0.0)
    if step < turn:
        return peak * _half_cosine(step / turn, ONECYCLE_START, 1.0)
    return peak * _half_cosine((step - turn) / max(total_steps - 1 - turn, 1), 1.0, ONECYCLE_END)


def _half_cosine(share: float, start: float, end: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


@dataclass
class Plateau:
    """Multiplies the rate by a factor after `patience` epochs in which the loss did not fall by
    `PLATEAU_MIN_DELTA`.
    """

    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def update(self, loss: float, *, patience: int, reduce_by: float) -> bool:
        """Take in an epoch's loss; True when the rate was reduced."""
        if loss < self.best - PLATEAU_MIN_DELTA:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited < patience:
            return False
        self.waited, self.factor = 0, self.factor * reduce_by
        return True


@dataclass
class Best:
    """The best epoch so far by a value that is to be as large as possible, and how long ago it was."""

    value: float = -math.inf
    epoch: int = -1
    waited: int = 0

    def update(self, value: float, epoch: int) -> bool:
        """Take in an epoch's value; True when it is the best so far. A value that is not a number
        never is.
        """
        if value > self.value:
            self.value, self.epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False
