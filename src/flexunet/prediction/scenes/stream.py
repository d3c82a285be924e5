"""The stream: rows of a scene in, tiles through the network, finished rows out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...raster import Window
from ..blending import Blender
from ..framing import Framing
from ..tiles import Span
from .plan import ScenePlan
from .resample import axis_matrix, resample
from .source import SceneSource

Aoi = Callable[[Window], NDArray[np.bool_]]
"""Which pixels of a window of the scene are asked for, bool (h, w)."""


@dataclass(frozen=True)
class NewRows:
    """Rows that were read: which of their pixels are wanted, bool (h, w)."""

    row: int
    wanted: NDArray[np.bool_]


@dataclass(frozen=True)
class Tile:
    """A tile on its way: the network's input float32 (C, H, W), then its result float32 (K, h, w)."""

    row: int
    col: int
    content: NDArray[np.float32]


@dataclass(frozen=True)
class RowDone:
    """No more tiles of this row will come."""

    row: int


Event = NewRows | Tile | RowDone


@dataclass(frozen=True)
class Run:
    """A run of neighbouring parts of one panel: what of the scene it is made from."""

    plan: ScenePlan
    tile_rows: range
    tile_cols: range
    rows: Span
    """The scene's rows that come out."""
    cols: Span
    """The scene's columns that come out."""

    @classmethod
    def of(cls, plan: ScenePlan, parts: Sequence[Window]) -> Run:
        """The run of `parts`, each right below the one before it."""
        first, last = parts[0], parts[-1]
        tile_rows = range(plan.tile_rows(first).start, plan.tile_rows(last).stop)
        rows = Span(first.row, last.row + last.height - first.row)
        return cls(plan, tile_rows, plan.tile_cols(first), rows, Span(first.col, first.width))

    @property
    def tiles(self) -> int:
        """How many tiles it is computed from."""
        return len(self.tile_rows) * len(self.tile_cols)

    @property
    def read_cols(self) -> Span:
        """The scene's columns that are read."""
        start = self.plan.scene_cols(self.tile_cols[0]).start
        return Span(start, self.plan.scene_cols(self.tile_cols[-1]).stop - start)


