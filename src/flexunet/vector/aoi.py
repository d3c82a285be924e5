"""Polygons of a vector file as pixels, window by window: an area of interest, or the labels of a truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..errors import DataError
from ..raster import Grid, Window
from ..raster.burn import burn
from .layers import LayerOnGrid, read_layer
from .libraries import shapely

_SHOWN = 8


@dataclass(frozen=True)
class PolygonsOnGrid:
    """Polygons in pixel coordinates (column, row), found by window."""

    polygons: NDArray[np.object_]
    size_hw: tuple[int, int]
    notes: tuple[str, ...] = ()

    @cached_property
    def _tree(self) -> Any:
        return shapely.STRtree(self.polygons)

    def near(self, window: Window, margin_px: float = 0.0) -> NDArray[np.intp]:
        """Places of the polygons that meet the window grown by `margin_px`, in their order."""
        box = shapely.box(
            window.col - margin_px,
            window.row - margin_px,
            window.col + window.width + margin_px,
            window.row + window.height + margin_px,
        )
        places: NDArray[np.intp] = np.sort(self._tree.query(box, predicate="intersects"))
        return places

    def within(self, places: NDArray[np.intp], window: Window, margin_px: float = 0.0) -> NDArray[np.object_]:
        """The polygons at `places`, cut to the window grown by `margin_px`, in coordinates of the window."""
        box = (-margin_px, -margin_px, window.width + margin_px, window.height + margin_px)
        moved = shapely.transform(self.polygons[places], lambda xy: xy - (window.col, window.row))
        large = shapely.get_num_coordinates(moved) > 1000
        moved[large] = shapely.intersection(moved[large], shapely.box(*box))
        shapes: NDArray[np.object_] = moved
        return shapes


class AreaOfInterest(PolygonsOnGrid):
    """Where results are wanted: the union of the polygons of a vector file.

    Holds the polygons; a mask costs the memory of its window.
    """

    @classmethod
    def from_file(
        cls,
        path: Path,
        grid: Grid,
        shape: tuple[int, ...],
        *,
        layer: str | None = None,
        crs: str | None = None,
    ) -> Self:
        """The polygons of `path` on the grid of a raster with `shape` (..., H, W).

        Raises:
            DataError: see `read_layer`; or no polygon meets the raster.
        """
        size_hw = (shape[-2], shape[-1])
        found = read_layer(path, grid, size_hw, layer=layer, crs=crs)
        if not len(found.polygons):
            raise DataError(f"{path}: no polygon meets the raster; is it of another place?")
        return cls(found.polygons, size_hw, found.notes)

    def mask(self, window: Window, *, all_touched: bool = False) -> NDArray[np.bool_]:
        """Which pixels of the window have their centre inside: bool (h, w)."""
        places = self.near(window, 1.0)
        shapes = self.within(places, window, 2.0)
        inside: NDArray[np.bool_] = burn(shapes, [1] * len(shapes), window.shape, all_touched=all_touched) > 0
        return inside

    def touches(self, window: Window) -> bool:
        """Whether any polygon meets the window; without it, `mask` is all False."""
        return len(self.near(window)) > 0


@dataclass(frozen=True)
class LabelLayer(PolygonsOnGrid):
    """Labels drawn as polygons, such as mapped landslides, burnt by window."""

    labels_of: NDArray[np.uint8] | None = None
    """Label of each polygon."""
    all_touched: bool = False
    ignore_boundary_px: float = 0.0
    background: int = 0

    @classmethod
    def from_file(
        cls,
        path: Path,
        grid: Grid,
        shape: tuple[int, ...],
        *,
        layer: str | None = None,
        crs: str | None = None,
        attribute: str | None = None,
        values: Mapping[str, int] | Sequence[str] | None = None,
        label: int = 1,
        background: int = 0,
        all_touched: bool = False,
        ignore_boundary_px: float = 0.0,
    ) -> Self:
        """The polygons of `path` as labels on the grid of a raster with `shape` (..., H, W).

        Args:
            attribute: the field that says the class; without it every polygon has `label`.
            values: label of each of its values, or the class names in order of their labels. Without it the
                attribute holds the labels themselves.
            all_touched: a polygon also labels the pixels that it merely touches, which keeps those that are
                smaller than a pixel.
            ignore_boundary_px: pixels at most this far (in pixels) from the outline of a polygon are
                `IGNORE_INDEX`.

        Raises:
            DataError: see `read_layer`; an attribute value without a label.
        """
        size_hw = (shape[-2], shape[-1])
        found = read_layer(path, grid, size_hw, layer=layer, crs=crs, attribute=attribute)
        labels = np.full(len(found.polygons), label, np.uint8)
        if attribute is not None:
            labels = _labels_of(found, attribute, values)
        return cls(
            found.polygons, size_hw, found.notes, labels, all_touched, ignore_boundary_px, background
        )  # fmt: skip

    def labels(self, window: Window) -> NDArray[np.uint8]:
        """uint8 (h, w): the label of the last polygon of the file at each pixel, else the background."""
        assert self.labels_of is not None
        margin = self.ignore_boundary_px + 2.0
        places = self.near(window, margin)
        shapes = self.within(places, window, margin + 1.0)
        labels = np.full(window.shape, self.background, np.uint8)
        burn(shapes, self.labels_of[places].tolist(), window.shape, all_touched=self.all_touched, onto=labels)
        if self.ignore_boundary_px > 0 and len(places):
            moved = shapely.transform(self.polygons[places], lambda xy: xy - (window.col, window.row))
            rims = shapely.buffer(shapely.boundary(moved), self.ignore_boundary_px)
            burn(rims, [IGNORE_INDEX] * len(rims), window.shape, onto=labels)
        return labels


def rasterise_layer(path: Path, grid: Grid, shape: tuple[int, ...], **how: Any) -> NDArray[np.uint8]:
    """The whole layer as labels uint8 (H, W); `how` as in `LabelLayer.from_file`. For rasters that fit."""
    drawn = LabelLayer.from_file(path, grid, shape, **how)
    return drawn.labels(Window(0, 0, shape[-2], shape[-1]))


def _labels_of(
    found: LayerOnGrid, attribute: str, values: Mapping[str, int] | Sequence[str] | None
) -> NDArray[np.uint8]:
    assert found.values is not None
    given = [_text(value) for value in found.values]
    if values is None:
        try:
            table = {text: int(float(text)) for text in set(given)}
        except ValueError:
            table = {}  # names are no labels: all of them are reported below
    elif isinstance(values, Mapping):
        table = {_text(value): label for value, label in values.items()}
    else:
        table = {name: label for label, name in enumerate(values)}
    good = {text: label for text, label in table.items() if 0 <= label <= IGNORE_INDEX}
    missing = sorted(set(given) - good.keys())
    if missing:
        shown = ", ".join(repr(text) for text in missing[:_SHOWN]) + (
            ", ..." if len(missing) > _SHOWN else ""
        )
        known = ", ".join(repr(text) for text in list(good)[:_SHOWN]) or "no value"
        raise DataError(
            f"{found.path}: attribute {attribute!r} has values without a class: {shown}. Classes are known "
            f"for {known}. Give each value its label (0 to {IGNORE_INDEX})."
        )
    return np.array([good[text] for text in given], np.uint8)


def _text(value: Any) -> str:
    """An attribute value as a person writes it: 2006 for 2006.0."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
