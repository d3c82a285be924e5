"""Which pictures show the same ground: crops of one scene that overlap, shifted, pixel for pixel.

Two crops of one scene in different splits leak the answer from training into the test. They are found by
their content: where two pictures share ground they have the same anchors (`anchors`). So an anchor of one in
another proposes a shift, and the shift counts when every pixel of the shared rectangle is equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..parallel import in_parallel
from ..progress import Tell
from .anchors import Anchors, Pixels, find_anchors, hash_pixels, refuted
from .components import by_component, join_groups

LEAST_COLOURS = 12
"""Different pixel values that an equal rectangle needs to be a proof: black borders are equal by chance."""
MANY = 32
"""An anchor seen more often than this proposes neighbouring pairs only, which keeps the work linear."""
BUCKETS = 16
"""The anchors are compared in this many shares, one after the other, to bound memory."""
CACHED = 64
"""Decoded pictures that are kept while candidates are verified."""


@dataclass(frozen=True, order=True)
class Overlap:
    """Pictures `first` < `second` share a rectangle of `height` x `width` pixels.

    Pixel (y, x) of `second` is pixel (y + dy, x + dx) of `first`.
    """

    first: int
    second: int
    dy: int
    dx: int
    height: int
    width: int


@dataclass(frozen=True)
class Overlaps:
    """All overlapping pairs among `count` pictures."""

    count: int
    pairs: tuple[Overlap, ...]

    @property
    def groups(self) -> tuple[int, ...]:
        """For every picture the index of the first one that it is connected with, directly or not."""
        return join_groups(self.count, ((pair.first, pair.second) for pair in self.pairs))


def find_overlaps(images: Sequence[Pixels], *, progress: Tell | None = None) -> Overlaps:
    """Every pair of pictures that share ground pixel for pixel, in any shift (no scaling, no turning).

    images: (H, W) or (H, W, C) of any dtype and size; a lazy sequence is fine, each picture is read once for
    its anchors and those with a candidate again. Pictures of different channels or dtype never match.

    Memory: about 2 bytes for each pixel of all pictures (the anchors), at most 16 x `MOST_ANCHORS` a picture,
    and `CACHED` pictures. Time: linear in the number of pixels.
    """

    def look(index: int) -> Anchors:
        return find_anchors(np.asarray(images[index]))

    anchors = list(in_parallel(look, range(len(images)), stage="comparing", progress=progress))
    return match_anchors(anchors, images)


def match_anchors(anchors: Sequence[Anchors], images: Sequence[Pixels]) -> Overlaps:
    """`find_overlaps` for pictures whose anchors are known; only those with a candidate are read again."""
    read = lru_cache(maxsize=CACHED)(lambda index: np.asarray(images[index]))
    shifts = [
        (first, second, dy, dx)
        for first, second, dy, dx in (_propose_shifts(anchors) if anchors else ())
        if not refuted(anchors[first], anchors[second], dy, dx)
    ]

    def prove(component: list[int]) -> list[Overlap]:
        found: dict[tuple[int, int], Overlap] = {}
        for first, second, dy, dx in (shifts[position] for position in component):
            if (first, second) not in found:
                overlap = _verify(first, second, dy, dx, read)
                if overlap is not None:
                    found[first, second] = overlap
        return list(found.values())

    components = by_component(len(images), [(first, second) for first, second, _, _ in shifts])
    proven = (overlap for overlaps in in_parallel(prove, components) for overlap in overlaps)
    return Overlaps(len(images), tuple(sorted(proven)))


# ------------------------------------------------------------------------------------------- shifts and proof


def _propose_shifts(anchors: Sequence[Anchors]) -> list[tuple[int, int, int, int]]:
    """(first, second, dy, dx) of pictures that hold equal anchors, pair by pair, most anchors first."""
    parts = list(in_parallel(lambda bucket: _shifts_of_bucket(anchors, bucket), range(BUCKETS), ahead=1))
    shifts, votes = _counted_rows(
        np.concatenate([rows for rows, _ in parts]), np.concatenate([counts for _, counts in parts])
    )
    order = np.lexsort((shifts[:, 3], shifts[:, 2], -votes, shifts[:, 1], shifts[:, 0]))
    return [(first, second, dy, dx) for first, second, dy, dx in shifts[order].tolist()]


def _shifts_of_bucket(anchors: Sequence[Anchors], bucket: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The shifts (n, 4) that a share of the anchors proposes, and how many propose each (n,)."""
    # by the lower bits large pictures are thinned, and the upper ones of the smallest hashes are alike
    parts = [
        np.flatnonzero((item.hashes >> np.uint64(32)) % np.uint64(BUCKETS) == bucket) for item in anchors
    ]
    owners = np.repeat(np.arange(len(anchors), dtype=np.int64), [len(part) for part in parts])
    hashes, ys, xs = (
        np.concatenate([getattr(item, name)[part] for item, part in zip(anchors, parts, strict=True)])
        for name in ("hashes", "ys", "xs")
    )
    order = np.argsort(hashes, kind="stable")  # within equal hashes by owner
    in_order = hashes[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]][: len(in_order)])
    lengths = np.diff(np.r_[starts, len(in_order)])
    length = np.repeat(lengths, lengths)
    rows = [np.zeros((0, 4), np.int64)]
    for step in range(1, MANY):
        equal = np.flatnonzero(in_order[:-step] == in_order[step:])
        if step > 1:
            equal = equal[length[equal] <= MANY]
        if not len(equal):
            break
        one, other = order[equal], order[equal + step]
        apart = owners[one] != owners[other]
        one, other = one[apart], other[apart]
        rows.append(np.column_stack([owners[one], owners[other], ys[one] - ys[other], xs[one] - xs[other]]))
    found = np.concatenate(rows)
    return _counted_rows(found, np.ones(len(found), np.int64))


def _counted_rows(
    rows: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each different row (n, 4) once, sorted, and the sum of its counts."""
    if not len(rows):
        return rows, counts
    order = np.lexsort(rows.T[::-1])
    rows, counts = rows[order], counts[order]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(1)])
    return rows[starts], np.add.reduceat(counts, starts)


def _verify(first: int, second: int, dy: int, dx: int, read: Callable[[int], Pixels]) -> Overlap | None:
    one, other = read(first), read(second)
    if one.dtype != other.dtype or one.shape[2:] != other.shape[2:]:
        return None
    top, left = max(dy, 0), max(dx, 0)
    bottom, right = min(one.shape[0], other.shape[0] + dy), min(one.shape[1], other.shape[1] + dx)
    shared = one[top:bottom, left:right]
    if not np.array_equal(shared, other[top - dy : bottom - dy, left - dx : right - dx]):
        return None
    if len(np.unique(hash_pixels(shared))) < LEAST_COLOURS:
        return None
    return Overlap(first, second, dy, dx, bottom - top, right - left)
