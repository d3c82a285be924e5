"""Polygons of a raster of any size, strip by strip, the same as those of the whole raster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .corners import Corners, Ints, Runs, components, find_runs_and_corners, join, links_down
from .rings import Outlines, assemble
from .zonal import ObjectTable, Zonal, table_of

Labels = NDArray[np.uint8]
Layers = Mapping[str, NDArray[np.floating]]

BLOCK_PIXELS = 2**20
"""Pixels that are worked on at once: arrays that fit the processor's caches, a few hundred MB at worst."""


@dataclass(frozen=True)
class Polygons:
    """Finished polygons in pixel coordinates (column, row), with what their pixels say."""

    outlines: Outlines
    objects: ObjectTable

    def __len__(self) -> int:
        return len(self.outlines)

    @property
    def labels(self) -> Labels:
        """uint8 (N,)."""
        return self.objects.labels

    def take(self, which: NDArray[np.bool_]) -> Polygons:
        """Some of the polygons."""
        return Polygons(self.outlines.take(which), self.objects.take(which))

    @classmethod
    def none(cls, layers: Sequence[str] = ()) -> Polygons:
        """No polygon, with layers of that name."""
        table = ObjectTable(np.empty(0, np.uint8), np.empty(0, np.int64))
        table.layers = {name: Zonal.nothing(0) for name in layers}
        return cls(Outlines.none(), table)


def polygonise(
    strips: Iterable[tuple[int, Labels]],
    *,
    skip: Sequence[int] = (),
    connectivity: Literal[4, 8] = 4,
    block_pixels: int = BLOCK_PIXELS,
) -> Iterator[Polygons]:
    """Polygons of equal labels, as soon as they are complete.

    The geometries are those of `rasterio.features.shapes` on the whole raster, however it is cut into
    strips: rings may start elsewhere, vertices are the same. Costs the memory of a strip, a block and the
    corners (13 bytes each) of the objects that reach the last row; at most a third more until they are swept.

    Args:
        strips: (row, labels uint8 (h, W)) from the top without gaps.
        skip: labels that are no objects, such as the background and the mark for missing pixels.
        connectivity: whether pixels that meet at a corner only belong together (8); such outlines touch or
            cross themselves, as those of GDAL do.
        block_pixels: how many pixels are worked on at once; the outcome does not depend on it but for the
            order of the polygons.
    """
    tracer: Tracer | None = None
    for row, labels in strips:
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise ValueError(f"labels are uint8 (h, W), not {labels.dtype} {labels.shape}")
        if tracer is None:
            tracer = Tracer(labels.shape[1], skip=skip, connectivity=connectivity, block_pixels=block_pixels)
        if row != tracer.row:
            raise ValueError(f"the next strip starts at row {tracer.row}, not {row}")
        yield from tracer.add(labels)
    if tracer is not None:
        yield from tracer.finish()


