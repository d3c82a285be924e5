"""The truth of a scene, window by window on the grid of its class map: a raster of labels, or polygons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import DataError
from ..files import layer_of
from ..raster import Grid, Window
from ..raster.nearest import OnGrid

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".parquet", ".geoparquet", ".fgb", ".kml", ".gml")
_SHOWN = 10
_STRIP_PX = 1 << 21  # pixels of a strip, where 128 rows are not more


class Truth(Protocol):
    """Labels on the grid of a class map."""

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was understood."""
        ...

    def labels(self, window: Window) -> NDArray[np.uint8]:
        """uint8 (h, w); IGNORE_INDEX where the truth says nothing."""
        ...


@contextmanager
def open_truth(
    path: Path, grid: Grid, shape: tuple[int, int], classes: Classes, attribute: str | None = None
) -> Iterator[Truth]:
    """The truth of a class map of `shape` (height, width) on `grid`.

    A raster has one band of labels, or three with the colours of the classes; on another grid the nearest
    pixel counts. 255, negative values and a declared nodata value that is no class are ignored; with two
    classes, 0 and 255 alone are read as 0 and 1. Polygons are of the class that `attribute` names, and of the
    only foreground class without it; ground outside of them is background. A layer that covers the place and
    has no polygon there is a truth too, and a note says so.

    Raises:
        RasterError, DataError: it cannot be read, brought to the grid, has values without a class, or lies in
            another place.
        MissingExtraError: polygons, and the extra `geo` is not installed.
    """
    if layer_of(path)[0].suffix.lower() in VECTOR_SUFFIXES:
        yield _polygons(path, grid, shape, classes, attribute)
        return
    with OnGrid(path, grid, shape, len(classes)) as raster:
        yield _RasterTruth(raster, shape, classes)


def strips(shape: tuple[int, int], pixels: int = _STRIP_PX, block: int = 128) -> Iterator[Window]:
    """Windows of whole rows from the top, of at most `pixels` where a block's rows allow it."""
    height, width = shape
    rows = max(block, pixels // width // block * block)
    for top in range(0, height, rows):
        yield Window(top, 0, min(rows, height - top), width)


def _polygons(
    path: Path, grid: Grid, shape: tuple[int, int], classes: Classes, attribute: str | None
) -> Truth:
    from ..vector.aoi import LabelLayer
    from ..vector.layers import layer_meets

    foreground = classes.foreground
    if attribute is None and len(foreground) != 1:
        raise DataError(
            f"{path}: which attribute of the polygons says the class? There are {len(foreground)} foreground "
            "classes. Name it with --truth-attribute."
        )
    background = IGNORE_INDEX if classes.background is None else classes.background
    how: dict[str, Any] = {"background": background}
    if attribute is not None:
        how |= {"attribute": attribute, "values": classes.names}
    else:
        how["label"] = foreground[0]
    found = LabelLayer.from_file(path, grid, shape, **how)
    if len(found.polygons):
        return found
    if classes.background is None or not layer_meets(path, grid, shape):
        raise DataError(_elsewhere(path))
    note = f"{path}: none of its polygons lies here, so all ground is {classes.names[classes.background]!r}."
    return replace(found, notes=(*found.notes, note))


class _RasterTruth:
    """Labels from a raster; it is looked through once, strip by strip, before anything is scored."""

    def __init__(self, raster: OnGrid, shape: tuple[int, int], classes: Classes) -> None:
        self._raster, self._classes = raster, classes
        if raster.bands not in (1, 3):
            raise DataError(
                f"{raster.path}: a truth has one band of labels, or three with the colours of the classes; "
                f"this has {raster.bands} bands."
            )
        notes = []
        if raster.resampled:
            notes.append(f"{raster.path}: lies on another grid; the nearest pixel counts.")
        self._white: int | None = None
        if raster.bands == 1:
            found = self._values(shape)
            strangers = sorted(found - set(range(len(classes))) - {IGNORE_INDEX})
            if strangers:
                raise DataError(_no_class(raster.path, strangers, classes))
            if found == {0, 255} and len(classes) == 2 and raster.nodata != 255:
                self._white = 1
                notes.append(f"{raster.path}: has the values 0 and 255; 255 is read as {classes.names[1]!r}.")
            nowhere = found <= {IGNORE_INDEX} and self._white is None
        else:
            nowhere = all((self.labels(window) == IGNORE_INDEX).all() for window in strips(shape))
        if nowhere:
            raise DataError(_elsewhere(raster.path))
        self._notes = tuple(notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Truth`."""
        return self._notes

    def labels(self, window: Window) -> NDArray[np.uint8]:
        """See `Truth`."""
        pixels, valid = self._raster.read(window)
        if len(pixels) == 3:
            return self._from_colours(pixels, valid)
        band = self._known(pixels[0], valid)
        if self._white is not None:
            return np.where(band == 255, np.where(valid, self._white, IGNORE_INDEX), band).astype(np.uint8)
        return band.astype(np.uint8)

    def _known(self, band: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
        """The band with 255 where it says nothing."""
        return np.where(valid & (band >= 0), band, band.dtype.type(IGNORE_INDEX))

    def _values(self, shape: tuple[int, int]) -> set[int | float]:
        found: set[int | float] = set()
        for window in strips(shape):
            pixels, valid = self._raster.read(window)
            values = np.unique(self._known(pixels[0], valid))
            if len(values) > 1000:
                count = len(self._classes)
                raise DataError(
                    f"{self._raster.path}: has over 1000 values; a truth has one a class, {count}."
                )
            found |= {int(value) if float(value).is_integer() else float(value) for value in values.tolist()}
        return found

    def _from_colours(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        labels = np.full(valid.shape, IGNORE_INDEX, np.uint8)
        left = valid.copy()
        for label, colour in enumerate(self._classes.colours):
            match = left & (pixels == np.asarray(colour, pixels.dtype)[:, None, None]).all(0)
            labels[match] = label
            left &= ~match
        if left.any():
            strangers = np.unique(pixels[:, left].T, axis=0)[:_SHOWN]
            listed = ", ".join(str(tuple(int(value) for value in colour)) for colour in strangers)
            raise DataError(
                f"{self._raster.path}: has colours that no class has: {listed}. The classes have "
                f"{', '.join(map(str, self._classes.colours))}."
            )
        return labels


def _elsewhere(path: Path) -> str:
    return f"{path}: says nothing about the place of the class map; is it of another place?"


def _no_class(path: Path, strangers: list[int | float], classes: Classes) -> str:
    listed = ", ".join(f"{value:g}" for value in strangers[:_SHOWN])
    more = f" and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else ""
    return (
        f"{path}: has values that are no class: {listed}{more}. Labels are 0 to {len(classes) - 1} "
        f"({', '.join(classes.names)}); 255 is ignored."
    )
