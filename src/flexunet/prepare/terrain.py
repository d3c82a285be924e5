"""Bands derived from elevation: slope, aspect, hillshade, curvature, relief."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..raster import Grid
from .options import TerrainName

RELIEF_RADIUS_PX = 5
HALO_PX = RELIEF_RADIUS_PX + 1
"""Pixels around a window that its derivatives look at."""
_SUN_AZIMUTH, _SUN_ALTITUDE = math.radians(315), math.radians(45)
_METRES_PER_DEGREE = 111_320.0

Band = NDArray[np.float32]


@dataclass(frozen=True)
class CellSize:
    """Ground size of a cell in metres, along columns (x) and rows (y)."""

    x: float
    y: float
    known: bool = True
    """False where the grid says nothing and 1 stands for it."""


def band_names(derivatives: Sequence[TerrainName]) -> tuple[str, ...]:
    """Names of the bands; aspect is two."""
    return tuple(
        name
        for each in derivatives
        for name in (("aspect_sin", "aspect_cos") if each == "aspect" else (each,))
    )


def cell_size(grid: Grid, row: float, pixel_size_m: float | None = None) -> CellSize:
    """The size of a cell near `row`: as given, by the grid's unit, or of degrees on a sphere there."""
    if pixel_size_m is not None:
        return CellSize(pixel_size_m, pixel_size_m)
    a, b, _, d, e, f = grid.transform
    across, down = math.hypot(a, d), math.hypot(b, e)
    if grid.crs_wkt is None:
        return CellSize(1.0, 1.0, known=False)
    from pyproj import CRS

    crs = CRS.from_wkt(grid.crs_wkt)
    unit = float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0
    if crs.is_geographic:
        latitude = math.radians(f + e * row)
        return CellSize(
            across * _METRES_PER_DEGREE * max(math.cos(latitude), 1e-3), down * _METRES_PER_DEGREE
        )
    return CellSize(across * unit, down * unit)


def derive(
    elevation: Band, valid: NDArray[np.bool_], cell: CellSize, derivatives: Sequence[TerrainName]
) -> tuple[Band, NDArray[np.bool_]]:
    """Bands float32 (n, H, W) in the order of `band_names`, and where they are known, bool (H, W).

    elevation: float32 (H, W) in metres. Gradient: Horn 1981 (Proc. IEEE 69:14) over 3 x 3 cells; slope in
    degrees; aspect as sine and cosine of the direction of descent, clockwise from the top of the picture, 0
    and 0 on flat ground; hillshade 0 to 255, sun in the north-west at 45 degrees; curvature -2 (D + E) in
    1/100 m (Zevenbergen and Thorne 1987, eq. 6 and 7), above 0 on ridges; relief: highest minus lowest of
    11 x 11 cells in metres. A cell is unknown where a neighbour that it needs is; beyond the edge the
    surface goes on straight.
    """
    z = _continued(np.where(valid, elevation, np.float32(0)))
    west, east = z[1:-1, :-2], z[1:-1, 2:]
    north, south, middle = z[:-2, 1:-1], z[2:, 1:-1], z[1:-1, 1:-1]
    nw, ne, sw, se = z[:-2, :-2], z[:-2, 2:], z[2:, :-2], z[2:, 2:]
    right = ((ne + 2 * east + se) - (nw + 2 * west + sw)) * np.float32(1 / (8 * cell.x))
    down = ((sw + 2 * south + se) - (nw + 2 * north + ne)) * np.float32(1 / (8 * cell.y))
    steepness: Band = np.hypot(right, down)
    known = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    bands: list[NDArray[np.floating[Any]]] = []
    for name in derivatives:
        if name == "slope":
            bands.append(np.degrees(np.arctan(steepness)))
        elif name == "aspect":
            flat = np.maximum(steepness, np.float32(1e-9))
            bands += [-right / flat, down / flat]  # rows count downwards: descent to the top is down > 0
        elif name == "hillshade":
            bands.append(_hillshade(right, down))
        elif name == "curvature":
            d = ((west + east) / 2 - middle) / np.float32(cell.x**2)
            e = ((north + south) / 2 - middle) / np.float32(cell.y**2)
            bands.append(-2 * (d + e) * np.float32(100))
        else:
            bands.append(_relief(elevation, valid))
    stack: Band = np.stack(bands).astype(np.float32)
    return np.where(known, stack, np.float32(0)), known


def _continued(z: Band) -> Band:
    """With one more cell a side, on a straight line through the last two."""
    padded = (
        np.pad(z, 1, mode="reflect", reflect_type="odd") if min(z.shape) > 1 else np.pad(z, 1, mode="edge")
    )
    return np.asarray(padded, np.float32)


def _hillshade(right: Band, down: Band) -> Band:
    """255 times the cosine between the surface's normal (-right, down, 1) and the sun, at least 0."""
    east, north = math.sin(_SUN_AZIMUTH), math.cos(_SUN_AZIMUTH)
    flat, up = math.cos(_SUN_ALTITUDE), math.sin(_SUN_ALTITUDE)
    light = (-right * east * flat + down * north * flat + up) / np.sqrt(1 + right**2 + down**2)
    return np.asarray(255 * np.clip(light, 0, 1), np.float32)


def _relief(elevation: Band, valid: NDArray[np.bool_]) -> Band:
    kernel = np.ones((2 * RELIEF_RADIUS_PX + 1,) * 2, np.uint8)
    high = cv2.dilate(np.where(valid, elevation, np.float32(-1e9)), kernel)
    low = cv2.erode(np.where(valid, elevation, np.float32(1e9)), kernel)
    return np.asarray(np.where(valid, high - low, 0), np.float32)
