"""Overlapping windows back to one picture, without seams and with no more memory than a strip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .tiles import Span, TileGrid


def blend(grid: TileGrid, tiles: Iterable[NDArray[np.float32]]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Strips (first row, float32 (K, h, W)) of the whole picture, from the top, as soon as they are finished.

    `tiles` are the float32 (K, h, w) results of the windows of `grid` in its order. Every pixel is the
    weighted mean of the windows that see it; the weights fall smoothly towards a window's edge, are never
    zero, and are products of one weight a row and one a column that each sum to 1 over the windows. Hence no
    sum of weights has to be kept, tiles that agree come out as they went in up to rounding, and where one
    window sees a pixel alone, its value is untouched.

    Memory: one strip of a window's height, K * h * W * 4 bytes.
    """
    tiles = iter(tiles)
    if len(grid) == 1:
        yield 0, next(tiles)
        return
    row_weights = axis_weights(grid.rows, grid.height)
    col_weights = axis_weights(grid.cols, grid.width)
    strip: NDArray[np.float32] | None = None
    for index, row in enumerate(grid.rows):
        for col, across in zip(grid.cols, col_weights, strict=True):
            tile = next(tiles)
            if strip is None:
                strip = np.zeros((len(tile), row.length, grid.width), np.float32)
            strip[:, :, col.start : col.stop] += tile * (row_weights[index][:, None] * across)
        assert strip is not None
        finished = (grid.rows[index + 1].start if index + 1 < len(grid.rows) else grid.height) - row.start
        yield row.start, strip[:, :finished].copy()
        strip = np.concatenate([strip[:, finished:], np.zeros_like(strip[:, :finished])], axis=1)


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
