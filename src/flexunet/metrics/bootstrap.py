"""Intervals of pooled scores: groups of images are drawn again, never pixels.

Pixels of one image, and images of one place, are wrong together; an interval that takes them for independent
is far too narrow. The unit that is drawn is the group, and the interval says what another sample of as many
groups would have given.

The percentile interval is too narrow with few groups, above all when some are much larger than others: on
simulated data with 30 groups of very different size it holds the truth in 90 of 100 cases. So its
percentiles are moved outwards as a t-interval would have it (Hesterberg, "What teachers should know about the
bootstrap", The American Statistician 69, 2015, section 5.3: the expanded percentile interval), with the
effective number of groups in place of their number (Kish, "Survey sampling", 1965): (sum w)^2 / sum w^2 for
group sizes w.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
_CELLS = 1 << 22  # drawn group counts held at a time

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Summed counts (R, M) to a score (R,), NaN where it cannot be measured."""


@dataclass(frozen=True)
class Interval:
    """A score of the whole sample and where it would lie for another sample of as many groups."""

    value: float
    low: float
    high: float
    level: float
    groups: int
    effective_groups: float
    above_zero: float
    """Share of the draws with a value above 0; of use for differences."""


def sum_by_group(counts: ArrayLike, groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """Counts (N, M) of images, added up within each group: (G, M), groups in their first order."""
    values = np.asarray(counts, np.float64)
    places: dict[Hashable, int] = {}
    index = [places.setdefault(group, len(places)) for group in groups]
    summed = np.zeros((len(places), values.shape[1]))
    np.add.at(summed, index, values)
    return summed


def bootstrap_interval(
    counts: NDArray[np.float64],
    statistic: Statistic,
    *,
    sizes: ArrayLike | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 137,
) -> Interval | None:
    """The expanded percentile interval of `statistic` over groups; None with fewer than 3 effective groups.

    counts: float64 (G, M), what each group adds to the sums. sizes: how much each group weighs (G,); left
    out: the sum of its counts. For the difference of two systems on the same groups, give the counts of both
    beside each other and a statistic that takes the difference: groups are then drawn in pairs.

    Draws in which the statistic is NaN are left out. Memory: 32 MB for the draws, and 8 bytes a draw and M.
    """
    value = float(statistic(counts.sum(0, keepdims=True))[0])
    weights = np.asarray(counts.sum(1) if sizes is None else sizes, np.float64)
    effective = effective_number(weights)
    if not math.isfinite(value) or effective < 3:
        return None
    drawn = statistic(_draw_sums(counts, draws, seed))
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return None
    tail = expanded_tail((1 - level) / 2, effective)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high), level, len(counts), effective, float((drawn > 0).mean()))


def effective_number(weights: NDArray[np.float64]) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2: the number of equal groups worth as much."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def expanded_tail(tail: float, number: float) -> float:
    """The percentile to read so that the interval has the width of a t-interval of `number` values."""
    stretch = math.sqrt(number / (number - 1)) * t_quantile(tail, number - 1)
    return NormalDist().cdf(stretch)


def t_quantile(tail: float, freedom: float) -> float:
    """Quantile of Student's t for 0 < tail < 1 and any freedom > 0, by its density under x = sqrt(f) tan a,
    which is cos(a) ** (f - 1).
    """
    angles = np.linspace(-math.pi / 2, math.pi / 2, 40001)[1:-1]
    density = np.exp((freedom - 1) * np.log(np.cos(angles)))
    area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = float(np.interp(tail * area[-1], area, angles))
    return math.sqrt(freedom) * math.tan(angle)


def _draw_sums(counts: NDArray[np.float64], draws: int, seed: int) -> NDArray[np.float64]:
    """Sums (R, M) over as many groups as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    number = len(counts)
    at_once = max(1, _CELLS // number)
    parts: list[NDArray[Any]] = []
    for start in range(0, draws, at_once):
        times = rng.multinomial(number, np.full(number, 1 / number), min(at_once, draws - start))
        parts.append(times @ counts)
    return np.concatenate(parts)
