"""Black collars of scenes that do not say where they hold no data, also after a lossy compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...raster import Window
from ...raster.reader import GdalReader

COARSE_EDGE = 2048
"""The collar is looked for in a reduced picture of at most this edge."""
NEAR_BLACK = 10
"""Largest 8-bit value that a lossy compression leaves in a black collar (measured: 99.97 % of it)."""
RIM = 16
"""How many pixels into the collar a lossy compression carries the picture: a JPEG block of halved chroma."""
LEAST_SHARE = 0.002
"""A scene with less black than this along its border has no collar."""
SAMPLES = 64
"""Rows whose ends stand for the left and right border."""
LEAST_HOLE = 64
"""Black areas inside the scene of at least this many reduced pixels belong to it."""


@dataclass(frozen=True)
class Collar:
    """Where black means no data: coarsely, and by which value."""

    coarse: NDArray[np.bool_]
    """(h, w) over the whole scene, wider than what is exactly black."""
    shape: tuple[int, int]
    """(height, width) of the scene."""
    limit: int
    """Largest value of black."""
    share: float
    """Of the scene."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What its owner should know."""
        return (f"a black collar ({self.share:.1%} of the scene) is taken for missing data",)

    def within(self, window: Window, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels of a window lie in the collar: bool (h, w) for pixels (C, h, w)."""
        rows = self._coarse_of(window.row, window.height, 0)
        cols = self._coarse_of(window.col, window.width, 1)
        coarse = self.coarse[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        if not coarse.any():
            return np.zeros(window.shape, np.bool_)
        near: NDArray[np.bool_] = self.coarse[np.ix_(rows, cols)]
        for band in pixels:
            near &= band <= self.limit
        return near

    def _coarse_of(self, start: int, length: int, axis: int) -> NDArray[np.int64]:
        places: NDArray[np.int64] = (
            np.arange(start, start + length, dtype=np.int64) * self.coarse.shape[axis] // self.shape[axis]
        )
        return places


def find_collar(reader: GdalReader, bands: tuple[int, ...]) -> Collar | None:
    """The black collar of a scene that declares no missing pixels; None where it has none.

    Only areas that are exactly 0 in all bands begin a collar: along the scene's border, or large ones inside.
    In 8-bit scenes their rim may be as bright as `NEAR_BLACK`. Scenes of one band are left alone: there 0 is
    a value like others.
    """
    if reader.masked or len(set(bands)) < 2:
        return None
    height, width = reader.shape[1:]
    if not _black_border(reader, bands, height, width):
        return None
    factor = max(1.0, max(height, width) / COARSE_EDGE)
    shape = (max(1, round(height / factor)), max(1, round(width / factor)))
    pixels, _ = reader.decimated(bands, shape)
    black = (pixels == 0).all(0)
    collar = _areas(black)
    if not collar.any():
        return None
    limit = NEAR_BLACK if reader.dtype == "uint8" else 0
    margin = 1 + (int(np.ceil(RIM / factor)) if limit else 0)
    around = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    wide = cv2.dilate(collar.astype(np.uint8), around).astype(np.bool_)
    return Collar(wide, (height, width), limit, float(collar.mean()))


def _areas(black: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected areas that touch the border or are large."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(black.astype(np.uint8), connectivity=8)
    height, width = black.shape
    left, top, w, h, area = (stats[:, column] for column in range(5))
    kept = (left == 0) | (top == 0) | (left + w == width) | (top + h == height) | (area >= LEAST_HOLE)
    kept[0] = False
    found: NDArray[np.bool_] = kept[labels]
    return found


def _black_border(reader: GdalReader, bands: tuple[int, ...], height: int, width: int) -> bool:
    """Whether enough of the scene's outermost rows and columns is exactly 0."""
    rows = np.unique(np.linspace(0, height - 1, SAMPLES).astype(int))
    sides = [Window(0, 0, 1, width), Window(height - 1, 0, 1, width)]
    sides += [Window(int(row), col, 1, 1) for row in rows for col in (0, width - 1)]
    black = [(reader.raw(side, bands) == 0).all(0).ravel() for side in sides]
    ends, edges = np.concatenate(black[:2]), np.concatenate(black[2:])
    return bool((ends.mean() * width + edges.mean() * height) / (width + height) >= LEAST_SHARE)
