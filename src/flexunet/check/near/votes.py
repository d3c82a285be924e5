"""Which pictures share local features that agree on one turn, zoom and place.

Two features of one word that are near each other vote for their pictures. A true copy turns and zooms all its
features alike and sets its middle in one place (a Hough transform of four dimensions: Lowe, IJCV 2004, 7.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...parallel import in_parallel
from .features import Features, mirrored
from .words import Descriptors, Tree, grow

NEAR = 110.0
"""Largest distance of descriptors (length about 255) that vote."""
COMMON = 20
"""A feature near more others than this has a smaller say."""
LEAST_VOTES = 2.5
CROWD = 512
"""Features of one word that are compared with each other; a fuller cell is cut into such lots, for frequent
texture says nothing."""
TURN_BINS = 12
ZOOM_STEP, MOST_ZOOM_BINS = 0.5, 12
"""In octaves; beyond the last bins all zooms are alike."""
PLACE_STEP, PLACE_BINS = 0.25, 16
"""In edges of the larger picture."""

_Index = NDArray[np.int32]
_Bins = NDArray[np.int64]
_Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Vote:
    """Pictures `first` < `second`, one of them mirrored or not, and the features that agree."""

    first: int
    second: int
    mirror: bool
    votes: float
    """Features that agree in turn, zoom and place, common ones counted less."""


@dataclass(frozen=True)
class _Side:
    """All features of all pictures, in one order."""

    owners: _Index
    points: NDArray[np.float32]
    descriptors: Descriptors
    words: _Index


def vote(features: Sequence[Features], seed: int = 0) -> list[Vote]:
    """Every pair of pictures with enough votes. Time and memory are near linear in the features."""
    counts = np.array([len(item.points) for item in features])
    if counts.sum() < 2:
        return []
    owners = np.repeat(np.arange(len(features), dtype=np.int32), counts)
    sizes = np.array([item.grey.shape for item in features], np.float32)
    points = np.concatenate([item.points for item in features])
    descriptors = np.concatenate([item.descriptors for item in features])
    tree = grow(descriptors, seed)
    plain = _Side(owners, points, descriptors, tree.words(descriptors))

    def voted(mirror: bool) -> list[Vote]:
        return _counted(_turned_over(plain, tree, sizes) if mirror else plain, plain, sizes, mirror=mirror)

    return [found for side in in_parallel(voted, (False, True)) for found in side]


def _turned_over(side: _Side, tree: Tree, sizes: NDArray[np.float32]) -> _Side:
    """What the features would be if every picture were mirrored, upside down."""
    points = side.points * np.array([1, -1, 1, -1], np.float32)
    points[:, 1] += sizes[side.owners, 0] - 1
    descriptors = mirrored(side.descriptors)
    return _Side(side.owners, points, descriptors, tree.words(descriptors))


def _counted(a: _Side, b: _Side, sizes: NDArray[np.float32], *, mirror: bool) -> list[Vote]:
    """Votes from near features of one word; `a` may be the mirrored side of the same pictures."""
    matches = list(_near_features(a, b))
    if not matches:
        return []
    one, other, weight = (np.concatenate(parts) for parts in zip(*matches, strict=True))
    del matches
    count = len(sizes)
    keys = a.owners[one].astype(np.int64) * count + b.owners[other]
    pairs, which = np.unique(keys, return_inverse=True)
    votes = np.bincount(which, weights=weight).astype(np.float64)
    turn, zoom = _turn_and_zoom(a, one, b, other)
    kept = np.flatnonzero(votes[which] >= LEAST_VOTES)
    votes = _most_in_one_bin(which[kept], weight[kept], [turn[kept], zoom[kept]], len(pairs))
    kept = kept[votes[which[kept]] >= LEAST_VOTES]
    places = _places(a, one[kept], b, other[kept], sizes)
    votes = _most_in_one_bin(which[kept], weight[kept], [turn[kept], zoom[kept], *places], len(pairs))
    enough = np.flatnonzero(votes >= LEAST_VOTES)
    return [
        Vote(pair // count, pair % count, mirror, number)
        for pair, number in zip(pairs[enough].tolist(), votes[enough].tolist(), strict=True)
    ]


def _near_features(a: _Side, b: _Side) -> Iterator[tuple[_Index, _Index, _Weights]]:
    """Features of `a` and of `b` of one word and near each other, the first's picture before the second's,
    and what each match counts."""
    order_a, order_b = (np.argsort(side.words, kind="stable").astype(np.int32) for side in (a, b))
    words = np.intersect1d(a.words, b.words)
    sorted_a, sorted_b = a.words[order_a], b.words[order_b]
    limits = [np.searchsorted(held, words, end) for held in (sorted_a, sorted_b) for end in ("left", "right")]
    for left_a, right_a, left_b, right_b in zip(*limits, strict=True):
        lots = -(-max(right_a - left_a, right_b - left_b) // CROWD)
        for members, others in zip(
            np.array_split(order_a[left_a:right_a], lots),
            np.array_split(order_b[left_b:right_b], lots),
            strict=True,
        ):
            x, y = a.descriptors[members].astype(np.float32), b.descriptors[others].astype(np.float32)
            squares = x @ (-2 * y.T)
            squares += np.einsum("ij,ij->i", x, x)[:, None]
            squares += np.einsum("ij,ij->i", y, y)[None]
            rows, columns = np.nonzero(squares <= NEAR**2)
            owner, mate = a.owners[members[rows]], b.owners[others[columns]]
            near = np.bincount(rows[owner != mate], minlength=len(members))
            before = owner < mate
            rows, columns = rows[before], columns[before]
            if len(rows):
                # what is like many others says little
                yield members[rows], others[columns], np.minimum(1.0, COMMON / near[rows]).astype(np.float32)


def _turn_and_zoom(a: _Side, one: _Index, b: _Side, other: _Index) -> tuple[_Bins, _Bins]:
    """Bins of how the second's picture is turned and zoomed in the first's, by each match alone."""
    turn = (a.points[one, 3] - b.points[other, 3]) / (2 * np.pi) * TURN_BINS
    zoom = np.log2(a.points[one, 2] / b.points[other, 2]) / ZOOM_STEP + MOST_ZOOM_BINS / 2
    return (
        np.floor(turn).astype(np.int64) % TURN_BINS,
        np.clip(np.floor(zoom).astype(np.int64), 0, MOST_ZOOM_BINS - 1),
    )


def _places(
    a: _Side, one: _Index, b: _Side, other: _Index, sizes: NDArray[np.float32]
) -> tuple[_Bins, _Bins]:
    """Bins of where the middle of the second's picture lies in the first's, by each match alone."""
    here, there = a.points[one], b.points[other]
    size_a, size_b = sizes[a.owners[one]], sizes[b.owners[other]]
    zoom, turn = here[:, 2] / there[:, 2], here[:, 3] - there[:, 3]
    across, down = (size_b[:, 1] - 1) / 2 - there[:, 0], (size_b[:, 0] - 1) / 2 - there[:, 1]
    x = here[:, 0] + zoom * (np.cos(turn) * across - np.sin(turn) * down)
    y = here[:, 1] + zoom * (np.sin(turn) * across + np.cos(turn) * down)
    step = PLACE_STEP * np.maximum(size_a.max(1), zoom * size_b.max(1))
    x, y = (x - (size_a[:, 1] - 1) / 2) / step, (y - (size_a[:, 0] - 1) / 2) / step
    bins = [np.clip(np.floor(v + PLACE_BINS / 2).astype(np.int64), 0, PLACE_BINS - 1) for v in (x, y)]
    return bins[0], bins[1]


def _most_in_one_bin(
    which: NDArray[np.int64], weight: _Weights, bins: Sequence[_Bins], pairs: int
) -> NDArray[np.float64]:
    """The most votes that a pair (n,) has in one window of two neighbouring bins in each dimension."""
    best = np.zeros(pairs)
    for offsets in product((0, 1), repeat=len(bins)):
        key = which.astype(np.int64)
        for number, (values, offset) in enumerate(zip(bins, offsets, strict=True)):
            window = (values + offset) // 2
            if number == 0:  # turns come round
                window %= TURN_BINS // 2
            key = key * 16 + window
        held, place = np.unique(key, return_inverse=True)
        np.maximum.at(best, held >> 4 * len(bins), np.bincount(place, weights=weight))
    return best