def read_tiles(run: Run, source: SceneSource, framing: Framing, aoi: Aoi | None) -> Iterator[Event]:
    """The tiles of a run, ready for the network, every pixel read once; those without a wanted pixel are
    left out.
    """
    plan, cols = run.plan, run.read_cols
    blocks = rows_of_blocks(source.block_shape[0])
    end = plan.scene_rows(run.tile_rows[-1]).stop
    tallest = max(plan.scene_rows(row).length for row in run.tile_rows)
    kept = _Rows(plan.scene_rows(run.tile_rows[0]).start, tallest + blocks - 1)
    for row in run.tile_rows:
        rows = plan.scene_rows(row)
        kept.drop_above(rows.start)
        if rows.stop > kept.bottom:
            bottom = min(-(-rows.stop // blocks) * blocks, end)
            window = Window(kept.bottom, cols.start, bottom - kept.bottom, cols.length)
            if aoi is None:
                pixels, valid = source.read(window)
                wanted = valid
            else:
                pixels, valid, wanted = _read_asked(plan, source, window, aoi)
            yield NewRows(window.row, wanted[:, run.cols.start - cols.start :][:, : run.cols.length])
            kept.append(pixels, valid, wanted)
        for col in run.tile_cols:
            part = plan.scene_cols(col)
            there = slice(part.start - cols.start, part.stop - cols.start)
            if kept.any_wanted(rows.length, _grown(there, plan)):
                pixels, valid = kept.part(rows.length, there)
                if plan.resampled:
                    pixels, valid = _to_network(plan, row, col, pixels, valid)
                yield Tile(row, col, framing.enter(pixels, valid))
        yield RowDone(row)


def _read_asked(
    plan: ScenePlan, source: SceneSource, window: Window, aoi: Aoi
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels (C, h, w), valid and wanted (h, w) of a window; what no tile with a wanted pixel can see is not
    read and not valid.
    """
    reach = max(plan.scene_rows(row).length for row in range(len(plan.grid.rows))) + _margin(plan)
    aside = max(plan.scene_cols(col).length for col in range(len(plan.grid.cols))) + _margin(plan)
    top = max(0, window.row - reach)
    bottom = min(plan.shape[0], window.row + window.height + reach)
    asked = aoi(Window(top, window.col, bottom - top, window.width))
    valid = np.zeros(window.shape, np.bool_)
    pixels = np.zeros((len(source.bands), *window.shape), source.dtype)
    cols = np.flatnonzero(asked.any(0))
    if len(cols):
        left = max(0, int(cols[0]) - aside)
        right = min(window.width, int(cols[-1]) + 1 + aside)
        part = Window(window.row, window.col + left, window.height, right - left)
        pixels[:, :, left:right], valid[:, left:right] = source.read(part)
    here = slice(window.row - top, window.row - top + window.height)
    return pixels, valid, valid & asked[here]


class Assembler:
    """Results in, finished rows of the scene out, to `write(row, float32 (K, h, w), wanted (h, w))`."""

    def __init__(
        self,
        run: Run,
        classes: int,
        write: Callable[[int, NDArray[np.float32], NDArray[np.bool_]], None],
    ) -> None:
        self._run, self._classes, self._write = run, classes, write
        self._blender = Blender(run.plan.grid, run.tile_cols)
        self._next = run.rows.start
        """The first row that has not come out."""
        self._wanted = np.empty((0, run.cols.length), np.bool_)
        self._wanted_top: int | None = None
        self._network: NDArray[np.float32] | None = None
        """Finished rows of the network's grid that rows to come are made of."""
        self._network_top = 0

    def take(self, event: Event) -> None:
        """The next result, in the order of the grid."""
        if isinstance(event, NewRows):
            self._wanted_top = event.row if self._wanted_top is None else self._wanted_top
            self._wanted = np.concatenate([self._wanted, event.wanted])
        elif isinstance(event, Tile):
            self._blender.add(event.row, event.col, event.content)
        else:
            first, strip = self._blender.finished(event.row, self._classes)
            if self._run.plan.resampled:
                self._come_out_resampled(first, strip)
            else:
                left = self._run.cols.start - self._blender.cols.start
                self._come_out(first, strip[:, :, left : left + self._run.cols.length])

    def _come_out(self, first: int, rows: NDArray[np.float32]) -> None:
        """Write what lies within the run of finished rows of the scene, (K, h, w)."""
        stop = min(first + rows.shape[1], self._run.rows.stop)
        if stop <= self._next:
            return
        assert self._wanted_top is not None
        top = self._next - self._wanted_top
        wanted = self._wanted[top : top + stop - self._next]
        self._write(self._next, rows[:, self._next - first : stop - first], wanted)
        self._wanted, self._wanted_top = self._wanted[top + len(wanted) :], stop
        self._next = stop

    def _come_out_resampled(self, first: int, strip: NDArray[np.float32]) -> None:
        """The same from finished rows of the network's grid."""
        plan, run = self._run.plan, self._run
        if self._network is None:
            self._network, self._network_top = strip, first
        else:
            self._network = np.concatenate([self._network, strip], axis=1)
        bottom = self._network_top + self._network.shape[1]
        stop = _last_ready(plan, self._next, run.rows.stop, bottom)
        if stop <= self._next:
            return
        needed = plan.network_rows(Window(self._next, 0, stop - self._next, 1))
        weights = axis_matrix(Span(self._next, stop - self._next), plan.shape[0], needed, plan.grid.height)
        held = self._network[:, needed.start - self._network_top : needed.stop - self._network_top]
        out = np.empty((len(held), stop - self._next, run.cols.length), np.float32)
        for left in range(0, run.cols.length, _CHUNK):
            span = Span(run.cols.start + left, min(_CHUNK, run.cols.length - left))
            cols = plan.network_cols(span.start, span.length)
            across = axis_matrix(span, plan.shape[1], cols, plan.grid.width)
            start = cols.start - self._blender.cols.start
            out[:, :, left : left + span.length] = resample(
                held[:, :, start : start + cols.length], weights, across
            )
        first_out = self._next
        self._come_out(first_out, out)
        if self._next < run.rows.stop:
            keep = plan.network_rows(Window(self._next, 0, 1, 1)).start - self._network_top
            self._network, self._network_top = self._network[:, keep:], self._network_top + keep


_CHUNK = 512
"""Columns that are resampled in one go."""


MOST_ROWS_OF_A_BLOCK = 512
"""Blocks of no more rows are read whole, so that none is decoded twice; GDAL's cache keeps higher ones."""


def rows_of_blocks(rows: int) -> int:
    """By multiples of how many rows a scene is read whose blocks have so many `rows`."""
    return rows if rows <= MOST_ROWS_OF_A_BLOCK else 1


class _Rows:
    """The rows of the scene that the row of tiles at hand needs, and those that were read with them."""

    def __init__(self, top: int, capacity: int) -> None:
        self.top = top
        self._capacity, self._first, self._count = capacity, 0, 0
        self._pixels: NDArray[Any] | None = None
        self._valid = self._wanted = np.empty((0, 0), np.bool_)

    @property
    def bottom(self) -> int:
        """The first row that has not been read."""
        return self.top + self._count

    def part(self, rows: int, cols: slice) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (C, rows, w) and valid (rows, w) from the top; good until the next rows come."""
        assert self._pixels is not None
        here = slice(self._first, self._first + rows)
        return self._pixels[:, here, cols], self._valid[here, cols]

    def any_wanted(self, rows: int, cols: slice) -> bool:
        """Whether any of these pixels is asked for."""
        return bool(self._wanted[self._first : self._first + rows, cols].any())

    def drop_above(self, row: int) -> None:
        """Rows above `row` are needed no more."""
        count = min(max(row - self.top, 0), self._count)
        self.top, self._first, self._count = self.top + count, self._first + count, self._count - count

    def append(self, pixels: NDArray[Any], valid: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> None:
        """Rows right below those that are there."""
        if self._pixels is None:
            shape = (self._capacity, pixels.shape[2])
            self._pixels = np.empty((len(pixels), *shape), pixels.dtype)
            self._valid = np.empty(shape, np.bool_)
            self._wanted = self._valid if wanted is valid else np.empty(shape, np.bool_)
        pairs: list[tuple[NDArray[Any], NDArray[Any]]] = [*zip(self._pixels, pixels, strict=True)]
        pairs.append((self._valid, valid))
        if self._wanted is not self._valid:
            pairs.append((self._wanted, wanted))
        stop = self._count + len(valid)
        for held, more in pairs:
            held[: self._count] = held[self._first : self._first + self._count]
            held[self._count : stop] = more
        self._first, self._count = 0, stop


def _grown(cols: slice, plan: ScenePlan) -> slice:
    """Columns whose pixels may be made of this tile: with a resampled scene the neighbours too."""
    if not plan.resampled:
        return cols
    margin = _margin(plan)
    return slice(max(0, cols.start - margin), cols.stop + margin)


def _margin(plan: ScenePlan) -> int:
    """How far beside a tile pixels of a resampled scene may be made of it."""
    sizes = zip(plan.shape, (plan.grid.height, plan.grid.width), strict=True)
    return max(-(-have // seen) for have, seen in sizes) + 1


def _to_network(
    plan: ScenePlan, row: int, col: int, pixels: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A tile's pixels (C, h, w) and valid (h, w) in the network's pixel size; means over what is valid."""
    rows = axis_matrix(plan.grid.rows[row], plan.grid.height, plan.scene_rows(row), plan.shape[0])
    cols = axis_matrix(plan.grid.cols[col], plan.grid.width, plan.scene_cols(col), plan.shape[1])
    values = pixels.astype(np.float32)
    if valid.all():
        return resample(values, rows, cols), np.ones((len(rows), len(cols)), np.bool_)
    values *= valid
    share = resample(valid[None].astype(np.float32), rows, cols)[0]
    result = resample(values, rows, cols)
    result /= np.maximum(share, np.float32(1e-6))
    return result, share >= 0.5


def _last_ready(plan: ScenePlan, start: int, stop: int, bottom: int) -> int:
    """Behind the last row of the scene, from `start` on, that network rows above `bottom` are enough for."""
    low, high = start, stop
    while low < high:
        middle = (low + high + 1) // 2
        if plan.network_rows(Window(middle - 1, 0, 1, 1)).stop <= bottom:
            low = middle
        else:
            high = middle - 1
    return low
