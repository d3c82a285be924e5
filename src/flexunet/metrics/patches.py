"""Objects: connected patches of a class, found or missed, right or false, by their size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX

COVERED = 0.5
"""Share of a patch that must be covered by the other side for it to count as found, or as right."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Patches:
    """The 8-connected patches of one class in one image and how much of each the other side covers."""

    areas_px: NDArray[np.int64]
    """Pixels of each patch (N,)."""
    covered: NDArray[np.float64]
    """Share of each patch that is of the class on the other side (N,)."""


def patches(own: Bools, other: Bools) -> Patches:
    """The patches of `own`, bool (H, W), and their cover by `other`."""
    count, places = cv2.connectedComponents(own.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    flat = np.asarray(places).ravel()
    areas = np.bincount(flat, minlength=count)[1:]
    shared = np.bincount(flat[other.ravel()], minlength=count)[1:]
    return Patches(areas.astype(np.int64), shared / np.maximum(areas, 1))


def compare_patches(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], label: int
) -> tuple[Patches, Patches]:
    """Patches of the truth (covered by the prediction) and of the prediction (covered by the truth).

    Pixels whose truth is IGNORE_INDEX belong to no patch.
    """
    known = truth != IGNORE_INDEX
    wanted, found = truth == label, (predicted == label) & known
    return patches(wanted, found), patches(found, wanted)


@dataclass(frozen=True)
class SizeBin:
    """Patches of the truth and of the prediction from `low` to below `high` (None: no end)."""

    low: float
    high: float | None
    truth: int
    found: int
    touched: int
    """Of the truth, those with any pixel predicted."""
    predicted: int
    right: int

    @property
    def recall(self) -> float | None:
        """Share of the true patches that are found; None where there is none."""
        return self.found / self.truth if self.truth else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted patches that are right; None where there is none."""
        return self.right / self.predicted if self.predicted else None


def size_edges(areas: NDArray[np.float64], at_least: int = 5) -> list[float]:
    """Inner bounds of size classes: 1, 3, 10, 30, ... with `at_least` true patches on either side."""
    steps = [base * 10.0**power for power in range(-2, 12) for base in (1, 3)]
    edges: list[float] = []
    for step in steps:
        below = edges[-1] if edges else -np.inf
        enough = ((areas >= below) & (areas < step)).sum() >= at_least and (areas >= step).sum() >= at_least
        if enough:
            edges.append(step)
    return edges


def by_size(
    truth: tuple[NDArray[np.float64], NDArray[np.float64]],
    predicted: tuple[NDArray[np.float64], NDArray[np.float64]],
    edges: list[float],
) -> list[SizeBin]:
    """Recall and precision of patches by size; each side is (areas (N,), covered (N,)), in the unit of the
    edges.
    """
    bounds = [0.0, *edges, np.inf]
    bins = []
    for low, high in pairwise(bounds):
        true = truth[1][(truth[0] >= low) & (truth[0] < high)]
        said = predicted[1][(predicted[0] >= low) & (predicted[0] < high)]
        bins.append(
            SizeBin(
                low,
                None if np.isinf(high) else float(high),
                len(true),
                int((true >= COVERED).sum()),
                int((true > 0).sum()),
                len(said),
                int((said >= COVERED).sum()),
            )
        )
    return bins
