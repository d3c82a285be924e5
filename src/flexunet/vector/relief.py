"""Slope and aspect of a terrain model on the grid of a class map, strip by strip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..raster import Window, open_raster, read_onto
from .measure import Surveyor

Floats = NDArray[np.float64]


class Terrain:
    """Elevation, slope and aspect for the windows of a class map.

    A terrain model on another grid is brought onto the class map's, bilinearly. Memory: the window.
    """

    def __init__(self, path: Path, surveyor: Surveyor) -> None:
        """Raises: DataError where the two cannot be laid over each other."""
        self._path, self._surveyor = path, surveyor
        height, width = surveyor.size_hw
        self._reader = reader = open_raster(path)
        self._same = reader.shape[1:] == (height, width) and reader.grid == surveyor.grid
        if reader.shape[0] != 1:
            raise DataError(f"{path}: a terrain model has one band of elevations, this has {reader.shape[0]}")
        if surveyor.grid.points:
            raise DataError(f"{path}: the class map is placed by control points; warp it to a grid first.")
        if not self._same and (reader.grid.crs_wkt is None or surveyor.grid.crs_wkt is None):
            raise DataError(
                f"{path}: {reader.shape[1]} x {reader.shape[2]} pixels cannot be laid over a class map of "
                f"{height} x {width}: that needs a coordinate reference system on both sides, or one grid."
            )

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def read(self, row: int, wanted: NDArray[np.bool_]) -> dict[str, NDArray[np.floating]]:
        """`elevation` (metres), `slope` (degrees), `east` and `north` (of the downhill direction) of rows.

        float64 of the shape of `wanted`, bool (rows, W): NaN where unknown or not wanted.
        """
        rows = len(wanted)
        if not wanted.any():
            nothing = np.full(wanted.shape, np.nan)
            return dict.fromkeys(("elevation", "slope", "east", "north"), nothing)
        height, width = self._surveyor.size_hw
        window = Window(row, 0, rows, width).grown(1, height, width)
        if self._same:
            pixels, known = self._reader.read_valid(window)
        else:
            grid = self._surveyor.grid.shifted(window.row, window.col)
            pixels, known = read_onto(self._path, grid, window.shape)
        elevation = np.where(known, pixels[0].astype(np.float64), np.nan)
        top, bottom = row - window.row, window.row + window.height - row - rows
        padded = np.pad(elevation, ((1 - top, 1 - bottom), (1, 1)), constant_values=np.nan)
        middles = np.column_stack((np.full(rows, width / 2), row + 0.5 + np.arange(rows)))
        slope, east, north = slope_and_aspect(padded, self._surveyor.jacobians(middles), wanted)
        return {"elevation": padded[1:-1, 1:-1], "slope": slope, "east": east, "north": north}


def slope_and_aspect(
    elevation: Floats, steps: Floats, wanted: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Slope in degrees and the unit vector (east, north) downhill, (h, W) each, NaN where unknown.

    Weighted differences of 3 x 3 cells (Horn 1981, "Hill shading and the reflectance map", Proc. IEEE 69(1)).
    A missing neighbour counts as high as the cell itself; flat cells have no direction.

    Args:
        elevation: (h + 2, W + 2) metres, NaN where unknown.
        steps: (h, 2, 2): metres east and north for a step of one column and one row, row by row.
        wanted: cells to work on (h, W), None for all; the others are NaN.
    """
    height, width = elevation.shape[0] - 2, elevation.shape[1] - 2
    row, col = np.indices((height, width)).reshape(2, -1) if wanted is None else np.nonzero(wanted)
    flat = elevation.reshape(-1)
    place = (row + 1) * (width + 2) + col + 1
    middle = flat[place]

    def beside(down: int, right: int) -> Floats:
        part: Floats = flat[place + (down * (width + 2) + right)]
        return np.asarray(np.where(np.isnan(part), middle, part))

    nw, n, ne = beside(-1, -1), beside(-1, 0), beside(-1, 1)
    w, e = beside(0, -1), beside(0, 1)
    sw, s, se = beside(1, -1), beside(1, 0), beside(1, 1)
    by_col = ((ne + 2 * e + se) - (nw + 2 * w + sw)) / 8
    by_row = ((sw + 2 * s + se) - (nw + 2 * n + ne)) / 8
    # dz = g . (steps @ (dcol, drow)), so the gradient is g = steps^-T (by_col, by_row).
    inverse = np.linalg.inv(steps)[row]
    to_east = by_col * inverse[:, 0, 0] + by_row * inverse[:, 1, 0]
    to_north = by_col * inverse[:, 0, 1] + by_row * inverse[:, 1, 1]
    steep = np.where(np.isnan(middle), np.nan, np.hypot(to_east, to_north))
    found = np.full((3, height, width), np.nan)
    found[0, row, col] = np.degrees(np.arctan(steep))
    with np.errstate(invalid="ignore", divide="ignore"):
        found[1, row, col] = np.where(steep > 0, -to_east / steep, np.nan)
        found[2, row, col] = np.where(steep > 0, -to_north / steep, np.nan)
    return found[0], found[1], found[2]
