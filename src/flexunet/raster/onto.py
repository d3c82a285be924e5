"""A raster brought onto the grid of another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from ..errors import RasterError
from .grid import Grid
from .values import BAD_MAGNITUDE


def read_onto(
    path: Path, grid: Grid, size_hw: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bands float32 (C, H, W) of a raster on `grid`, and where all of them are known, bool (H, W).

    Bilinear between cell centres; cells without data stay out of it. Memory: the part that is asked for.

    Raises:
        RasterError: it cannot be read, or one of both has no coordinate system.
    """
    try:
        with rasterio.open(path) as source:
            if source.crs is None or grid.crs_wkt is None:
                raise RasterError(
                    f"{path}: without a coordinate system on both sides it cannot be laid over."
                )
            bands = np.full((source.count, *size_hw), np.nan, np.float32)
            for number in source.indexes:
                rasterio.warp.reproject(
                    rasterio.band(source, number),
                    bands[number - 1],
                    src_nodata=source.nodatavals[number - 1],
                    dst_nodata=np.nan,
                    dst_transform=Affine(*grid.transform),
                    dst_crs=grid.crs_wkt,
                    resampling=Resampling.bilinear,
                )
    except RasterError:
        raise
    except (RasterioError, OSError, ValueError) as error:
        raise RasterError(f"{path}: cannot be read as a raster: {error}") from error
    with np.errstate(invalid="ignore"):
        known: NDArray[np.bool_] = np.all(np.abs(bands) < BAD_MAGNITUDE, axis=0)
    return np.where(known, bands, np.float32(0)), known
