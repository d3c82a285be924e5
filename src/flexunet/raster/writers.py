"""Pictures and rasters out to files, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError

from ..errors import RasterError
from ..files import whole_file
from .grid import Grid
from .window import Window

Colours = Sequence[tuple[int, int, int]]

_PLENTY = 1_000_000
"""Bytes: with less free space a write fails for that reason, whatever GDAL says of it."""

NO_CLASS_COLOUR = (128, 128, 128)
"""Colour of labels beyond the class colours, such as the ignore index."""


def write_labels_png(path: Path, labels: NDArray[Any], colours: Colours) -> None:
    """A palette PNG whose indices are the labels uint8 (H, W); labels without a colour are drawn grey."""
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"labels are uint8 (H, W), not {labels.dtype} {labels.shape}")
    highest = int(labels.max(initial=0))
    palette = [*colours] + [NO_CLASS_COLOUR] * max(0, highest + 1 - len(colours))
    picture = Image.fromarray(labels)
    picture.putpalette([value for colour in palette for value in colour])
    bits = next(bits for bits in (1, 2, 4, 8) if len(palette) <= 2**bits)
    with creating(path) as beside:
        picture.save(beside, format="PNG", bits=bits, optimize=False)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """An 8-bit PNG from uint8 (H, W), (H, W, 3) or (H, W, 4)."""
    if picture.dtype != np.uint8:
        raise ValueError(f"an 8-bit PNG needs uint8 pixels, not {picture.dtype}")
    with creating(path) as beside:
        Image.fromarray(picture).save(beside, format="PNG")


def write_raster(
    path: Path,
    array: NDArray[Any],
    grid: Grid,
    nodata: float | None = None,
    colours: Colours | None = None,
    names: Sequence[str] = (),
) -> None:
    """A tiled, compressed GeoTIFF from (C, H, W) or (H, W); `colours` makes a palette of a uint8 band.

    names: of the bands, kept as their descriptions; left out: none.

    Raises:
        RasterError: the file cannot be written in full.
    """
    stack = array[None] if array.ndim == 2 else array
    count, height, width = stack.shape
    with create_raster(path, (count, height, width), stack.dtype.name, grid, nodata, colours, names) as write:
        write(stack, Window(0, 0, height, width))


@contextmanager
def create_raster(
    path: Path,
    shape: tuple[int, int, int],
    dtype: str,
    grid: Grid,
    nodata: float | None = None,
    colours: Colours | None = None,
    names: Sequence[str] = (),
) -> Iterator[Any]:
    """Write a GeoTIFF (BigTIFF where needed) window by window; yields `write(pixels (C, h, w), window)`.

    Memory: GDAL's block cache. Windows that start and end on multiples of 256 are compressed once.

    Raises:
        RasterError: the file cannot be written in full.
    """
    with creating(path) as beside:
        with rasterio.open(beside, "w", **_profile(shape, dtype, grid, nodata)) as target:
            if colours is not None:
                target.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(colours)})
            for band, name in enumerate(names, start=1):
                target.set_band_description(band, name)

            def write(pixels: NDArray[Any], window: Window) -> None:
                place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
                target.write(pixels, window=place)

            yield write
        with rasterio.open(beside) as written:  # GDAL reports a full disk late; a cut file fails here
            written.read(1, window=rasterio.windows.Window(shape[2] - 1, shape[1] - 1, 1, 1))


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """`whole_file` whose faults name the file, and the full disk where that is to blame."""
    # the free space is looked up before the half-written file is removed
    with naming_faults(path), whole_file(path) as beside, naming_faults(path, beside.parent):
        yield beside


@contextmanager
def naming_faults(path: Path, folder: Path | None = None) -> Iterator[None]:
    """Faults of writing become a `RasterError` that names `path`, and the disk of `folder` if it is full."""
    try:
        yield
    except RasterError:
        raise
    except (RasterioError, CPLE_BaseError, OSError) as error:
        free = shutil.disk_usage(folder).free if folder is not None else _PLENTY
        cause = error.__cause__ if isinstance(error, RasterioError) and error.__cause__ else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else cause
        full = "the disk is full: " if free < _PLENTY else ""
        raise RasterError(f"{path}: cannot be written: {full}{reason}") from error


def _profile(shape: tuple[int, int, int], dtype: str, grid: Grid, nodata: float | None) -> dict[str, Any]:
    count, height, width = shape
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": dtype, "nodata": nodata,
        "compress": "deflate", "predictor": 3 if dtype.startswith("float") else 2, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    if not (count == 3 and dtype == "uint8"):
        # GDAL would take a fourth 8-bit band for alpha.
        profile |= {"photometric": "minisblack", "alpha": "no"}
    if height >= 256 and width >= 256:
        profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    if grid.points:
        profile["gcps"] = [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in grid.points]
    elif grid.is_georeferenced:
        profile["transform"] = Affine(*grid.transform)
    if grid.crs_wkt is not None:
        profile["crs"] = rasterio.crs.CRS.from_wkt(grid.crs_wkt)
    return profile
