"""The worst and the best images of an evaluation, kept small while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..raster import Picture
from ..views import Card, display_rgb

_EDGE_PX = 480  # longest side of a kept picture: twice what a gallery shows

Rank = tuple[float, float]


@dataclass(frozen=True)
class Shown:
    """One image with its labels and prediction, reduced, and its place in the order."""

    rank: Rank
    card: Card


class Showcase:
    """Keeps the `size` lowest and highest ranked images; memory does not grow with their number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._worst: list[Shown] = []
        self._best: list[Shown] = []

    def offer(
        self,
        rank: Rank,
        caption: str,
        picture: Picture,
        truth: NDArray[np.uint8],
        predicted: NDArray[np.uint8],
        band_names: tuple[str, ...],
    ) -> None:
        """Keep this image if it belongs to an end."""
        if not self.size:
            return
        low = len(self._worst) < self.size or rank < self._worst[-1].rank
        high = len(self._best) < self.size or rank > self._best[-1].rank
        if not (low or high):
            return
        rgb = display_rgb(picture.pixels, picture.valid, band_names=band_names)
        card = Card(
            _reduced(rgb, cv2.INTER_AREA),
            _reduced(truth, cv2.INTER_NEAREST_EXACT),
            _reduced(predicted, cv2.INTER_NEAREST_EXACT),
            caption,
        )
        shown = Shown(rank, card)
        if low:
            self._worst = sorted([*self._worst, shown], key=lambda item: item.rank)[: self.size]
        if high:
            self._best = sorted([*self._best, shown], key=lambda item: item.rank, reverse=True)[: self.size]

    @property
    def worst(self) -> list[Card]:
        """Worst first."""
        return [shown.card for shown in self._worst]

    @property
    def best(self) -> list[Card]:
        """Best first."""
        return [shown.card for shown in self._best]


@dataclass(frozen=True)
class Showcases:
    """The galleries of one evaluation, so that a little false alarm does not hide a missed landslide."""

    found: Showcase
    """Images whose truth has a foreground class."""
    false_alarms: Showcase
    """Images without any in which some is predicted."""


def _reduced(array: NDArray[np.uint8], method: int) -> NDArray[np.uint8]:
    height, width = array.shape[:2]
    scale = _EDGE_PX / max(height, width)
    if scale >= 1:
        return array.copy()
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(array, size, interpolation=method), np.uint8)
