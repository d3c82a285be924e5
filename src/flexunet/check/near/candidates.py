"""Which pictures may be copies: by thumbnails for whole pictures, by words of local features for parts.

Words: descriptors are sorted into cells by a two-level k-means tree (Nister & Stewenius, CVPR 2006). Two
features of one cell that are near each other vote for their pictures, in a bin of turn and zoom, for a true
copy turns and zooms all features alike (weak geometric consistency: Jegou, Douze, Schmid, ECCV 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .features import Features, mirrored

BRANCHES = 96
"""Cells of each of the two levels of the tree."""
TRAINED_ON = 40_000
"""Descriptors that the tree is made from."""
NEAR = 110.0
"""Largest distance of descriptors (length about 255) that vote."""
COMMON = 4
"""A feature near more others than this has a smaller say."""
LEAST_VOTES = 3.0
MOST_MATES = 40
"""Candidates that one picture may propose of each kind, best first."""
CROWD = 400
"""Entries of a cell beyond which a feature meets its next ones only: frequent texture says nothing."""
LEAST_THUMB = 0.55
"""Least correlation of thumbnails that proposes a pair."""

TURN_BINS, ZOOM_BINS = 12, 9


@dataclass(frozen=True, order=True)
class Candidate:
    """Pictures `first` < `second` that may show the same ground, one of them mirrored or not."""

    first: int
    second: int
    mirror: bool
    votes: float
    """Features that agree in turn and zoom, common ones counted less; 0: only the thumbnails are alike."""
    thumb: float
    """Correlation of the thumbnails in the best of eight positions; 0 where not compared or low."""
    position: int | None
    """Quarter turns (0 to 3, anticlockwise) of the second's thumbnail, plus 4 if it was mirrored first."""


def propose(features: Sequence[Features], seed: int = 0) -> list[Candidate]:
    """Candidates of both kinds, the most likely ones first."""
    found: dict[tuple[int, int, bool], Candidate] = {}
    for candidate in (*_by_words(features, seed), *whole_candidates(features)):
        key = candidate.first, candidate.second, candidate.mirror
        known = found.get(key)
        if known is not None:
            candidate = Candidate(*key, known.votes, candidate.thumb, candidate.position)
        found[key] = candidate
    return sorted(found.values(), key=lambda c: (-(c.votes / 10 + c.thumb), c.first, c.second, c.mirror))


# ------------------------------------------------------------------------------------ thumbnails


def whole_candidates(features: Sequence[Features]) -> list[Candidate]:
    """Pairs whose thumbnails are alike in one of eight positions."""
    thumbs = np.stack([item.thumb for item in features])
    flat = thumbs.reshape(len(thumbs), -1)
    found: list[Candidate] = []
    positions = np.concatenate([dihedral(thumbs, position).reshape(len(thumbs), -1) for position in range(8)])
    for start in range(0, len(flat), 256):
        rows = flat[start : start + 256]
        alike = (rows @ positions.T).reshape(len(rows), 8, len(thumbs))
        best_position, best = alike.argmax(1), alike.max(1)
        later = np.arange(len(thumbs))[None] > np.arange(start, start + len(rows))[:, None]
        best = np.where(later, best, 0)
        for row, scores in enumerate(best):
            mates = np.flatnonzero(scores >= LEAST_THUMB)
            for mate in mates[np.argsort(-scores[mates], kind="stable")][:MOST_MATES].tolist():
                position = int(best_position[row, mate])
                found.append(Candidate(start + row, mate, position >= 4, 0.0, float(scores[mate]), position))
    return found


