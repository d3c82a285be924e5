"""What a grid means on the ground: metres a pixel, names of reference systems, longitude and latitude."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what GDAL raises for points that no projection reaches
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import from_gcps
from rasterio.warp import transform as transform_points

from .grid import PIXEL_TRANSFORM, Grid

TRUE_METRES = 0.01
"""A projection's own metres count where they are true to within this share."""

_EARTH_RADIUS_M = 6378137.0  # equatorial, of WGS 84
_NEAR = 1e-5  # length of the steps that are measured, in radii: straight and flat, and far above rounding

_Steps = tuple[tuple[float, float], tuple[float, float]]


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

    The metres of a projection count as they are where both steps are true to within `TRUE_METRES`: 10 m of
    UTM stay 10 m, and so do national grids and what lies outside of a projection's domain. Elsewhere (Web
    Mercator away from the equator, degrees) it is the length on the ellipsoid of the reference system, of
    whatever planet. None where no reference system says what the coordinates are, or they are no place.
    """
    if grid.crs_wkt is None:
        return None
    a, b, c, d, e, f = placed(grid).transform
    row, col = shape[0] / 2, shape[1] / 2
    middle, steps = (a * col + b * row + c, d * col + e * row + f), ((a, d), (b, e))
    try:
        crs = CRS.from_wkt(grid.crs_wkt)
        true = _on_ellipsoid(crs, middle, steps)
        if crs.is_geographic:
            return true
        unit = float(crs.linear_units_factor[1])
    except (CRSError, ValueError):
        return None
    nominal = math.hypot(a, d) * unit, math.hypot(b, e) * unit
    if true is None or all(abs(t - n) <= TRUE_METRES * n for t, n in zip(true, nominal, strict=True)):
        return nominal
    return true


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
    except (CRSError, RasterioError, CPLE_BaseError, ValueError):
        return None
    mesh = np.stack([longitude, latitude], axis=-1).reshape(nodes, nodes, 2)
    mesh[..., 0] = np.unwrap(np.unwrap(mesh[..., 0], period=360, axis=1), period=360, axis=0)
    return mesh if np.isfinite(mesh).all() else None


def _on_ellipsoid(crs: CRS, middle: tuple[float, float], steps: _Steps) -> tuple[float, float] | None:
    """Metres on the ground of two steps at a place, all in coordinates of `crs`; None where it is no place.

    A short piece of each step is carried to geocentric x, y, z (EPSG Guidance Note 7-2, method 9602, by PROJ)
    and measured there, straight: that holds at poles and at the date line, too.
    """
    try:
        radius, flattening = _ellipsoid(crs)
        body = CRS.from_proj4(f"+proj=geocent +a={radius!r} +b={radius * (1 - flattening)!r} +units=m")
        near = _NEAR * (1.0 if crs.is_geographic else radius) / float(crs.units_factor[1])
        lengths = [math.hypot(*step) for step in steps]
        pieces = [
            (x / length * near / 2, y / length * near / 2) if length else (0.0, 0.0)
            for (x, y), length in zip(steps, lengths, strict=True)
        ]
        xs = [middle[0] + sign * x for x, _ in pieces for sign in (-1, 1)]
        ys = [middle[1] + sign * y for _, y in pieces for sign in (-1, 1)]
        ends = np.transpose(transform_points(crs, body, xs, ys, [0.0] * len(xs)))
    except (CRSError, RasterioError, CPLE_BaseError, ValueError):
        return None
    along, down = (float(np.linalg.norm(ends[i + 1] - ends[i])) / near for i in (0, 2))
    found = along * lengths[0], down * lengths[1]
    return found if all(map(math.isfinite, found)) else None


def _on_earth(crs: CRS) -> bool:
    return abs(_ellipsoid(crs)[0] / _EARTH_RADIUS_M - 1) < 0.01


def _ellipsoid(crs: CRS) -> tuple[float, float]:
    """Equatorial radius in metres and flattening of the body; the Earth as a sphere where none is named."""
    for keyword in ("SPHEROID[", "ELLIPSOID["):
        _, found, rest = crs.to_wkt().partition(keyword)
        if found:
            radius, inverse = (float(part.strip(" ]")) for part in rest.split('"', 2)[2].split(",")[1:3])
            return radius, 1 / inverse if inverse else 0.0
    return _EARTH_RADIUS_M, 0.0
