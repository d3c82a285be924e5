"""A class of its own for what the model should not decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes, Colour
from ..errors import ConfigError

NAME = "unsure"
_GREYS: tuple[Colour, ...] = ((150, 150, 150), (190, 190, 190), (110, 110, 110))


@dataclass(frozen=True)
class Unsure:
    """Below which values a pixel's class is left open."""

    applicability: float
    """The share of held-out pictures that are at least as far from those of training."""
    margin: float
    """Calibrated probability of the class that was decided less that of the best other one."""

    @classmethod
    def parse(cls, text: str) -> Unsure:
        """`0.05` for both, or `0.05,0.3`: applicability, margin.

        Raises:
            ConfigError: not one or two numbers from 0 to below 1.
        """
        parts = text.split(",")
        try:
            levels = [float(part) for part in parts]
        except ValueError:
            levels = []
        if len(levels) not in (1, 2) or not all(0 <= level < 1 for level in levels):
            raise ConfigError(
                f"--unsure {text}: one level from 0 to below 1, such as 0.05, or two, such as 0.05,0.3 "
                "(of the applicability, and of the margin between the two most probable classes)."
            )
        return cls(levels[0], levels[-1])


def with_unsure(classes: Classes) -> Classes:
    """The classes and, as the last one, `unsure` in a grey that no class has.

    Raises:
        ConfigError: a class is called so already, or there is no label left.
    """
    if NAME in classes.names:
        raise ConfigError(f"the model knows a class {NAME!r} itself; --unsure cannot add another one.")
    if len(classes) > 254:
        raise ConfigError(f"--unsure: {len(classes)} classes leave no label for another one.")
    grey = next(colour for colour in _all_greys() if colour not in classes.colours)
    return Classes(
        names=(*classes.names, NAME), colours=(*classes.colours, grey), background=classes.background
    )


def is_unsure(
    labels: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    applicability: NDArray[np.float32] | None,
    unsure: Unsure,
) -> NDArray[np.bool_]:
    """Which pixels (h, w) to leave open, for decided labels (h, w), calibrated probabilities (K, h, w).

    Where a threshold decided against the likelier class, the margin is negative: such pixels are open at any
    level of the margin but 0, which switches it off.
    """
    open_ = np.zeros(labels.shape, np.bool_)
    if unsure.margin > 0:
        open_ |= margin(labels, probabilities) < np.float32(unsure.margin)
    if applicability is not None and unsure.applicability > 0:
        open_ |= applicability < np.float32(unsure.applicability)
    return open_


def margin(labels: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of the decided class less that of the best other one, float32 (h, w), -1 to 1."""
    place = labels[None].astype(np.intp)
    others = probabilities.copy()
    np.put_along_axis(others, place, np.float32(-1), 0)
    found: NDArray[np.float32] = np.take_along_axis(probabilities, place, 0)[0] - others.max(0)
    return found


def _all_greys() -> tuple[Colour, ...]:
    return (*_GREYS, *((value, value, value) for value in range(255, -1, -1)))