def dihedral(pictures: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    """Pictures (n, h, w) mirrored left to right if `position` >= 4, then turned by its quarters."""
    turned = pictures[:, :, ::-1] if position >= 4 else pictures
    return np.rot90(turned, position % 4, axes=(1, 2))


# ------------------------------------------------------------------------------------ words


def _by_words(features: Sequence[Features], seed: int) -> list[Candidate]:
    counts = np.array([len(item.points) for item in features])
    if counts.sum() < 2:
        return []
    owners = np.repeat(np.arange(len(features), dtype=np.int32), counts)
    points = np.concatenate([item.points for item in features])
    descriptors = np.concatenate([item.descriptors for item in features])
    tree = _grow(descriptors, seed)
    words = _words(descriptors, tree)
    found = _votes(owners, points, descriptors, words, owners, points, descriptors, words, mirror=False)
    other = mirrored(descriptors)
    reflected = points.copy()
    reflected[:, 3] = -reflected[:, 3]
    found += _votes(
        owners, reflected, other, _words(other, tree), owners, points, descriptors, words, mirror=True
    )
    return found


Tree = tuple[NDArray[np.float32], NDArray[np.float32]]


def _grow(descriptors: NDArray[np.uint8], seed: int) -> Tree:
    """Centres of the first level (k, 128) and of the second (k, k, 128)."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(descriptors))[:TRAINED_ON]
    sample = descriptors[np.sort(chosen)].astype(np.float32)
    branches = min(BRANCHES, max(1, int(np.sqrt(len(sample) / 4))))
    first = _k_means(sample, branches, generator)
    cells = _nearest(sample, first)
    second = np.stack(
        [
            _k_means(members if len(members) else first[cell : cell + 1], branches, generator)
            for cell, members in ((cell, sample[cells == cell]) for cell in range(branches))
        ]
    )
    return first, second


def _k_means(
    sample: NDArray[np.float32], count: int, generator: np.random.Generator, rounds: int = 6
) -> NDArray[np.float32]:
    """Lloyd's algorithm from random members; with too few of them centres repeat."""
    start = generator.permutation(len(sample))
    centres = sample[np.resize(start, count)].copy()
    for _ in range(rounds):
        cells = _nearest(sample, centres)
        sizes = np.bincount(cells, minlength=count)
        order = np.argsort(cells, kind="stable")
        filled = np.flatnonzero(sizes)
        starts = np.r_[0, np.cumsum(sizes[filled])[:-1]]
        centres[filled] = np.add.reduceat(sample[order], starts, axis=0) / sizes[filled, None]
    return centres


def _nearest(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    distances = (centres**2).sum(1) - 2 * (rows @ centres.T)
    return np.asarray(distances.argmin(1), np.int64)


def _words(descriptors: NDArray[np.uint8], tree: Tree) -> NDArray[np.int32]:
    first, second = tree
    words = np.empty(len(descriptors), np.int32)
    cells = np.empty(len(descriptors), np.int64)
    for start in range(0, len(descriptors), 65536):
        part = descriptors[start : start + 65536].astype(np.float32)
        cells[start : start + 65536] = _nearest(part, first)
    for cell in range(len(first)):
        members = np.flatnonzero(cells == cell)
        if len(members):
            inside = _nearest(descriptors[members].astype(np.float32), second[cell])
            words[members] = cell * second.shape[1] + inside
    return words


def _votes(
    owners_a: NDArray[np.int32],
    points_a: NDArray[np.float32],
    descriptors_a: NDArray[np.uint8],
    words_a: NDArray[np.int32],
    owners_b: NDArray[np.int32],
    points_b: NDArray[np.float32],
    descriptors_b: NDArray[np.uint8],
    words_b: NDArray[np.int32],
    *,
    mirror: bool,
) -> list[Candidate]:
    """Candidates from near features of one word; `a` may be the mirrored side of the same pictures."""
    order_b = np.argsort(words_b, kind="stable")
    sorted_b = words_b[order_b]
    left = np.searchsorted(sorted_b, words_a, "left")
    right = np.searchsorted(sorted_b, words_a, "right")
    right = np.minimum(right, left + CROWD)
    keys: list[NDArray[np.int64]] = []
    weights: list[NDArray[np.float64]] = []
    block = 20_000
    for start in range(0, len(words_a), block):
        low, high = left[start : start + block], right[start : start + block]
        sizes = high - low
        one = np.repeat(np.arange(start, start + len(sizes)), sizes)
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        other = order_b[np.repeat(low, sizes) + offsets]
        apart = owners_a[one] != owners_b[other]
        one, other = one[apart], other[apart]
        near = _near(descriptors_a, one, descriptors_b, other)
        one, other = one[near], other[near]
        mates = np.bincount(one - start, minlength=len(sizes))
        before = owners_a[one] < owners_b[other]
        one, other = one[before], other[before]
        keys.append(_keys(owners_a, points_a, one, owners_b, points_b, other))
        # what is like many others says little
        weights.append(np.minimum(1.0, COMMON / np.maximum(mates[one - start], 1)))
    return _best(np.concatenate(keys), np.concatenate(weights), mirror)


def _near(
    a: NDArray[np.uint8], one: NDArray[np.int64], b: NDArray[np.uint8], other: NDArray[np.int64]
) -> NDArray[np.bool_]:
    near = np.zeros(len(one), np.bool_)
    for start in range(0, len(one), 100_000):
        part = slice(start, start + 100_000)
        gap = a[one[part]].astype(np.float32)
        gap -= b[other[part]]
        near[part] = np.einsum("ij,ij->i", gap, gap) <= NEAR**2
    return near


def _keys(
    owners_a: NDArray[np.int32],
    points_a: NDArray[np.float32],
    one: NDArray[np.int64],
    owners_b: NDArray[np.int32],
    points_b: NDArray[np.float32],
    other: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Pair of pictures, turn and zoom of each match in one number."""
    turn = (points_b[other, 3] - points_a[one, 3]) / (2 * np.pi) * TURN_BINS
    zoom = np.log2(points_b[other, 2] / points_a[one, 2]) + ZOOM_BINS / 2
    turn_bin = np.floor(turn).astype(np.int64) % TURN_BINS
    zoom_bin = np.clip(np.floor(zoom).astype(np.int64), 0, ZOOM_BINS - 1)
    pair = owners_a[one].astype(np.int64) << 32 | owners_b[other].astype(np.int64) << 8
    keys: NDArray[np.int64] = pair | (turn_bin * ZOOM_BINS + zoom_bin)
    return keys


def _best(keys: NDArray[np.int64], weights: NDArray[np.float64], mirror: bool) -> list[Candidate]:
    """Each pair's votes: of the best turn and its neighbour, in the best zoom and its neighbours."""
    if not len(keys):
        return []
    bins, which = np.unique(keys, return_inverse=True)
    counts = np.bincount(which, weights=weights)
    pairs = bins >> 8
    starts = np.flatnonzero(np.r_[True, pairs[1:] != pairs[:-1]])
    totals = np.add.reduceat(counts, starts)
    ends = np.r_[starts[1:], len(pairs)]
    found: list[Candidate] = []
    for index in np.flatnonzero(totals >= LEAST_VOTES).tolist():
        part = slice(starts[index], ends[index])
        table = np.zeros((TURN_BINS, ZOOM_BINS))
        table.ravel()[bins[part] & 0xFF] = counts[part]
        turns = table + np.roll(table, 1, 0)
        zooms = turns[:, :-1] + turns[:, 1:]
        votes = float(zooms.max())
        if votes >= LEAST_VOTES:
            pair = int(pairs[starts[index]])
            found.append(Candidate(pair >> 24, pair & 0xFFFFFF, mirror, votes, 0.0, None))
    return _strongest(found)


def _strongest(found: list[Candidate]) -> list[Candidate]:
    """Of each picture's candidates the best `MOST_MATES`."""
    taken: dict[int, int] = {}
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda item: (-item.votes, item.first, item.second)):
        ends = candidate.first, candidate.second
        if min(taken.get(end, 0) for end in ends) < MOST_MATES:
            kept.append(candidate)
            for end in ends:
                taken[end] = taken.get(end, 0) + 1
    return kept
