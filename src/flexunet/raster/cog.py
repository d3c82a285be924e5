"""Parts of a raster, files of their own, joined to one Cloud-Optimised GeoTIFF."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray

from ..files import remove_leftovers, write_bytes
from .closing import Closing
from .grid import Grid
from .layer import BLOCK, Layer, class_layer, share_layer
from .pyramid import CHUNK, Pyramid
from .window import Window
from .writers import creating, naming_faults

__all__ = ["BLOCK", "CogOfParts", "Layer", "class_layer", "create_part", "share_layer", "write_cog"]

_PART_ROWS = 32
"""Rows of the blocks of a part."""


class CogOfParts(Closing):
    """Parts that become readable one after another, in any order, and the COG at `path` that holds them.

    What can be done from the top is done at each `take`, so that little is left for `finish`: it can run
    beside what makes the parts. The file does not depend on the order. A context manager; leaving it removes
    what lies beside the parts. Memory: see `Pyramid`.
    """

    def __init__(
        self,
        path: Path,
        layer: Layer,
        parts: Sequence[tuple[Path, Window]],
        shape: tuple[int, int],
        grid: Grid,
    ) -> None:
        """The COG of a raster of `shape` (height, width) from `parts`, files that hold its windows.

        It has overviews, the grid (transform or ground control points, and CRS) and what `layer` says;
        pixels that no part covers are nodata.

        Raises:
            RasterError: no file can be written beside the parts.
        """
        self.path, self._layer, self._parts, self._height = path, layer, list(parts), shape[0]
        self._missing = dict.fromkeys(range(len(parts)))
        self._mosaic = _Mosaic(layer, parts)
        with naming_faults(path, parts[0][0].parent):
            self._pyramid = Pyramid(parts[0][0].parent, path.stem, layer, shape, grid)

    def take(self, index: int) -> None:
        """Part `index` can be read now; taking it twice does nothing.

        Raises:
            RasterError: it cannot be read, or the disk is full.
        """
        self._missing.pop(index, None)
        rows = min((self._parts[other][1].row for other in self._missing), default=self._height)
        with naming_faults(self.path, self._parts[index][0].parent):
            self._pyramid.advance(rows, self._mosaic.read)

    def finish(self, before: Callable[[], None] = lambda: None) -> None:
        """Write the COG, when all parts have been taken; `before` is called right before it appears.

        Raises:
            RasterError: it cannot be written in full.
        """
        remove_leftovers(self.path)
        with creating(self.path) as beside:
            self._pyramid.join(beside)
            _check_whole(beside)
            if self._layer.class_names is not None:
                _name_classes(self.path, self._layer.class_names)
            before()

    def close(self) -> None:
        """Remove what lies beside the parts."""
        self._pyramid.close()


def write_cog(
    path: Path, layer: Layer, parts: Sequence[tuple[Path, Window]], shape: tuple[int, int], grid: Grid
) -> None:
    """Join `parts` in one go; see `CogOfParts`.

    Raises:
        RasterError: a part cannot be read, or the file not written in full.
    """
    with CogOfParts(path, layer, parts, shape, grid) as cog:
        for index in range(len(parts)):
            cog.take(index)
        cog.finish()


class _Mosaic:
    """Windows of a raster read from its parts."""

    def __init__(self, layer: Layer, parts: Sequence[tuple[Path, Window]]) -> None:
        self._layer = layer
        self._parts = sorted(parts, key=lambda part: part[1].row)
        self._tops = [window.row for _, window in self._parts]
        self._tallest = max(window.height for _, window in self._parts)

    def read(self, window: Window) -> NDArray[Any]:
        """Pixels (C, h, w); nodata where no part is."""
        layer = self._layer
        pixels = np.full((layer.bands, *window.shape), layer.nodata, layer.dtype)
        first = bisect_right(self._tops, window.row - self._tallest)
        last = bisect_right(self._tops, window.row + window.height - 1)
        for path, part in self._parts[first:last]:
            top, left = max(window.row, part.row), max(window.col, part.col)
            bottom = min(window.row + window.height, part.row + part.height)
            right = min(window.col + window.width, part.col + part.width)
            if top >= bottom or left >= right:
                continue
            there = rasterio.windows.Window(left - part.col, top - part.row, right - left, bottom - top)
            with rasterio.open(path) as source:
                found = source.read(window=there)
            pixels[:, top - window.row : bottom - window.row, left - window.col : right - window.col] = found
        return pixels


@contextmanager
def create_part(path: Path, layer: Layer, shape: tuple[int, int]) -> Iterator[Any]:
    """Write a part of a layer by rows; yields `write(pixels (C, h, W), window)`; quick compression.

    Raises:
        RasterError: the file cannot be written in full.
    """
    height, width = shape
    options: dict[str, Any] = {
        "compress": "deflate", "zlevel": 1, "BIGTIFF": "IF_SAFER", "SPARSE_OK": True, "tiled": True,
        "blockxsize": min(CHUNK, -(-width // 16) * 16), "blockysize": _PART_ROWS,
    }  # fmt: skip
    if layer.bands > 1 or layer.dtype != "uint8":
        options |= {"photometric": "minisblack", "alpha": "no", "interleave": "band"}
    if layer.half:
        options["nbits"] = 16
    with creating(path) as beside:
        with rasterio.open(
            beside, "w", driver="GTiff", count=layer.bands, height=height, width=width, dtype=layer.dtype,
            nodata=layer.nodata, **options,
        ) as target:  # fmt: skip

            def write(pixels: Any, window: Window) -> None:
                place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
                target.write(pixels, window=place)

            yield write
        _check_whole(beside)


def _check_whole(path: Path) -> None:
    """GDAL reports a full disk late or never; a cut file fails when its last block is read."""
    with rasterio.open(path) as written:
        last = rasterio.windows.Window(written.width - 1, written.height - 1, 1, 1)
        written.read(written.count, window=last)


def _name_classes(path: Path, names: Sequence[str]) -> None:
    """Class names as GDAL and QGIS read them: the category names in the `.aux.xml` beside."""
    root = Element("PAMDataset")
    band = SubElement(root, "PAMRasterBand", band="1")
    listed = SubElement(band, "CategoryNames")
    for name in names:
        SubElement(listed, "Category").text = name
    write_bytes(path.with_name(path.name + ".aux.xml"), tostring(root, encoding="utf-8"))