class Tracer:
    """Takes labels and layers of values from the top down and gives polygons as they close."""

    def __init__(
        self,
        width: int,
        *,
        skip: Sequence[int] = (),
        connectivity: Literal[4, 8] = 4,
        block_pixels: int = BLOCK_PIXELS,
        layers: Sequence[str] = (),
        min_pixels: int = 1,
        together: bool = False,
        max_open_corners: int | None = None,
    ) -> None:
        """See `polygonise`.

        Args:
            layers: names of the values that come with each strip.
            min_pixels: smaller objects are left out.
            together: objects that touch each other, whatever their labels, come in one batch.
            max_open_corners: more corners of objects that are not complete are refused.
        """
        self.width = width
        self.row = 0
        self._traced = 0
        self._diagonal = connectivity == 8
        self._rows_a_block = max(1, block_pixels // max(width, 1))
        self._layers = tuple(layers)
        self._min_pixels = min_pixels
        self._together = together
        self._max_open = max_open_corners
        # 0 is "no object"; a label's code is one more than the label, in a byte where that fits.
        skipped = np.isin(np.arange(256), list(skip))
        wide = np.where(skipped, 0, np.arange(1, 257)).astype(np.uint16)
        self._codes = wide if wide.max() > 255 else wide.astype(np.uint8)
        self._above = np.zeros(width + 2, self._codes.dtype)
        self._above_ids = np.empty(0, np.int64)
        self._waiting: list[tuple[Labels, dict[str, NDArray[Any]]]] = []
        self._waiting_rows = 0
        self._open = _OpenObjects(self._layers)

    def add(self, labels: Labels, layers: Layers | None = None) -> Iterator[Polygons]:
        """Go on with the next strip: labels uint8 (h, W) and, by name, values (h, W), NaN where unknown."""
        values = {name: (layers or {})[name] for name in self._layers}
        self.row += len(labels)
        start = 0
        while start < len(labels):
            stop = min(start + self._rows_a_block - self._waiting_rows, len(labels))
            part = {name: layer[start:stop] for name, layer in values.items()}
            self._waiting.append((labels[start:stop], part))
            self._waiting_rows += stop - start
            start = stop
            if self._waiting_rows == self._rows_a_block:
                yield from self._work_off()
        # What a caller may change after this call is copied.
        self._waiting = [
            (np.array(strip), {name: np.array(layer) for name, layer in part.items()})
            for strip, part in self._waiting
        ]

    def finish(self) -> Iterator[Polygons]:
        """The polygons that reach the last row."""
        if self._waiting_rows:
            yield from self._work_off()
        below = np.zeros((1, self.width), self._codes.dtype)
        yield from self._block(below, {name: np.zeros((1, self.width)) for name in self._layers}, self.row)

    def _work_off(self) -> Iterator[Polygons]:
        strips = [labels for labels, _ in self._waiting]
        layers = {name: np.concatenate([part[name] for _, part in self._waiting]) for name in self._layers}
        labels = np.concatenate(strips) if len(strips) > 1 else strips[0]
        self._waiting, self._waiting_rows = [], 0
        top = self._traced
        self._traced += len(labels)
        yield from self._block(self._codes[labels], layers, top)

    def _block(self, codes: NDArray[Any], layers: dict[str, NDArray[Any]], top: int) -> Iterator[Polygons]:
        height = len(codes)
        padded = np.zeros((height + 1, self.width + 2), codes.dtype)
        padded[0] = self._above
        padded[1:, 1:-1] = codes
        runs, corners = find_runs_and_corners(padded, top)
        self._above = padded[-1]
        above = len(self._above_ids)
        last = runs.first_of_row(height)
        # Objects of this block: runs above with the same number are one object already.
        first, second = links_down(runs, diagonal=self._diagonal)
        by_id = np.argsort(self._above_ids, kind="stable")
        again = self._above_ids[by_id[1:]] == self._above_ids[by_id[:-1]]
        first = np.concatenate((first, by_id[1:][again]))
        second = np.concatenate((second, by_id[:-1][again]))
        owner, count = _numbered(components(len(runs.starts), first, second))
        unit = self._units(runs, owner, count)
        # An object stays open while anything of its unit is in the last row.
        held = np.zeros(count, np.bool_)
        held[unit[owner[last:]]] = True
        held[unit[owner[:above]]] = True
        held = held[unit]
        table = self._table(runs, owner, count, above, layers, top)
        done = ~held
        yield from self._finished(corners.owned_by(owner[corners.owners]), table, done)
        owned = owner[corners.owners]
        kept = held[owned]
        ids = self._open.take_in(
            corners.take(kept).owned_by(owned[kept]), table, held, unit, owner[:above], self._above_ids
        )
        self._above_ids = ids[owner[last:]]
        if self._max_open is not None and self._open.corner_count > self._max_open:
            raise DataError(
                f"the polygons that are not complete at row {top + height} have more than {self._max_open} "
                "corners and touch each other, so they cannot be simplified together in bounded memory. "
                "Write them without simplification, or leave out the background or small polygons."
            )
        yield from self._swept(self._above_ids)

    def _units(self, runs: Runs, owner: Ints, count: int) -> Ints:
        """What each object is finished together with: itself, or all that touch it."""
        if not self._together:
            return np.arange(count)
        first, second = links_down(runs, diagonal=True, any_label=True)
        beside = np.flatnonzero(runs.ends[:-1] == runs.starts[1:])
        first = np.concatenate((first, beside))
        second = np.concatenate((second, beside + 1))
        return components(count, owner[first], owner[second])

    def _table(
        self, runs: Runs, owner: Ints, count: int, above: int, layers: dict[str, NDArray[Any]], top: int
    ) -> ObjectTable:
        """Labels, pixels and values of the objects, from the block's own rows."""
        lengths = (runs.ends - runs.starts)[above:]
        mine = owner[above:]
        labels = np.zeros(count, np.uint8)
        labels[owner] = (runs.labels - 1).astype(np.uint8)
        pixels = np.bincount(mine, lengths, count).astype(np.int64)
        table = ObjectTable(labels, pixels)
        if not self._layers:
            return table
        run_row, run_col = np.divmod(runs.starts[above:] - runs.pitch, runs.pitch)
        start = run_row * self.width + run_col  # in the block
        if not len(start):
            table.layers = {name: Zonal.nothing(count) for name in self._layers}
            return table
        flat = np.repeat(start - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        for name in self._layers:
            values = layers[name].reshape(-1)[flat]
            table.layers[name] = Zonal.of_runs(values, lengths, start + top * self.width).grouped(mine, count)
        return table

    def _finished(self, corners: Corners, table: ObjectTable, done: NDArray[np.bool_]) -> Iterator[Polygons]:
        """Polygons of the objects that are `done` and large enough."""
        chosen = done & (table.pixels >= self._min_pixels)
        count = int(chosen.sum())
        if count:
            number = np.cumsum(chosen) - 1
            mine = corners.take(chosen[corners.owners])
            outlines = assemble(mine.owned_by(number[mine.owners]), count)
            yield Polygons(outlines, table.take(chosen))

    def _swept(self, still_open: Ints) -> Iterator[Polygons]:
        closed = self._open.sweep(still_open)
        if closed is not None:
            corners, table = closed
            yield from self._finished(corners, table, np.ones(len(table), np.bool_))


class _OpenObjects:
    """Corners and tables of the objects that are not complete, under numbers that outlast a block."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._layers = tuple(layers)
        self.corner_count = 0
        self._clear(0, [], [])

    def _clear(self, count: int, corners: list[Corners], tables: list[tuple[Ints, ObjectTable]]) -> None:
        self._object = np.arange(count)
        """Root of each number's object."""
        self._unit = np.arange(count)
        """Root of each number's unit."""
        self._corners = corners
        self._tables = tables
        self.corner_count = sum(len(part) for part in corners)

    def take_in(
        self,
        corners: Corners,
        table: ObjectTable,
        held: NDArray[np.bool_],
        unit: Ints,
        above_owner: Ints,
        above_ids: Ints,
    ) -> Ints:
        """Add a block's objects that are `held`; returns the number of each object (-1 for the others).

        Objects that go on from above keep a number they had; those that had several become one.
        """
        ids = np.full(len(table), -1)
        ids[above_owner] = above_ids
        joined = (above_ids, ids[above_owner])
        fresh = np.flatnonzero(held & (ids < 0))
        known = len(self._object)
        ids[fresh] = known + np.arange(len(fresh))
        new = np.arange(known, known + len(fresh))
        self._object = components(0, *joined, roots=np.concatenate((self._object, new)))
        if len(fresh) or len(above_ids):
            mine = np.flatnonzero(held)
            self._unit = components(
                0,
                np.concatenate((ids[mine], above_ids)),
                np.concatenate((ids[unit[mine]], ids[above_owner])),
                roots=np.concatenate((self._unit, new)),
            )
            self._corners.append(corners.owned_by(ids[corners.owners]))
            self.corner_count += len(corners)
            self._tables.append((ids[mine], table.take(mine)))
        return ids

    def sweep(self, still_open: Ints) -> tuple[Corners, ObjectTable] | None:
        """Objects whose units have nothing among `still_open`, once they are a quarter of all; numbers in
        `still_open` are changed in place to those after the sweep."""
        if not self._tables:
            return None
        goes_on = np.zeros(len(self._object), np.bool_)
        goes_on[self._unit[still_open]] = True
        goes_on = goes_on[self._unit]
        if len(still_open):
            closed_corners = sum(self._closed_in(part, goes_on) for part in self._corners)
            if 4 * closed_corners < self.corner_count or closed_corners == 0:
                return None
        is_root = self._object == np.arange(len(self._object))
        number = np.cumsum(is_root & goes_on) - 1
        closed_number = np.cumsum(is_root & ~goes_on) - 1
        kept, closed = [], []
        for part in self._corners:
            root = self._object[part.owners]
            stays = goes_on[root]
            kept.append(part.take(stays).owned_by(number[root[stays]]))
            closed.append(part.take(~stays).owned_by(closed_number[root[~stays]]))
        ids = np.concatenate([part for part, _ in self._tables])
        root = self._object[ids]
        table = table_of([part for _, part in self._tables])
        stays = goes_on[root]
        units = self._unit[np.flatnonzero(is_root & goes_on)]
        open_count = int((is_root & goes_on).sum())
        open_table = table.take(stays).grouped(number[root[stays]], open_count)
        closed_table = table.take(~stays).grouped(
            closed_number[root[~stays]], int((is_root & ~goes_on).sum())
        )
        still_open[:] = number[self._object[still_open]]
        self._clear(open_count, [join(kept)], [(np.arange(open_count), open_table)] if open_count else [])
        _, first_of_unit, member = np.unique(units, return_index=True, return_inverse=True)
        self._unit = first_of_unit[member] if open_count else self._unit
        return (join(closed), closed_table) if len(closed_table) else None

    @staticmethod
    def _closed_in(part: Corners, goes_on: NDArray[np.bool_]) -> int:
        return int(len(part) - np.count_nonzero(goes_on[part.owners]))


def _numbered(roots: Ints) -> tuple[Ints, int]:
    """Roots as consecutive numbers from 0, in their order, and how many there are."""
    is_root = roots == np.arange(len(roots))
    number = np.cumsum(is_root) - 1
    return number[roots], int(is_root.sum())
