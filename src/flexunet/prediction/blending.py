"""Overlapping windows back to one picture, without seams and with no more memory than a strip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .tiles import Span, TileGrid


def blend(grid: TileGrid, tiles: Iterable[NDArray[np.float32]]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Strips (first row, float32 (K, h, W)) of the whole picture, from the top, as soon as they are finished.

    `tiles` are the float32 (K, h, w) results of the windows of `grid` in its order; see `Blender` for how
    they are joined.

    Memory: one strip of a window's height, K * h * W * 4 bytes.
    """
    tiles = iter(tiles)
    if len(grid) == 1:
        yield 0, next(tiles)
        return
    blender = Blender(grid)
    for row in range(len(grid.rows)):
        for col in range(len(grid.cols)):
            blender.add(row, col, next(tiles))
        yield blender.finished(row)


class Blender:
    """Tiles in, row by row; finished rows out.

    Every pixel is the weighted mean of the windows that see it; the weights fall smoothly towards a window's
    edge, are never zero, and are products of one weight a row and one a column that each sum to 1 over the
    windows. Hence no sum of weights has to be kept, tiles that agree come out as they went in up to rounding,
    and where one window sees a pixel alone, its value is untouched. A pixel's sum is always taken in the
    order of the grid: it comes out the same to the last bit whether the whole grid is blended or only the
    rows and columns of tiles that see it.

    Memory: K * h * w * 4 bytes for the h rows of a window and the w columns that are blended.
    """

    def __init__(self, grid: TileGrid, cols: range | None = None) -> None:
        """`cols`: the columns of tiles that take part; left out: all."""
        self._grid = grid
        self._row_weights = axis_weights(grid.rows, grid.height)
        self._col_weights = axis_weights(grid.cols, grid.width)
        self._left, self._right = 0, grid.width
        if cols is not None:
            self._left, self._right = grid.cols[cols[0]].start, grid.cols[cols[-1]].stop
        self._strip: NDArray[np.float32] | None = None

    @property
    def cols(self) -> Span:
        """The columns of pixels that are blended."""
        return Span(self._left, self._right - self._left)

    def add(self, row: int, col: int, tile: NDArray[np.float32]) -> None:
        """Take the result float32 (K, h, w) of a window; a window that is never added counts as zeros."""
        if self._strip is None:
            self._strip = self._zeros(len(tile), self._grid.rows[row].length)
        weights = self._row_weights[row][:, None] * self._col_weights[col]
        span = self._grid.cols[col]
        there = self._strip[:, :, span.start - self._left : span.stop - self._left]
        for total, plane in zip(there, tile, strict=True):
            cv2.accumulateProduct(plane, weights, total)

    def finished(self, row: int, classes: int | None = None) -> tuple[int, NDArray[np.float32]]:
        """First row and float32 (K, h, w) of what no later row of windows changes, after tile row `row`.

        `classes` is K where it may be that no tile was added at all.
        """
        rows = self._grid.rows
        if self._strip is None:
            assert classes is not None, "no tile, and nobody says how many classes"
            self._strip = self._zeros(classes, rows[row].length)
        stop = rows[row + 1].start if row + 1 < len(rows) else self._grid.height
        height = stop - rows[row].start
        done = self._strip[:, :height].copy()
        kept = self._strip.shape[1] - height
        self._strip[:, :kept] = self._strip[:, height:]
        self._strip[:, kept:] = 0
        return rows[row].start, done

    def _zeros(self, classes: int, height: int) -> NDArray[np.float32]:
        return np.zeros((classes, height, self._right - self._left), np.float32)


def axis_weights(spans: tuple[Span, ...], length: int) -> list[NDArray[np.float32]]:
    """The weight of each span at each of its pixels: positive, and 1 in sum at each of the `length` pixels.

    In the overlap of two spans they are sin^2 and cos^2, a partition of unity; where more than two overlap,
    their sum is divided out.
    """
    raw = []
    for index, span in enumerate(spans):
        weight = np.ones(span.length)
        if index > 0:
            rise = _rise(min(spans[index - 1].stop - span.start, span.length))
            weight[: len(rise)] *= rise
        if index + 1 < len(spans):
            fall = _rise(min(span.stop - spans[index + 1].start, span.length))[::-1]
            weight[span.length - len(fall) :] *= fall
        raw.append(weight)
    total = np.zeros(length)
    for span, weight in zip(spans, raw, strict=True):
        total[span.start : span.stop] += weight
    return [
        (weight / total[span.start : span.stop]).astype(np.float32)
        for span, weight in zip(spans, raw, strict=True)
    ]


def _rise(overlap: int) -> NDArray[np.float64]:
    """From just above 0 to just below 1 over `overlap` pixels, half a sine wave squared."""
    angle = (np.arange(max(overlap, 0), dtype=np.float64) + 0.5) * (np.pi / 2 / max(overlap, 1))
    rise: NDArray[np.float64] = np.sin(angle) ** 2
    return rise
