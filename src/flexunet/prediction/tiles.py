"""A picture or scene as overlapping windows, all inside it; "whole image" is a scene of one window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..raster.window import Window


@dataclass(frozen=True)
class Span:
    """`length` pixels of one axis from `start` on."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The first pixel behind it."""
        return self.start + self.length


@dataclass(frozen=True)
class TileGrid:
    """Windows of a `height` x `width` picture: every row span with every column span."""

    height: int
    width: int
    rows: tuple[Span, ...]
    cols: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def __iter__(self) -> Iterator[Window]:
        """The windows row by row, from the top left."""
        for row in self.rows:
            for col in self.cols:
                yield Window(row.start, col.start, row.length, col.length)


def whole(height: int, width: int) -> TileGrid:
    """The picture as one window."""
    return TileGrid(height, width, (Span(0, height),), (Span(0, width),))


def tiled(height: int, width: int, tile_px: tuple[int, int], halo_px: tuple[int, int]) -> TileGrid:
    """Windows of one size: a tile of `tile_px` (rows, columns) and `halo_px` more pixels on each side.

    All windows lie inside the picture, so those at its edges show as much ground as the others; neighbours
    share at least twice the halo. A picture that is smaller than a window along an axis is one window there.
    """
    if min(tile_px) < 1 or min(halo_px) < 0:
        raise ValueError(f"tiles of {tile_px} pixels with a halo of {halo_px} are impossible")
    return TileGrid(
        height, width, _spans(height, tile_px[0], halo_px[0]), _spans(width, tile_px[1], halo_px[1])
    )


def _spans(length: int, tile: int, halo: int) -> tuple[Span, ...]:
    window = tile + 2 * halo
    if length <= window:
        return (Span(0, length),)
    gaps = -(-(length - window) // tile)
    return tuple(Span(i * (length - window) // gaps, window) for i in range(gaps + 1))
