"""From a block of labels to runs, objects and corners, all at once and without a Python step a pixel.

A run is a stretch of equal labels in one row. A corner is a place on the lattice of pixel edges where the
outline of an object turns; outlines are walked with the object on the right (clockwise on the screen), so
each corner has one horizontal and one vertical leg and is left along one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

EAST, SOUTH, LEAVES_SIDEWAYS = 1, 2, 4
"""Bits of a corner: its horizontal leg points east, its vertical one south, the walk leaves by the first."""

# The pixels around a corner: (rows down, columns right) of the pixel from the lattice point's north-western
# one, and the corner's bits where the pixel alone belongs to the object (convex) and where all but the
# opposite one do (concave).
_QUADRANTS = (
    (0, 0, LEAVES_SIDEWAYS, EAST | SOUTH),
    (0, 1, EAST, SOUTH | LEAVES_SIDEWAYS),
    (1, 0, SOUTH, EAST | LEAVES_SIDEWAYS),
    (1, 1, EAST | SOUTH | LEAVES_SIDEWAYS, 0),
)


@dataclass(frozen=True)
class Runs:
    """The runs of a block in reading order; a position is row x (columns + 1) + column."""

    starts: Ints
    ends: Ints
    """Position after the last pixel."""
    labels: NDArray[np.uint16]
    pitch: int

    def at(self, positions: Ints) -> Ints:
        """Number of the run that holds each position, -1 for none."""
        if not len(self.starts):
            return np.full(len(positions), -1)
        run = np.searchsorted(self.starts, positions, side="right") - 1
        return np.where((run >= 0) & (positions < self.ends[run]), run, -1)

    def first_of_row(self, row: int) -> int:
        """Number of the first run that is not above `row`."""
        return int(np.searchsorted(self.starts, row * self.pitch))


@dataclass(frozen=True)
class Corners:
    """Corners of outlines: where they are, which way they turn, whose they are."""

    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    bits: NDArray[np.uint8]
    owners: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: NDArray[np.bool_]) -> Corners:
        """Some of the corners."""
        return Corners(self.rows[which], self.cols[which], self.bits[which], self.owners[which])

    def owned_by(self, owners: Ints) -> Corners:
        """The same corners under other numbers for their owners."""
        return Corners(self.rows, self.cols, self.bits, owners)


def join(parts: list[Corners]) -> Corners:
    """All corners of several pieces, one after the other."""
    return Corners(
        np.concatenate([part.rows for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.cols for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.bits for part in parts] or [np.empty(0, np.uint8)]),
        np.concatenate([part.owners for part in parts] or [np.empty(0, np.int64)]),
    )


def find_runs_and_corners(codes: NDArray[np.uint16] | NDArray[np.uint8], row: int) -> tuple[Runs, Corners]:
    """Runs of a block, and the corners between its rows, owned by run numbers.

    Args:
        codes: (h + 1, W + 2): the last row above the block, the block, and a column of 0 on both sides; 0 is
            no object.
        row: lattice row between the first two rows of `codes`; the corners' rows count from the raster's top.
    """
    height, width = codes.shape[0] - 1, codes.shape[1] - 2
    pitch = width + 1
    upright = codes[:, 1:] != codes[:, :-1]  # (h + 1, W + 1): an edge left of pixel c
    level = codes[1:] != codes[:-1]  # (h, W + 2): an edge between two rows
    edges = np.flatnonzero(upright)
    edge_row = edges // pitch
    flat = codes.reshape(-1)
    left_pixel = edges + edge_row  # in the pitch of `codes`, which is one wider
    before, after = flat[left_pixel], flat[left_pixel + 1]
    begins = after != 0
    runs = Runs(edges[begins], edges[before != 0], after[begins].astype(np.uint16), pitch)

    turns = np.flatnonzero((upright[:-1] | upright[1:]) & (level[:, :-1] | level[:, 1:]))
    turn_row, turn_col = np.divmod(turns, pitch)
    edge = upright.reshape(-1)
    sides = level.reshape(-1)
    vertical = (edge[turns], edge[turns + pitch])  # north and south of the lattice point
    horizontal = (sides[turns + turn_row], sides[turns + turn_row + 1])  # west and east of it
    parts = []
    for down, right, convex, concave in _QUADRANTS:
        pixel = flat[turns + turn_row + down * (width + 2) + right]
        v, h = vertical[down], horizontal[right]
        chosen = np.flatnonzero((v == h) & (pixel != 0))
        where = turns[chosen] + down * pitch + (right - 1)
        bits = np.where(v[chosen], np.uint8(convex), np.uint8(concave))
        parts.append(
            Corners(
                (turn_row[chosen] + row).astype(np.int32),
                turn_col[chosen].astype(np.int32),
                bits,
                np.searchsorted(runs.starts, where, side="right") - 1,
            )
        )
    assert height > 0
    return runs, join(parts)


def links_down(runs: Runs, *, diagonal: bool = False, any_label: bool = False) -> tuple[Ints, Ints]:
    """Pairs of runs of neighbouring rows that share an edge (`diagonal`: or a corner) and a label.

    With `any_label` their labels do not matter.
    """
    number = np.arange(len(runs.starts))
    asked = [(number, runs.starts - runs.pitch), (number, runs.starts + runs.pitch)]
    if diagonal:
        col = runs.starts % runs.pitch
        has_left = col > 0
        asked.append((number[has_left], runs.starts[has_left] - runs.pitch - 1))
        asked.append((number, runs.ends - runs.pitch))
    first, second = [], []
    for run, position in asked:
        other = runs.at(position)
        good = other >= 0
        if not any_label:
            good &= runs.labels[other] == runs.labels[run]
        first.append(run[good])
        second.append(other[good])
    return np.concatenate(first), np.concatenate(second)


def components(count: int, first: Ints, second: Ints, roots: Ints | None = None) -> Ints:
    """The lowest member for each of `count` things, when `first[i]` and `second[i]` belong together.

    Union-find in array steps: all roots that disagree are hooked to lower ones at once, then every path is
    halved until it is flat; the number of steps grows with the logarithm of the longest chain.
    """
    root = np.arange(count) if roots is None else roots
    while len(first):
        a, b = root[first], root[second]
        apart = a != b
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        root[np.maximum(a, b)] = np.minimum(a, b)
        while True:
            shorter = root[root]
            if np.array_equal(shorter, root):
                break
            root = shorter
    return root
