"""Objects found, missed and made up: connected regions counted while a scene streams by."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass
class ObjectTally:
    """Connected regions of one class (8 neighbours) in one of two maps, and what the other map says there."""

    objects: int = 0
    touched: int = 0
    """At least one pixel has the class in the other map too."""
    half: int = 0
    """At least half of the pixels have."""
    pixels_untouched: int = 0
    """Pixels of the objects that the other map does not know at all."""


class Regions:
    """Connected regions of masks that arrive strip by strip from the top.

    Memory: one strip of int32 labels, and the regions that reach its last row; finished ones are counted and
    forgotten.
    """

    def __init__(self, least_px: int = 1) -> None:
        self.tally = ObjectTally()
        self._least = least_px
        self._open = np.zeros((0, 2), np.int64)  # pixels, and those the other map has too, of open regions
        self._row: Ints | None = None  # region of each pixel of the last row, from 1; 0 outside

    def add(self, inside: NDArray[np.bool_], other: NDArray[np.bool_]) -> None:
        """The next strip: the class in this map and in the other one, bool (h, W)."""
        count, local = cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)
        flat = local.ravel()
        sizes = np.bincount(flat, minlength=count)[1:]
        hits = np.bincount(flat[other.ravel()], minlength=count)[1:]
        before = len(self._open)
        numbers = np.concatenate([self._open, np.column_stack((sizes, hits))])
        root = _joined(len(numbers), self._links(local[0], before))
        # regions get new numbers in the order of their roots
        roots, member = np.unique(root, return_inverse=True)
        summed = np.zeros((len(roots), 2), np.int64)
        np.add.at(summed, member, numbers)
        last = local[-1].astype(np.int64)
        touching = np.unique(member[last[last > 0] - 1 + before])
        stays = np.zeros(len(roots), np.bool_)
        stays[touching] = True
        self._count(summed[~stays])
        renumbered = np.zeros(len(roots), np.int64)
        renumbered[touching] = np.arange(1, len(touching) + 1)
        self._open = summed[touching]
        self._row = np.where(last > 0, renumbered[member[last - 1 + before]] if len(member) else 0, 0)

    def finish(self) -> ObjectTally:
        """The tally, when no strip is left."""
        self._count(self._open)
        self._open, self._row = np.zeros((0, 2), np.int64), None
        return self.tally

    def _links(self, first: NDArray[np.int32], before: int) -> Ints:
        """Pairs (n, 2) that are one region: open ones from 0, those of the strip from `before`."""
        if self._row is None or not before:
            return np.zeros((0, 2), np.int64)
        pairs = []
        width = len(first)
        for shift in (-1, 0, 1):
            above = self._row[max(0, -shift) : width - max(0, shift)]
            below = first[max(0, shift) : width - max(0, -shift)].astype(np.int64)
            both = (above > 0) & (below > 0)
            pairs.append(np.column_stack((above[both] - 1, below[both] - 1 + before)))
        return np.unique(np.concatenate(pairs), axis=0)

    def _count(self, numbers: Ints) -> None:
        sizes, hits = numbers[numbers[:, 0] >= self._least].T
        self.tally.objects += len(sizes)
        self.tally.touched += int((hits > 0).sum())
        self.tally.half += int((2 * hits >= sizes).sum())
        self.tally.pixels_untouched += int(sizes[hits == 0].sum())


class ObjectCounter:
    """True and predicted objects of one class, from strips of labels.

    Objects are connected regions (8 neighbours). A true object is found if at least half of its pixels are
    predicted as the class; a predicted object is confirmed if at least half of its pixels are of the class in
    the truth, and a false alarm if none is. Ignored pixels belong to no object.
    """

    def __init__(self, label: int, least_px: int = 1) -> None:
        self.label = label
        self._true, self._predicted = Regions(least_px), Regions(least_px)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """The next strip of labels (h, W) of both; the same pixels are ignored in both."""
        true, found = truth == self.label, predicted == self.label
        self._true.add(true, found)
        self._predicted.add(found, true)

    def finish(self) -> dict[str, int]:
        """The counts, when no strip is left."""
        true, predicted = self._true.finish(), self._predicted.finish()
        return {
            "true_objects": true.objects,
            "found": true.half,
            "touched": true.touched,
            "missed": true.objects - true.touched,
            "missed_pixels": true.pixels_untouched,
            "predicted_objects": predicted.objects,
            "confirmed": predicted.half,
            "false_alarms": predicted.objects - predicted.touched,
            "false_alarm_pixels": predicted.pixels_untouched,
        }


def _joined(count: int, links: Ints) -> Ints:
    """The root of each of `count` nodes after joining the linked ones (union-find with path halving)."""
    parent = {node: node for node in np.unique(links).tolist()}

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, two in links.tolist():
        first, second = find(one), find(two)
        parent[max(first, second)] = min(first, second)
    roots = np.arange(count, dtype=np.int64)
    roots[list(parent)] = [find(node) for node in parent]
    return roots
