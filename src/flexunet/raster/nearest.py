"""A raster of labels seen on the grid of another one, window by window."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.vrt import WarpedVRT

from ..errors import RasterError
from .grid import Grid
from .reader import open_raster
from .window import Window

_ANY_PLANE = CRS.from_epsg(3857)
"""Stands for the common system of two rasters that name none."""


class OnGrid:
    """The raster `path` on `grid` and `shape` (height, width); a context manager.

    On the same grid its windows are read as they are. On another one each pixel takes the value of the
    nearest pixel (its centre's) of the raster; what lies outside of it is not valid. Memory: the window.

    Raises:
        RasterError: it cannot be read; or the grids differ and one of them has no place on the other.
    """

    def __init__(self, path: Path, grid: Grid, shape: tuple[int, int]) -> None:
        self.path = path
        self._kept = ExitStack()
        self._reader = self._kept.enter_context(open_raster(path))
        self.bands, self.dtype = self._reader.shape[0], self._reader.dtype
        self.nodata = self._reader.nodata
        self._warped: WarpedVRT | None = None
        self.resampled = not _same_grid(self._reader.grid, self._reader.shape[1:], grid, shape)
        if self.resampled:
            try:
                self._warped = self._warp(grid, shape)
            except (RasterioError, CRSError, OSError, ValueError) as error:
                self._kept.close()
                raise RasterError(f"{path}: cannot be brought to the other grid: {error}") from error

    def _warp(self, grid: Grid, shape: tuple[int, int]) -> WarpedVRT:
        own = self._reader.grid
        if not own.is_georeferenced or not grid.is_georeferenced or grid.points:
            sizes = f"{self._reader.shape[1]} x {self._reader.shape[2]} pixels for {shape[0]} x {shape[1]}"
            raise ValueError(f"it has {sizes}, and without a georeference on both sides they must be equal")
        if (own.crs_wkt is None) != (grid.crs_wkt is None):
            raise ValueError("only one of the two has a coordinate reference system")
        source = self._kept.enter_context(rasterio.open(self.path))
        target = _ANY_PLANE if grid.crs_wkt is None else CRS.from_wkt(grid.crs_wkt)
        return self._kept.enter_context(
            WarpedVRT(
                source,
                src_crs=source.crs or _ANY_PLANE,
                crs=target,
                transform=Affine(*grid.transform),
                height=shape[0],
                width=shape[1],
                resampling=Resampling.nearest,
                add_alpha=True,
                tolerance=0,
            )
        )

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (C, h, w) and which of them the raster holds data for, bool (h, w)."""
        if self._warped is None:
            return self._reader.read_valid(window)
        place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
        try:
            pixels: NDArray[Any] = self._warped.read(list(range(1, self.bands + 1)), window=place)
            valid: NDArray[np.bool_] = self._warped.dataset_mask(window=place) > 0
        except (RasterioError, OSError, ValueError) as error:
            raise RasterError(f"{self.path}: damaged or cut: {error}") from error
        return pixels, valid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()


def _same_grid(one: Grid, one_shape: tuple[int, ...], two: Grid, two_shape: tuple[int, ...]) -> bool:
    """Whether pixels lie on pixels: one size, and the same place where both have one."""
    if tuple(one_shape) != tuple(two_shape):
        return False
    if not one.is_georeferenced or not two.is_georeferenced or one.points or two.points:
        return True
    step = max(
        abs(value) for value in (two.transform[0], two.transform[1], two.transform[3], two.transform[4])
    )
    pairs = zip(one.transform, two.transform, strict=True)
    # a thousandth of a pixel at the far corner
    near = all(
        abs(left - right) * (1 if place in (2, 5) else max(two_shape)) <= 1e-3 * step
        for place, (left, right) in enumerate(pairs)
    )
    return near and _same_crs(one.crs_wkt, two.crs_wkt)


def _same_crs(one: str | None, two: str | None) -> bool:
    if one is None or two is None or one == two:
        return True
    try:
        return bool(CRS.from_wkt(one) == CRS.from_wkt(two))
    except CRSError:
        return False
