"""A raster of labels seen on the grid of another one, window by window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

from ..errors import RasterError
from .closing import Closing
from .grid import Grid
from .reader import open_raster
from .window import Window

_TILE_PX = 1024  # edge of what is resampled at a time
_NODE_PX = 32  # at most so far apart are points that are projected; between them it is linear

Floats = NDArray[np.float64]


class OnGrid(Closing):
    """The raster `path` on `grid` and `shape` (height, width); a context manager.

    On the same grid its windows are read as they are. On another one each pixel takes the value of the pixel
    of the raster that covers its centre; what lies outside of it is not valid. A declared nodata value below
    `labels` is one of them: many masks declare their background. Memory: the window, and what a tile of it
    covers of a finer raster.

    Raises:
        RasterError: it cannot be read; or the grids differ and one of them has no place on the other.
    """

    def __init__(self, path: Path, grid: Grid, shape: tuple[int, int], labels: int = 0) -> None:
        self.path, self._grid = path, grid
        self._reader = open_raster(path)
        self.bands, self.dtype = self._reader.shape[0], self._reader.dtype
        self.nodata = self._reader.nodata
        self._background = self.nodata if self.nodata is not None and 0 <= self.nodata < labels else None
        own = self._reader.grid
        self.resampled = not _same_grid(own, self._reader.shape[1:], grid, shape)
        self._systems: tuple[CRS, CRS] | None = None
        if self.resampled:
            try:
                self._inverse = _inverse(own.transform)
                self._systems = self._needed_systems(shape)
            except (CRSError, ValueError) as error:
                self.close()
                raise RasterError(f"{path}: cannot be brought to the other grid: {error}") from error

    def _needed_systems(self, shape: tuple[int, int]) -> tuple[CRS, CRS] | None:
        """The systems of the grid and of the raster, where they differ."""
        own, grid = self._reader.grid, self._grid
        if not own.is_georeferenced or not grid.is_georeferenced or grid.points or own.points:
            sizes = f"{self._reader.shape[1]} x {self._reader.shape[2]} pixels for {shape[0]} x {shape[1]}"
            raise ValueError(f"it has {sizes}, and without an affine grid on both sides they must be equal")
        if (own.crs_wkt is None) != (grid.crs_wkt is None):
            raise ValueError("only one of the two has a coordinate reference system")
        if own.crs_wkt is None or grid.crs_wkt is None or _same_crs(own.crs_wkt, grid.crs_wkt):
            return None
        return CRS.from_wkt(grid.crs_wkt), CRS.from_wkt(own.crs_wkt)

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (C, h, w) and which of them the raster holds data for, bool (h, w)."""
        if not self.resampled:
            return self._read_own(window)
        pixels = np.zeros((self.bands, *window.shape), self.dtype)
        valid = np.zeros(window.shape, np.bool_)
        for row in range(0, window.height, _TILE_PX):
            for col in range(0, window.width, _TILE_PX):
                height, width = min(_TILE_PX, window.height - row), min(_TILE_PX, window.width - col)
                tile = Window(window.row + row, window.col + col, height, width)
                part = np.s_[row : row + height, col : col + width]
                self._gather(tile, pixels[:, *part], valid[part])
        return pixels, valid

    def _read_own(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        pixels, valid = self._reader.read_valid(window)
        return pixels, valid if self._background is None else valid | (pixels == self._background).all(0)

    def _gather(self, tile: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Fill `pixels` (C, h, w) and `valid` (h, w) of a tile of the grid."""
        rows, cols = self._places(tile)
        height, width = self._reader.shape[1:]
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        if not inside.any():
            return
        i, j = rows[inside].astype(np.intp), cols[inside].astype(np.intp)
        top, left = int(i.min()), int(j.min())
        source, known = self._read_own(Window(top, left, int(i.max()) - top + 1, int(j.max()) - left + 1))
        pixels[:, inside] = source[:, i - top, j - left]
        valid[inside] = known[i - top, j - left]

    def _places(self, tile: Window) -> tuple[Floats, Floats]:
        """Row and column (h, w) in the raster of each pixel centre of a tile, with fractions."""
        step = _NODE_PX if self._systems is not None else max(tile.shape)
        down, across = _spread(tile.height, step), _spread(tile.width, step)
        node_rows = tile.row + 0.5 + np.linspace(0, tile.height - 1, down.shape[1])
        node_cols = tile.col + 0.5 + np.linspace(0, tile.width - 1, across.shape[1])
        col, row = np.meshgrid(node_cols, node_rows)
        a, b, c, d, e, f = self._grid.transform
        x, y = a * col + b * row + c, d * col + e * row + f
        if self._systems is not None:
            try:
                found = transform_points(*self._systems, x.ravel(), y.ravel())
            except (CRSError, RasterioError) as error:
                raise RasterError(f"{self.path}: cannot be brought to the other grid: {error}") from error
            x, y = (np.asarray(values, np.float64).reshape(x.shape) for values in found[:2])
        a, b, c, d, e, f = self._inverse
        cols, rows = a * x + b * y + c, d * x + e * y + f
        with np.errstate(invalid="ignore"):  # places that the other system does not know are infinite
            return down @ rows @ across.T, down @ cols @ across.T

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def _spread(length: int, step: int) -> Floats:
    """Weights (length, nodes) that interpolate between nodes at most `step` apart, the ends among them."""
    nodes = max(2, -(-(length - 1) // step) + 1)
    place = np.linspace(0, nodes - 1, length) if length > 1 else np.zeros(1)
    weights: Floats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(nodes)))
    return weights


def _inverse(transform: tuple[float, ...]) -> tuple[float, ...]:
    a, b, c, d, e, f = transform
    det = a * e - b * d
    if det == 0:
        raise ValueError(f"its transform {transform} maps all pixels onto a line")
    return e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det


def _same_grid(one: Grid, one_shape: tuple[int, ...], two: Grid, two_shape: tuple[int, ...]) -> bool:
    """Whether pixels lie on pixels: one size, and the same place where both have one."""
    if tuple(one_shape) != tuple(two_shape):
        return False
    if not one.is_georeferenced or not two.is_georeferenced or one.points or two.points:
        return True
    a, b, _, d, e, _ = two.transform
    step, longest = max(abs(value) for value in (a, b, d, e)), max(two_shape)
    # a thousandth of a pixel at the far corner
    near = all(
        abs(left - right) * (1 if place in (2, 5) else longest) <= 1e-3 * step
        for place, (left, right) in enumerate(zip(one.transform, two.transform, strict=True))
    )
    return near and _same_crs(one.crs_wkt, two.crs_wkt)


def _same_crs(one: str | None, two: str | None) -> bool:
    if one is None or two is None or one == two:
        return True
    try:
        return bool(CRS.from_wkt(one) == CRS.from_wkt(two))
    except CRSError:
        return False
