"""What the pixels of each object say: sums, extremes and where they are, added up piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .corners import Ints

Floats = NDArray[np.float64]


@dataclass
class Zonal:
    """Of each of several objects and one layer of values: count, sum, extremes and their first positions.

    A position is the number of the pixel in reading order of the raster. Pixels that are NaN do not count;
    without any, the extremes are infinite and their positions the largest integer.
    """

    counts: Ints
    sums: Floats
    highest: Floats
    lowest: Floats
    highest_at: Ints
    lowest_at: Ints

    @classmethod
    def nothing(cls, count: int) -> Zonal:
        """`count` objects without a pixel."""
        nowhere = np.full(count, np.iinfo(np.int64).max)
        return cls(
            np.zeros(count, np.int64),
            np.zeros(count),
            np.full(count, -np.inf),
            np.full(count, np.inf),
            nowhere,
            nowhere.copy(),
        )

    @classmethod
    def of_runs(cls, values: NDArray[np.floating], lengths: Ints, positions: Ints) -> Zonal:
        """One object a run, for the values of its pixels in their order and the position of its first."""
        first = np.cumsum(lengths) - lengths
        values = values.astype(np.float64)
        known = np.isfinite(values)
        top = np.where(known, values, -np.inf)
        bottom = np.where(known, values, np.inf)
        highest, lowest = np.maximum.reduceat(top, first), np.minimum.reduceat(bottom, first)
        shift = positions - first
        return cls(
            np.add.reduceat(known.astype(np.int64), first),
            np.add.reduceat(np.where(known, values, 0.0), first),
            highest,
            lowest,
            _first_equal(top, highest, lengths, shift, known),
            _first_equal(bottom, lowest, lengths, shift, known),
        )

    def grouped(self, groups: Ints, count: int) -> Zonal:
        """The same pixels as `count` objects, where object i becomes part of `groups[i]`."""
        whole = Zonal.nothing(count)
        whole.add(self, groups)
        return whole

    def add(self, part: Zonal, groups: Ints) -> None:
        """Take in the pixels of other objects: those of object i go to `groups[i]`."""
        self.counts += np.bincount(groups, part.counts, len(self.counts)).astype(np.int64)
        self.sums += np.bincount(groups, part.sums, len(self.sums))
        self.highest, self.highest_at = _extreme(
            np.maximum, self.highest, self.highest_at, part.highest, part.highest_at, groups
        )
        self.lowest, self.lowest_at = _extreme(
            np.minimum, self.lowest, self.lowest_at, part.lowest, part.lowest_at, groups
        )

    def take(self, which: NDArray[np.bool_] | Ints) -> Zonal:
        """Some of the objects."""
        return Zonal(
            self.counts[which], self.sums[which], self.highest[which], self.lowest[which],
            self.highest_at[which], self.lowest_at[which],
        )  # fmt: skip

    @property
    def means(self) -> Floats:
        """Mean of each object, NaN without a value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.counts > 0, self.sums / self.counts, np.nan)


def stacked(parts: list[Zonal]) -> Zonal:
    """The objects of several pieces, one after the other."""
    return Zonal(
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.highest for part in parts]),
        np.concatenate([part.lowest for part in parts]),
        np.concatenate([part.highest_at for part in parts]),
        np.concatenate([part.lowest_at for part in parts]),
    )


@dataclass
class ObjectTable:
    """Label, number of pixels and zonal values of objects."""

    labels: NDArray[np.uint8]
    pixels: Ints
    layers: dict[str, Zonal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, which: NDArray[np.bool_] | Ints) -> ObjectTable:
        """Some of the objects."""
        layers = {name: layer.take(which) for name, layer in self.layers.items()}
        return ObjectTable(self.labels[which], self.pixels[which], layers)

    def grouped(self, groups: Ints, count: int) -> ObjectTable:
        """Objects that are parts of `count` larger ones, put together."""
        labels = np.zeros(count, np.uint8)
        labels[groups] = self.labels
        pixels = np.bincount(groups, self.pixels, count).astype(np.int64)
        layers = {name: layer.grouped(groups, count) for name, layer in self.layers.items()}
        return ObjectTable(labels, pixels, layers)


def table_of(parts: list[ObjectTable]) -> ObjectTable:
    """The objects of several tables, one after the other."""
    return ObjectTable(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        {name: stacked([part.layers[name] for part in parts]) for name in parts[0].layers},
    )


def _first_equal(
    values: Floats, wanted: Floats, lengths: Ints, shift: Ints, known: NDArray[np.bool_]
) -> Ints:
    """Position of the first value of each run that equals the one wanted."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    hits = np.flatnonzero((values == wanted[run]) & known)
    where = np.full(len(lengths), np.iinfo(np.int64).max)
    where[run[hits[::-1]]] = hits[::-1] + shift[run[hits[::-1]]]
    return where


def _extreme(
    better: np.ufunc, values: Floats, places: Ints, new_values: Floats, new_places: Ints, groups: Ints
) -> tuple[Floats, Ints]:
    """The better value of each group, and its first place."""
    best = values.copy()
    better.at(best, groups, new_values)
    where = np.where(values == best, places, np.iinfo(np.int64).max)
    same = new_values == best[groups]
    np.minimum.at(where, groups[same], new_places[same])
    return best, where
