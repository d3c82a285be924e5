"""Which pictures may be copies: by thumbnails for whole pictures, by words of local features for parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .features import Features
from .votes import Vote, vote

MOST_MATES = 40
"""Candidates that one picture may propose of each kind, best first."""
LEAST_THUMB = 0.65
"""Least correlation of thumbnails that proposes a pair."""
_ROWS = 256
"""Thumbnails that are compared with all others at a time."""


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
    found = {
        (item.first, item.second, item.mirror): Candidate(
            item.first, item.second, item.mirror, item.votes, 0.0, None
        )
        for item in _strongest(vote(features, seed))
    }
    for candidate in whole_candidates(features):
        key = candidate.first, candidate.second, candidate.mirror
        votes = found[key].votes if key in found else 0.0
        found[key] = Candidate(*key, votes, candidate.thumb, candidate.position)
    return sorted(found.values(), key=lambda c: (-(c.votes / 10 + c.thumb), c.first, c.second, c.mirror))


def whole_candidates(features: Sequence[Features]) -> list[Candidate]:
    """Pairs whose thumbnails are alike in one of eight positions.

    Time grows with the square of the number of pictures, at about 10 ns a pair: a second for 10 000 of them.
    """
    thumbs = np.stack([item.thumb for item in features])
    count = len(thumbs)
    flat = thumbs.reshape(count, -1)
    positions = np.stack([dihedral(thumbs, position).reshape(count, -1) for position in range(8)])
    found: list[Candidate] = []
    for start in range(0, count, _ROWS):
        rows = flat[start : start + _ROWS]
        best, best_position = np.full((len(rows), count - start), -1.0, np.float32), None
        best_position = np.zeros(best.shape, np.int8)
        for position in range(8):
            alike = rows @ positions[position, start:].T
            better = alike > best
            best[better] = alike[better]
            best_position[better] = position
        best[np.tril_indices(len(rows), 0, best.shape[1])] = 0  # each pair once, none with itself
        for row in np.flatnonzero((best >= LEAST_THUMB).any(1)).tolist():
            mates = np.flatnonzero(best[row] >= LEAST_THUMB)
            for mate in mates[np.argsort(-best[row, mates], kind="stable")][:MOST_MATES].tolist():
                position = int(best_position[row, mate])
                pair = start + row, start + mate
                found.append(Candidate(*pair, position >= 4, 0.0, float(best[row, mate]), position))
    return found


def dihedral(pictures: NDArray[np.float32], position: int) -> NDArray[np.float32]:
    """Pictures (n, h, w) mirrored left to right if `position` >= 4, then turned by its quarters."""
    turned = pictures[:, :, ::-1] if position >= 4 else pictures
    return np.rot90(turned, position % 4, axes=(1, 2))


def _strongest(found: Sequence[Vote]) -> list[Vote]:
    """Of each picture's candidates the best `MOST_MATES`."""
    taken: dict[int, int] = {}
    kept: list[Vote] = []
    for item in sorted(found, key=lambda item: (-item.votes, item.first, item.second)):
        ends = item.first, item.second
        if min(taken.get(end, 0) for end in ends) < MOST_MATES:
            kept.append(item)
            for end in ends:
                taken[end] = taken.get(end, 0) + 1
    return kept
