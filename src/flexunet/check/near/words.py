"""Words of local features: descriptors sorted into the cells of a two-level k-means tree.

Nister & Stewenius, "Scalable recognition with a vocabulary tree", CVPR 2006. The number of cells grows with
the number of descriptors, so that a cell stays as full as it is and the work stays near linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IN_A_CELL = 64
"""Descriptors that a cell shall hold on average."""
MOST_BRANCHES = 384
TRAINED_ON = 40_000
"""Descriptors that the tree is made from, at least; more where there are many cells."""
_CHUNK = 32_768

Descriptors = NDArray[np.uint8]


@dataclass(frozen=True)
class Tree:
    """Centres of the first level (k, 128) and of the second (k, k, 128), float32."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]

    def words(self, descriptors: Descriptors) -> NDArray[np.int32]:
        """The cell of each descriptor (n, 128): int32 (n,)."""
        branches = len(self.first)
        cells = _nearest_of_many(descriptors, self.first)
        words = np.empty(len(descriptors), np.int32)
        order = np.argsort(cells, kind="stable")
        ends = np.cumsum(np.bincount(cells, minlength=branches))
        for cell, end in enumerate(ends.tolist()):
            members = order[0 if cell == 0 else ends[cell - 1] : end]
            if len(members):
                words[members] = cell * branches + _nearest_of_many(descriptors[members], self.second[cell])
        return words


def grow(descriptors: Descriptors, seed: int = 0) -> Tree:
    """A tree for these descriptors (n, 128), made from some of them."""
    generator = np.random.default_rng(seed)
    branches = int(np.clip(np.sqrt(len(descriptors) / IN_A_CELL), 1, MOST_BRANCHES))
    count = min(len(descriptors), max(TRAINED_ON, 4 * branches**2))
    chosen = np.sort(generator.permutation(len(descriptors))[:count])
    sample = descriptors[chosen].astype(np.float32)
    first = _k_means(sample[: max(TRAINED_ON, 64 * branches)], branches, generator)
    cells = _nearest(sample, first)
    second = np.stack(
        [
            _k_means(members if len(members) else first[cell : cell + 1], branches, generator)
            for cell, members in ((cell, sample[cells == cell]) for cell in range(branches))
        ]
    )
    return Tree(first, second)


def _k_means(
    sample: NDArray[np.float32], count: int, generator: np.random.Generator, rounds: int = 4
) -> NDArray[np.float32]:
    """Lloyd's algorithm from random members; with too few of them centres repeat."""
    start = generator.permutation(len(sample))
    centres = sample[np.resize(start, count)].copy()
    if len(sample) <= count:
        return centres
    for _ in range(rounds):
        cells = _nearest(sample, centres)
        sizes = np.bincount(cells, minlength=count)
        order = np.argsort(cells, kind="stable")
        filled = np.flatnonzero(sizes)
        starts = np.r_[0, np.cumsum(sizes[filled])[:-1]]
        centres[filled] = np.add.reduceat(sample[order], starts, axis=0) / sizes[filled, None]
    return centres


def _nearest(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    distances = rows @ (-2 * centres.T)
    distances += (centres**2).sum(1)
    return np.asarray(distances.argmin(1), np.int64)


def _nearest_of_many(descriptors: Descriptors, centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """`_nearest` with the memory of a chunk."""
    found = np.empty(len(descriptors), np.int64)
    for start in range(0, len(descriptors), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = _nearest(descriptors[part].astype(np.float32), centres)
    return found
