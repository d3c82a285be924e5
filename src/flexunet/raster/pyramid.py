"""A raster and its overviews as files that grow strip by strip, until they are put into one COG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint

from .closing import Closing
from .grid import Grid
from .layer import BLOCK, Layer
from .tiff import join_levels
from .window import Window

__all__ = ["BLOCK", "CHUNK", "Pyramid", "Read", "halved"]

CHUNK = 8 * BLOCK
"""Columns that are worked on at a time."""

Read = Callable[[Window], NDArray[Any]]
"""Pixels (C, h, w) of a window of the raster."""


@dataclass
class _Level:
    path: Path
    file: Any
    shape: tuple[int, int]
    done: int = 0
    """Rows that are written."""


class Pyramid(Closing):
    """Rows of a raster in from the top, and one Cloud-Optimised GeoTIFF out; a context manager.

    Every pixel is compressed once. Each overview halves the one before it, down to a single block: a pixel
    of classes is the most frequent of its four (the first one of a tie), others are their mean; missing
    pixels do not count. Memory: a few hundred kilobytes a band whatever the size, and GDAL's block cache.

    Closing it removes the files of the levels.
    """

    def __init__(self, folder: Path, name: str, layer: Layer, shape: tuple[int, int], grid: Grid) -> None:
        """Levels of a raster of `shape` (height, width) as `folder/NAME_level_0.tif` ...

        Raises:
            RasterioError, OSError: they cannot be written.
        """
        self._layer = layer
        sizes = [shape]
        while max(sizes[-1]) > BLOCK:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        self._levels: list[_Level] = []
        for number, size in enumerate(sizes):
            path = folder / f"{name}_level_{number}.tif"
            self._levels.append(_Level(path, _create(path, layer, size, None if number else grid), size))

    def advance(self, rows: int, read: Read) -> None:
        """Take what is to be had of the raster now that its first `rows` rows can be read.

        Raises:
            RasterioError, OSError: a level cannot be written; and what `read` raises.
        """
        full = self._levels[0]
        height, width = full.shape
        while full.done < height and min(full.done + BLOCK, height) <= rows:
            strip = min(BLOCK, height - full.done)
            for col in range(0, width, CHUNK):
                window = Window(full.done, col, strip, min(CHUNK, width - col))
                full.file.write(read(window), window=_gdal(window))
            full.done += strip
            for below, level in zip(self._levels, self._levels[1:], strict=False):
                self._halve(below, level)

    def _halve(self, below: _Level, level: _Level) -> None:
        """Take what is to be had of a level now that the one below it has grown."""
        height, width = level.shape
        while level.done < height and below.done >= min(2 * (level.done + BLOCK), below.shape[0]):
            strip = min(BLOCK, height - level.done)
            for col in range(0, width, CHUNK // 2):
                window = Window(level.done, col, strip, min(CHUNK // 2, width - col))
                top, left = 2 * window.row, 2 * window.col
                tall = min(2 * window.height, below.shape[0] - top)
                wide = min(2 * window.width, below.shape[1] - left)
                pixels = below.file.read(window=_gdal(Window(top, left, tall, wide)))
                level.file.write(halved(pixels, self._layer), window=_gdal(window))
            level.done += strip

    def join(self, out: Path) -> None:
        """Write the COG to `out`, when all rows have been taken.

        Raises:
            RasterioError, OSError: it cannot be written, or a level was not.
        """
        assert all(level.done == level.shape[0] for level in self._levels), "rows are missing"
        for level in self._levels:
            level.file.close()
        join_levels([level.path for level in self._levels], out)

    def close(self) -> None:
        """Let go of the levels and remove their files."""
        for level in self._levels:
            if not level.file.closed:
                level.file.close()
            level.path.unlink(missing_ok=True)


def halved(pixels: NDArray[Any], layer: Layer) -> NDArray[Any]:
    """Pixels (C, h, w) at half the size, (C, (h + 1) // 2, (w + 1) // 2)."""
    height, width = pixels.shape[1:]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    if layer.colours is not None:
        return _most_frequent(pixels, layer.nodata)
    four = [pixels[:, row::2, col::2] for row in (0, 1) for col in (0, 1)]
    return _mean_of_bytes(four, layer.nodata) if layer.dtype == "uint8" else _mean_of_floats(four)


def _most_frequent(pixels: NDArray[np.uint8], nodata: float) -> NDArray[np.uint8]:
    """Of each square of four labels the most frequent one that is not missing; of a tie the first."""
    # two neighbours at a time: on a map most squares are of one class
    upper, lower = (np.ascontiguousarray(pixels[:, row::2]).view(np.uint16) for row in (0, 1))
    labels: NDArray[np.uint8] = (upper & 255).astype(np.uint8)
    mixed = np.nonzero((upper != lower) | (upper >> 8 != labels))
    band, row, col = mixed[0], 2 * mixed[1], 2 * mixed[2]
    places = ((row, col), (row, col + 1), (row + 1, col), (row + 1, col + 1))
    four = [pixels[band, i, j].astype(np.int16) for i, j in places]
    # missing pixels equal nobody, not even each other
    a, b, c, d = (np.where(p == nodata, -1 - index, p) for index, p in enumerate(four))
    found = np.full(a.shape, nodata, np.int16)
    for one in (d, c, b, a):
        found = np.where(one >= 0, one, found)
    found = np.where(c == d, c, found)
    found = np.where((b == c) | (b == d), b, found)
    labels[mixed] = np.where((a == b) | (a == c) | (a == d), a, found)
    return labels


def _mean_of_bytes(four: list[NDArray[Any]], nodata: float) -> NDArray[np.uint8]:
    known = [pixels != nodata for pixels in four]
    if all(mask.all() for mask in known):
        whole: NDArray[np.uint16] = np.sum(four, axis=0, dtype=np.uint16)
        mean: NDArray[np.uint8] = np.right_shift(whole + 2, 2).astype(np.uint8)
        return mean
    count = np.sum(known, axis=0, dtype=np.uint16)
    total = np.sum([np.where(mask, p, 0) for p, mask in zip(four, known, strict=True)], 0, np.uint16)
    rounded = (total + count // 2) // np.maximum(count, 1)
    some: NDArray[np.uint8] = np.where(count > 0, rounded, nodata).astype(np.uint8)
    return some


def _mean_of_floats(four: list[NDArray[Any]]) -> NDArray[np.float32]:
    known = [np.isfinite(pixels) for pixels in four]
    count = np.sum(known, axis=0, dtype=np.float32)
    total = np.sum([np.where(mask, p, 0) for p, mask in zip(four, known, strict=True)], 0, np.float32)
    mean = total / np.maximum(count, 1)
    # through 16 bits here, so that no GDAL version rounds otherwise
    halves: NDArray[np.float32] = np.where(count > 0, mean, np.nan).astype(np.float16).astype(np.float32)
    return halves


def _create(path: Path, layer: Layer, shape: tuple[int, int], grid: Grid | None) -> Any:
    """A tiled TIFF to write to and read from; `grid` and names for the largest level only."""
    options: dict[str, Any] = {
        "driver": "GTiff", "count": layer.bands, "height": shape[0], "width": shape[1], "dtype": layer.dtype,
        "nodata": layer.nodata, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "compress": "deflate", "interleave": "pixel", "photometric": "minisblack", "alpha": "no",
        "BIGTIFF": "IF_SAFER", "ENDIANNESS": "LITTLE",
    }  # fmt: skip
    if layer.colours is None:
        options["predictor"] = 2 if layer.dtype == "uint8" else 3
    if layer.half:
        options["nbits"] = 16
    if grid is not None:
        options |= _place(grid)
    file = rasterio.open(path, "w+", **options)
    if layer.colours is not None:
        clear = dict.fromkeys(range(len(layer.colours), 256), (0, 0, 0, 0))
        file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(layer.colours)} | clear)
    if grid is not None:
        for band, text in enumerate(layer.descriptions, 1):
            file.set_band_description(band, text)
        if layer.scale is not None:
            file.scales = (layer.scale,) * layer.bands
        if layer.class_names is not None:
            file.update_tags(**{f"CLASS_{index}": name for index, name in enumerate(layer.class_names)})
    return file


def _place(grid: Grid) -> dict[str, Any]:
    """Transform or ground control points, and reference system."""
    place: dict[str, Any] = {}
    if grid.crs_wkt is not None:
        place["crs"] = rasterio.crs.CRS.from_wkt(grid.crs_wkt)
    if grid.points:
        place["gcps"] = [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in grid.points]
    elif grid.is_georeferenced:
        place["transform"] = Affine(*grid.transform)
    return place


def _gdal(window: Window) -> Any:
    return rasterio.windows.Window(window.col, window.row, window.width, window.height)
