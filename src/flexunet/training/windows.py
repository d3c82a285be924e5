"""Whole pictures for a network that sees windows: what training on crops is validated on.

The windows of a picture stand in an even grid. Where the grid does not divide the picture, neighbours
overlap, and a pixel in two windows counts in the first of them: every pixel of the picture counts once. Of a
picture with more than `MOST_WINDOWS` of them, as many are taken, evenly spread, and the rest is not looked
at. The first windows of all pictures come first, each picture's most central one, then the second ones:
`train.validation_steps` cuts this off without leaving a picture out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..data import Pair, Store
from ..raster import Window

MOST_WINDOWS = 64
"""Windows of one picture at most: 2048 x 2048 pixels are seen whole in windows of 256 x 256."""


@dataclass(frozen=True)
class Place:
    """A window of a picture, and the part of it that counts, in the window's own rows and columns."""

    window: Window
    counts: Window


class Windows:
    """A store's pictures as windows of `size` (height, width); a smaller one is a window as it is."""

    def __init__(self, store: Store, size: tuple[int, int], most: int = MOST_WINDOWS) -> None:
        self.store, self.size = store, size
        found = [
            (rank, picture, place)
            for picture in range(len(store))
            for rank, place in enumerate(windows_over(store.native_size(picture), size, most))
        ]
        found.sort(key=lambda item: item[:2])
        self._places = [(picture, place) for _, picture, place in found]
        self.pairs: tuple[Pair, ...] = tuple(store.pairs[picture] for picture, _ in self._places)
        """The pair that each window is of."""

    def __len__(self) -> int:
        return len(self._places)

    def image(self, index: int) -> NDArray[Any]:
        """Pixels (C, h, w) of a window."""
        picture, place = self._places[index]
        return self.store.image(picture)[:, place.window.rows, place.window.cols]

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Labels uint8 (h, w) of a window, IGNORE_INDEX where its pixels count in another one."""
        picture, place = self._places[index]
        shown = self.store.labels(picture)[place.window.rows, place.window.cols]
        labels = np.full(shown.shape, IGNORE_INDEX, np.uint8)
        labels[place.counts.rows, place.counts.cols] = shown[place.counts.rows, place.counts.cols]
        return labels

    def valid(self, index: int) -> NDArray[np.bool_]:
        """Which pixels of a window hold data, bool (h, w)."""
        picture, place = self._places[index]
        if self.store.entry(picture).header.all_valid:  # no array of the whole picture for each window
            return np.ones(place.window.shape, np.bool_)
        return self.store.valid(picture)[place.window.rows, place.window.cols]

    def describe(self) -> str:
        """One line for the user."""
        sizes = [self.store.native_size(picture) for picture in range(len(self.store))]
        counted = sum(place.counts.height * place.counts.width for _, place in self._places)
        share = counted / sum(height * width for height, width in sizes)
        seen = "every pixel once" if share == 1 else f"{share:.0%} of the pixels, evenly spread"
        pictures = "1 picture" if len(sizes) == 1 else f"{len(sizes)} pictures"
        return (
            f"Validation looks at {len(self)} windows of {self.size[0]} x {self.size[1]} pixels in "
            f"{pictures}: {seen}."
        )


def windows_over(shape: tuple[int, int], size: tuple[int, int], most: int) -> list[Place]:
    """At most `most` windows over a picture of `shape`, the most central one first."""
    rows, cols = (math.ceil(have / want) for have, want in zip(shape, size, strict=True))
    if rows * cols > most:
        # fewer along both axes alike; a strip of a picture keeps its one row
        thin = math.sqrt(most / (rows * cols))
        wanted = min(max(1, int(rows * thin)), most)
        rows, cols = (wanted, min(cols, most // wanted)) if cols > 1 else (min(rows, most), 1)
    height, width = (min(have, want) for have, want in zip(shape, size, strict=True))
    places = [
        Place(Window(top, left, height, width), Window(above, before, height - above, width - before))
        for top, above in _starts(shape[0], height, rows)
        for left, before in _starts(shape[1], width, cols)
    ]
    middle = ((shape[0] - height) / 2, (shape[1] - width) / 2)
    return sorted(places, key=lambda place: math.dist((place.window.row, place.window.col), middle))


def _starts(have: int, want: int, count: int) -> Sequence[tuple[int, int]]:
    """Where `count` stretches of `want` pixels begin, evenly over `have`, and how far each reaches into the
    one before.
    """
    if count == 1:
        return [((have - want) // 2, 0)]
    starts = [round(number * (have - want) / (count - 1)) for number in range(count)]
    ends = [0, *(start + want for start in starts[:-1])]
    return [(start, max(0, end - start)) for start, end in zip(starts, ends, strict=True)]
