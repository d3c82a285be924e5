"""A class map and what lies over it, read strip by strip, and the polygons in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..errors import DataError
from ..raster import RasterReader, Window, open_raster
from .measure import Surveyor
from .polygonise import Polygons, Tracer
from .relief import Terrain

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows there are."""

_READ_PIXELS = 2**20
_MOST_OPEN_CORNERS = 10_000_000


class MapStrips:
    """The class map with what lies over it, strip by strip."""

    def __init__(
        self,
        stack: ExitStack,
        class_map: Path,
        classes: int,
        probability: Path | None,
        applicability: Path | None,
        dem: Path | None,
    ) -> None:
        self.reader = reader = stack.enter_context(open_raster(class_map))
        if reader.shape[0] != 1 or reader.dtype == "float32":
            raise DataError(
                f"{class_map}: has {reader.shape[0]} bands of {reader.dtype}; a class map has one band of "
                "whole numbers"
            )
        self.size_hw = reader.shape[1:]
        self.surveyor = Surveyor(reader.grid, self.size_hw)
        self.probability = self._open(stack, probability, (1, classes), class_map)
        self.applicability = self._open(stack, applicability, (1,), class_map)
        self.terrain: Terrain | None = None
        if dem is not None:
            self.terrain = Terrain(dem, self.surveyor)
            stack.callback(self.terrain.close)

    def _open(
        self, stack: ExitStack, path: Path | None, bands: tuple[int, ...], class_map: Path
    ) -> RasterReader | None:
        """A raster with one of these numbers of bands on the grid of the class map."""
        if path is None:
            return None
        reader = stack.enter_context(open_raster(path))
        found, size_hw = reader.shape[0], reader.shape[1:]
        if size_hw != self.size_hw or found not in bands:
            expected = "1" if len(bands) == 1 else f"1 or {bands[1]} (one a class)"
            raise DataError(
                f"{path}: has {found} bands of {size_hw[0]} x {size_hw[1]} pixels; expected {expected} "
                f"of {self.size_hw[0]} x {self.size_hw[1]}, like {class_map}"
            )
        return reader

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the values that are gathered for each polygon."""
        terrain = ("elevation", "slope", "east", "north") if self.terrain is not None else ()
        probability = ("probability",) if self.probability is not None else ()
        applicability = ("applicability",) if self.applicability is not None else ()
        return probability + applicability + terrain

    def polygons(
        self, skip: Sequence[int], *, min_pixels: int, together: bool, progress: Progress | None
    ) -> Iterator[Polygons]:
        """All polygons of the labels that are not skipped, as they close; see `Tracer` for the rest."""
        height, width = self.size_hw
        tracer = Tracer(
            width,
            skip=skip,
            layers=self.layers,
            min_pixels=min_pixels,
            together=together,
            max_open_corners=_MOST_OPEN_CORNERS if together else None,
        )
        rows = max(1, _READ_PIXELS // width)
        for row in range(0, height, rows):
            window = Window(row, 0, min(rows, height - row), width)
            labels = self._labels(window)
            yield from tracer.add(labels, self._values(window, labels, skip))
            if progress is not None:
                progress(row + window.height, height)
        yield from tracer.finish()

    def _labels(self, window: Window) -> NDArray[np.uint8]:
        pixels, valid = self.reader.read_valid(window)
        labels: NDArray[Any] = pixels[0]
        if labels.dtype != np.uint8:
            low, high = int(labels.min()), int(labels.max())
            if (low < 0 or high > IGNORE_INDEX) and not valid.all():
                labels = np.where(valid, labels, IGNORE_INDEX)
                low, high = int(labels.min()), int(labels.max())
            if low < 0 or high > IGNORE_INDEX:
                raise DataError(f"{self.reader.path}: has values {low} to {high}; classes are 0 to 254")
            labels = labels.astype(np.uint8)
        if self.reader.nodata != 0 and not valid.all():
            labels = np.where(valid, labels, np.uint8(IGNORE_INDEX))
        return labels

    def _values(
        self, window: Window, labels: NDArray[np.uint8], skip: Sequence[int]
    ) -> dict[str, NDArray[np.floating]]:
        values: dict[str, NDArray[np.floating]] = {}
        if self.probability is not None:
            pixels, valid = self.probability.read_valid(window)
            if len(pixels) > 1:
                own = np.minimum(labels, len(pixels) - 1)[None].astype(np.intp)
                values["probability"] = _shares(np.take_along_axis(pixels, own, axis=0)[0], valid)
                values["probability"][labels >= len(pixels)] = np.nan
            else:
                values["probability"] = _shares(pixels[0], valid)
        if self.applicability is not None:
            pixels, valid = self.applicability.read_valid(window)
            values["applicability"] = _shares(pixels[0], valid)
        if self.terrain is not None:
            wanted = ~np.isin(np.arange(256), list(skip))[labels]
            values |= self.terrain.read(window.row, wanted)
        return values


def _shares(stored: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values of 0 to 1 from bytes of 1/254 or floats; NaN where there are none."""
    scale = np.float32(254.0 if stored.dtype == np.uint8 else 1.0)
    shares: NDArray[np.float32] = np.where(valid, stored / scale, np.float32(np.nan)).astype(np.float32)
    return shares
