"""What a grid means on the ground: metres a pixel, names of reference systems, longitude and latitude."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import from_gcps
from rasterio.warp import transform as transform_points

from .grid import PIXEL_TRANSFORM, Grid

_EARTH_RADIUS_M = 6371008.8  # mean radius, IUGG; for reference systems that name no body


def placed(grid: Grid) -> Grid:
    """The grid itself, or for one of ground control points the affine grid that fits them best."""
    if not grid.points or grid.transform != PIXEL_TRANSFORM:
        return grid
    points = [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in grid.points]
    try:
        a, b, c, d, e, f = tuple(from_gcps(points))[:6]
    except (RasterioError, ValueError):  # fewer than three points
        return grid
    return Grid((a, b, c, d, e, f), grid.crs_wkt)


def metres_per_pixel(grid: Grid, shape: tuple[int, int]) -> tuple[float, float] | None:
    """Length in metres of a step to the next column and to the next row, at the middle of the raster.

    Degrees are taken on a sphere of the body's equatorial radius (at most 0.7 % off on Earth). None where no
    reference system says what the coordinates are.
    """
    if grid.crs_wkt is None:
        return None
    try:
        crs = CRS.from_wkt(grid.crs_wkt)
        a, b, _, d, e, f = placed(grid).transform
        if crs.is_geographic:
            row, col = shape[0] / 2, shape[1] / 2
            latitude = math.radians(d * col + e * row + f)
            degree = math.radians(1) * _radius_m(crs)
            across, up = degree * math.cos(latitude), degree
        else:
            across = up = float(crs.linear_units_factor[1])
    except (CRSError, ValueError):
        return None
    return math.hypot(a * across, d * up), math.hypot(b * across, e * up)


def crs_name(grid: Grid) -> str | None:
    """What people call the reference system, such as `WGS 84 / UTM zone 50N (EPSG:32650)`."""
    if grid.crs_wkt is None:
        return None
    text = grid.crs_wkt
    name = text[text.find('"') + 1 :].split('"', 1)[0] if '"' in text else "unnamed"
    try:
        code = CRS.from_wkt(text).to_epsg()
    except CRSError:
        code = None
    return f"{name} (EPSG:{code})" if code else name


def is_geographic(grid: Grid) -> bool:
    """Whether the coordinates are degrees."""
    try:
        return grid.crs_wkt is not None and bool(CRS.from_wkt(grid.crs_wkt).is_geographic)
    except CRSError:
        return False


def lonlat_mesh(grid: Grid, shape: tuple[int, int], nodes: int = 9) -> NDArray[np.float64] | None:
    """Longitude and latitude (WGS 84) at `nodes` x `nodes` points, float64 (nodes, nodes, 2).

    Node (i, j) is the corner of row `i * H / (nodes - 1)` and column `j * W / (nodes - 1)`. Longitudes go on
    beyond 180 where the scene crosses that meridian. None where the coordinates are not on Earth or unknown.
    """
    if grid.crs_wkt is None:
        return None
    a, b, c, d, e, f = placed(grid).transform
    rows, cols = np.meshgrid(np.linspace(0, shape[0], nodes), np.linspace(0, shape[1], nodes), indexing="ij")
    x, y = (a * cols + b * rows + c).ravel(), (d * cols + e * rows + f).ravel()
    try:
        crs = CRS.from_wkt(grid.crs_wkt)
        if not _on_earth(crs):
            return None
        longitude, latitude = transform_points(crs, CRS.from_epsg(4326), x, y)[:2]
    except (CRSError, RasterioError, ValueError):
        return None
    mesh = np.stack([longitude, latitude], axis=-1).reshape(nodes, nodes, 2)
    mesh[..., 0] = np.unwrap(np.unwrap(mesh[..., 0], period=360, axis=1), period=360, axis=0)
    return mesh if np.isfinite(mesh).all() else None


def _on_earth(crs: CRS) -> bool:
    return abs(_radius_m(crs) / 6378137 - 1) < 0.01


def _radius_m(crs: CRS) -> float:
    """Equatorial radius of the body."""
    for keyword in ("SPHEROID[", "ELLIPSOID["):
        _, found, rest = crs.to_wkt().partition(keyword)
        if found:
            return float(rest.split('"', 2)[2].split(",")[1].rstrip("]"))
    return _EARTH_RADIUS_M
