"""Windows of a raster seen at another pixel size, exactly: the same pixel whatever window it is read in."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..tiles import Span

_EPSILON = 1e-6


def source_span(span: Span, length: int, source_length: int) -> Span:
    """The source pixels that `axis_matrix` needs for the pixels `span` of an axis of `length`."""
    step = source_length / length
    if step >= 1:
        first, last = span.start * step, span.stop * step
    else:
        first, last = (span.start + 0.5) * step - 0.5, (span.stop - 0.5) * step + 1.5
    start = min(max(math.floor(first + _EPSILON), 0), source_length - 1)
    stop = max(min(math.ceil(last - _EPSILON), source_length), start + 1)
    return Span(start, stop - start)


def axis_matrix(span: Span, length: int, source: Span, source_length: int) -> NDArray[np.float32]:
    """Weights float32 (span, source) that bring the pixels `source` of an axis to the pixels `span`.

    Shrinking is the mean over the area of the new pixel, enlarging is linear between pixel centres; each row
    sums to 1 where `source` holds what `source_span` says.
    """
    step = source_length / length
    new = np.arange(span.start, span.stop, dtype=np.float64)[:, None]
    old = np.arange(source.start, source.stop, dtype=np.float64)[None]
    if step >= 1:
        weights = np.minimum((new + 1) * step, old + 1) - np.maximum(new * step, old)
    else:
        centre = np.clip((new + 0.5) * step - 0.5, 0, source_length - 1)
        weights = 1 - np.abs(centre - old)
    weights = np.maximum(weights, 0)
    matrix: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix


def resample(
    pixels: NDArray[np.float32], rows: NDArray[np.float32], cols: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Pixels (C, h, w) by the weights of both axes, (h2, h) and (w2, w): (C, h2, w2)."""
    out: NDArray[np.float32] = np.empty((len(pixels), len(rows), len(cols)), np.float32)
    for band, plane in zip(out, pixels, strict=True):
        np.matmul(rows @ plane, cols.T, out=band)
    return out
