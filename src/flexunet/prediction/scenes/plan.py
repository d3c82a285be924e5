"""The geometry of a scene's prediction: what the network sees, tile by tile, and in which parts it is
written.

Two pixel grids are at work: the scene's own, in which it is read and the results are written, and the
network's, in which tiles lie. They are the same unless the scene has another ground resolution than the
model was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ...raster import Window
from ..tiles import Span, TileGrid
from .resample import source_span


@dataclass(frozen=True)
class ScenePlan:
    """Tiles and parts of one scene. A plain value: two plans that are equal lead to equal results."""

    shape: tuple[int, int]
    """(height, width) of the scene and of its results."""
    grid: TileGrid
    """The tiles, in the network's pixels."""
    parts: tuple[Window, ...]
    """What is written one by one, in the scene's pixels: panel by panel, each from the top."""

    @property
    def resampled(self) -> bool:
        """Whether the network sees pixels of another size than the scene's."""
        return self.shape != (self.grid.height, self.grid.width)

    def tile_rows(self, part: Window) -> range:
        """The rows of tiles that a part's pixels depend on."""
        span = self._network_span(part.row, part.height, 0)
        return _touching(self.grid.rows, span)

    def tile_cols(self, part: Window) -> range:
        """The columns of tiles that a part's pixels depend on."""
        span = self._network_span(part.col, part.width, 1)
        return _touching(self.grid.cols, span)

    def tiles(self, part: Window) -> int:
        """How many tiles a part is computed from when it is computed alone."""
        return len(self.tile_rows(part)) * len(self.tile_cols(part))

    def network_rows(self, part: Window) -> Span:
        """The rows of the network's grid that a part's pixels are made of."""
        return self._network_span(part.row, part.height, 0)

    def network_cols(self, start: int, length: int) -> Span:
        """The columns of the network's grid that the scene's columns from `start` on are made of."""
        return self._network_span(start, length, 1)

    def scene_rows(self, tile_row: int) -> Span:
        """The scene's rows that a row of tiles is read from."""
        return source_span(self.grid.rows[tile_row], self.grid.height, self.shape[0])

    def scene_cols(self, tile_col: int) -> Span:
        """The scene's columns that a column of tiles is read from."""
        return source_span(self.grid.cols[tile_col], self.grid.width, self.shape[1])

    def _network_span(self, start: int, length: int, axis: int) -> Span:
        there = (self.grid.height, self.grid.width)[axis]
        return source_span(Span(start, length), self.shape[axis], there)


def cut_parts(grid: TileGrid, shape: tuple[int, int], rows: int, cols: int) -> tuple[Window, ...]:
    """Parts of at most `rows` rows and `cols` columns of tiles each, panel by panel, from the top left.

    They end in the middle of a tile, so that a part computed alone shares one row (column) of tiles with the
    next, not two.
    """
    height, width = shape
    row_edges = _edges(grid.rows, rows, height / grid.height, height)
    col_edges = _edges(grid.cols, cols, width / grid.width, width)
    return tuple(
        Window(top, left, bottom - top, right - left)
        for left, right in pairwise(col_edges)
        for top, bottom in pairwise(row_edges)
    )


def _edges(spans: tuple[Span, ...], most: int, scale: float, length: int) -> list[int]:
    """Where parts of at most `most` spans begin and end."""
    edges = [0]
    for index in range(most, len(spans), most):
        edge = round((spans[index].start + spans[index].length / 2) * scale)
        if edges[-1] < edge < length:
            edges.append(edge)
    return [*edges, length]


def _touching(spans: tuple[Span, ...], needed: Span) -> range:
    """Indices of the spans that share a pixel with `needed`."""
    touching = [i for i, span in enumerate(spans) if span.start < needed.stop and needed.start < span.stop]
    return range(touching[0], touching[-1] + 1)
