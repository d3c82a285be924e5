"""A raster of any size as a small picture of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from ..errors import RasterError
from .grid import Grid
from .reader import GdalReader, coloured, open_raster
from .values import bring_to_native, chosen_bands, data_mask, without_bad_floats


@dataclass(frozen=True)
class Reduced:
    """A raster shown small."""

    pixels: NDArray[Any]
    """(C, h, w) in one of the four native types."""
    valid: NDArray[np.bool_]
    """(h, w)."""
    shape: tuple[int, int]
    """Height and width of the raster itself."""
    grid: Grid
    """The grid of the raster itself."""
    band_names: tuple[str, ...]
    """Of the bands read."""

    @property
    def step(self) -> float:
        """Pixels of the raster to one of these, along its longer edge."""
        return float(max(self.shape) / max(self.valid.shape))


def reduced_shape(shape: tuple[int, int], edge_px: int) -> tuple[int, int]:
    """(height, width) of the same proportions whose longer edge is at most `edge_px`."""
    scale = min(1.0, edge_px / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def read_reduced(
    path: Path | str, edge_px: int, bands: Sequence[int] | None = None, *, labels: bool = False
) -> Reduced:
    """The whole raster with its longer edge reduced to at most `edge_px` pixels.

    Measurements are averaged over what a small pixel covers; `labels`, and the colours of a palette, are
    not: the most frequent label stands for all. Overviews are used where the file has them; without them
    every pixel is read once, in blocks. Memory: the small picture, and for kinds that are decoded whole
    (PNG, JPEG ...) the picture.

    Raises:
        RasterError: the file cannot be read, or has no such band.
    """
    with open_raster(path) as reader:
        count, height, width = reader.shape
        chosen = chosen_bands(reader.path, bands, count)
        small = reduced_shape((height, width), edge_px)
        names = tuple(reader.band_names[band - 1] for band in chosen)
        if isinstance(reader, GdalReader):
            pixels, valid = _from_gdal(reader, chosen, small, labels=labels)
            if reader.palette is not None and not labels:
                pixels, names = coloured(reader.path, pixels[0], reader.palette), ("red", "green", "blue")
        else:
            pixels, valid = _from_picture(*reader.read_valid(bands=chosen), small, labels=labels)
        return Reduced(pixels, valid, (height, width), reader.grid, names)


def _from_gdal(
    reader: GdalReader, bands: tuple[int, ...], small: tuple[int, int], *, labels: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    how = Resampling.mode if labels or reader.palette is not None else Resampling.average
    try:
        pixels, shown = reader.decimated(bands, small, how)
    except (RasterioError, OSError, ValueError) as error:
        cause = error.__cause__ or error.__context__ or error
        raise RasterError(f"{reader.path}: damaged or cut: {cause}") from error
    valid = data_mask(pixels, each=tuple(reader.nodata_values[band - 1] for band in bands))
    return without_bad_floats(bring_to_native(pixels)), valid & shown


def _from_picture(
    pixels: NDArray[Any], valid: NDArray[np.bool_], small: tuple[int, int], *, labels: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if valid.shape == small:
        return pixels, valid
    size = (small[1], small[0])
    how = cv2.INTER_NEAREST_EXACT if labels else cv2.INTER_AREA
    bands = [cv2.resize(np.ascontiguousarray(band), size, interpolation=how) for band in pixels]
    kept = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.stack(bands), kept.astype(np.bool_)
