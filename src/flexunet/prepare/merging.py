"""Masks of pictures that show the same ground, brought to agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..check import Overlap
from ..classes import IGNORE_INDEX
from .items import Labels


def merge_labels(
    labels: dict[int, Labels], pairs: Sequence[Overlap], how: Literal["union", "ignore"]
) -> dict[int, Labels]:
    """The labels of all members after merging; `labels` (uint8 (H, W), by place) stay as they are.

    union: a pixel that is background here and an object there is the object everywhere; two different
    objects are ignored. ignore: pixels on which members disagree are ignored in all of them. Both go on until
    every member agrees with every other one on shared ground, also through a third.
    """
    merged = {place: own.copy() for place, own in labels.items()}
    changed = True
    while changed:
        changed = False
        for pair in pairs:
            first, second = shared_views(merged[pair.first], merged[pair.second], pair)
            if np.array_equal(first, second):
                continue
            agreed = (
                _union(first, second) if how == "union" else np.where(first == second, first, IGNORE_INDEX)
            )
            first[...] = agreed
            second[...] = agreed
            changed = True
    return merged


def shared_views(
    first: NDArray[np.uint8], second: NDArray[np.uint8], pair: Overlap
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The shared rectangle in both pictures, as views."""
    top, left = max(pair.dy, 0), max(pair.dx, 0)
    bottom = min(first.shape[0], second.shape[0] + pair.dy)
    right = min(first.shape[1], second.shape[1] + pair.dx)
    here = first[top:bottom, left:right]
    there = second[top - pair.dy : bottom - pair.dy, left - pair.dx : right - pair.dx]
    return here, there


def _union(first: Labels, second: Labels) -> Labels:
    """What is not background wins over background; where both say something else, the pixel is ignored."""
    agreed = np.where(first == 0, second, first)
    conflict = (first != second) & (first != 0) & (second != 0)
    return np.where(conflict, np.uint8(IGNORE_INDEX), agreed).astype(np.uint8)
