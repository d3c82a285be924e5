"""Masks that say different things about the same ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..config.schema import DataConfig
from ..parallel import in_parallel
from .components import by_component
from .facts import Facts, read_labels
from .links import Link

LEAST_PIXELS = 20
"""Fewer labelled pixels in the shared part than this say nothing."""
MOST_IOU = 0.9
"""Masks of one ground that agree less than this contradict each other."""


@dataclass(frozen=True)
class Agreement:
    """How well two masks agree on the ground they share."""

    link: int
    """Position of the link."""
    iou: float
    """Of all foreground classes in the shared part, edges of resampled masks not counted; 0 to 1."""
    first_pixels: int
    second_pixels: int
    """Foreground pixels of either mask in the shared part, on the first picture's grid."""

    @property
    def contradicts(self) -> bool:
        """Whether the masks disagree by more than their edges."""
        return self.iou < MOST_IOU


def compare_masks(
    facts: Sequence[Facts], links: Sequence[Link], data: DataConfig, classes: Classes
) -> list[Agreement]:
    """The agreement of every linked pair with a known map and a label in the shared part."""

    @lru_cache(maxsize=64)
    def labels_of(index: int) -> NDArray[np.uint8] | None:
        return read_labels(facts[index].member, data, facts[index].size)

    mapped = [number for number, link in enumerate(links) if link.matrix is not None]
    components = by_component(len(facts), [(links[number].first, links[number].second) for number in mapped])

    def compare(component: list[int]) -> list[Agreement]:
        found = []
        for number in (mapped[position] for position in component):
            link = links[number]
            one, other = labels_of(link.first), labels_of(link.second)
            if one is None or other is None:
                continue
            agreement = _agreement(number, link, one, other, classes)
            if agreement is not None:
                found.append(agreement)
        return found

    agreements = (found for of_component in in_parallel(compare, components) for found in of_component)
    return sorted(agreements, key=lambda agreement: agreement.link)


def _agreement(
    number: int, link: Link, one: NDArray[np.uint8], other: NDArray[np.uint8], classes: Classes
) -> Agreement | None:
    assert link.matrix is not None
    height, width = one.shape
    laid = cv2.warpAffine(
        other, link.matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORE_INDEX
    )
    known = (laid != IGNORE_INDEX) & (one != IGNORE_INDEX)
    mine, theirs = (np.isin(labels, classes.foreground) & known for labels in (one, laid))
    if int((mine | theirs).sum()) < LEAST_PIXELS:
        return None
    counted = mine | theirs
    differ = (one != laid) & counted
    if link.reason == "copy":  # a map is good to a pixel or two, and slow distortions are not in it
        tolerance = max(2, round(0.02 * max(height, width)))
        kernel = np.ones((2 * tolerance + 1,) * 2, np.uint8)
        near = [cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in (mine, theirs)]
        differ = (mine & ~near[1]) | (theirs & ~near[0])
    iou = 1 - float(differ.sum()) / float(counted.sum())
    return Agreement(number, iou, int(mine.sum()), int(theirs.sum()))
