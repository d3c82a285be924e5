"""Seams in numbers: how often the class changes across tile borders, against everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LineChanges:
    """For each line between two rows or columns: pairs of neighbours, and those of two classes.

    Line i lies between i - 1 and i; line 0 has no pairs. All int64, (H,) and (W,).
    """

    row_changes: Ints
    row_pairs: Ints
    col_changes: Ints
    col_pairs: Ints

    def seam_counts(self, rows: Iterable[int], cols: Iterable[int]) -> Ints:
        """Changes and pairs across these lines, changes and pairs across all others, int64 (4,); the counts
        of several pictures can be added.
        """
        counts = np.zeros(4, np.int64)
        for lines, changes, pairs in (
            (rows, self.row_changes, self.row_pairs),
            (cols, self.col_changes, self.col_pairs),
        ):
            chosen = sorted({line for line in lines if 0 < line < len(pairs)})
            at = np.array([changes[chosen].sum(), pairs[chosen].sum()])
            counts += np.concatenate([at, (changes.sum(), pairs.sum()) - at])
        return counts

    def seam_ratio(self, rows: Iterable[int], cols: Iterable[int]) -> float:
        """The rate of class changes across these lines over the rate across all others.

        1 means that nothing can be seen of the lines; NaN where either rate cannot be measured.
        """
        return rate_ratio(self.seam_counts(rows, cols))

    def shifted_ratios(self, rows: Iterable[int], cols: Iterable[int], shifts: Iterable[int]) -> list[float]:
        """The same for the lines moved by each of `shifts`: what chance alone makes of such a ratio."""
        rows, cols = list(rows), list(cols)
        return [
            self.seam_ratio([line + shift for line in rows], [line + shift for line in cols])
            for shift in shifts
        ]


def rate_ratio(counts: Ints) -> float:
    """The ratio of the two rates that `seam_counts` counted; NaN where either cannot be measured."""
    at_changes, at_pairs, other_changes, other_pairs = (int(value) for value in counts)
    if not at_pairs or not other_changes:
        return float("nan")
    return (at_changes / at_pairs) / (other_changes / other_pairs)


def line_changes(labels: NDArray[Any], ignore_index: int = IGNORE_INDEX) -> LineChanges:
    """Class changes of labels (H, W) by line; pairs with an ignored pixel are not counted.

    Memory: two rows at a time, so memory-mapped labels are never read whole.
    """
    height, width = labels.shape
    row_changes, row_pairs = np.zeros(height, np.int64), np.zeros(height, np.int64)
    col_changes, col_pairs = np.zeros(width, np.int64), np.zeros(width, np.int64)
    above: NDArray[Any] | None = None
    for row in range(height):
        here = np.asarray(labels[row])
        known = here != ignore_index
        beside = known[1:] & known[:-1]
        col_pairs[1:] += beside
        col_changes[1:] += beside & (here[1:] != here[:-1])
        if above is not None:
            both = known & (above != ignore_index)
            row_pairs[row] = both.sum()
            row_changes[row] = (both & (here != above)).sum()
        above = here
    return LineChanges(row_changes, row_pairs, col_changes, col_pairs)
