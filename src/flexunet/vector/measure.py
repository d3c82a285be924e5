"""Lengths, areas and shapes of polygons in metres, wherever their raster lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..raster import Grid
from .corners import Ints
from .libraries import pyproj

Floats = NDArray[np.float64]
Method = Literal["planar", "geodesic", "pixels"]

AREA_TOLERANCE = 0.01
"""A projection that changes areas by more than this share is not measured on its plane."""


@dataclass(frozen=True)
class Shapes:
    """What was measured of N polygons; metres and square metres, or pixels where there is no CRS."""

    area: Floats
    perimeter: Floats
    """All rings."""
    centroid: Floats
    """(N, 2): x and y in the coordinates of the grid."""
    major: Floats
    """Full axes of the ellipse with the polygon's second moments of area."""
    minor: Floats
    orientation: Floats
    """Direction of the major axis in degrees clockwise from north (of the grid; of the picture's top where
    there is no CRS), 0 to 180."""


class Surveyor:
    """Knows how pixel coordinates of one raster become coordinates, lengths and areas.

    `method` is `geodesic` (on the CRS's ellipsoid, whatever planet) for longitude and latitude, and for
    projections that change areas by more than `AREA_TOLERANCE` somewhere on the raster (Web Mercator far from
    the equator); `planar` for other projections, whose units become metres; `pixels` without a CRS.

    Raises:
        DataError: the grid lays all pixels onto a line, or its reference system is not understood.
    """

    def __init__(self, grid: Grid, size_hw: tuple[int, int]) -> None:
        self.grid = grid
        self.size_hw = size_hw
        self.notes: tuple[str, ...] = ()
        self.transform = grid.transform
        if grid.points:
            self.transform = self._fitted()
        else:
            _plane_of(self.transform)
        self.method: Method = "pixels"
        self._unit_m = 1.0
        if grid.crs_wkt is None:
            return
        try:
            self.crs = pyproj.CRS.from_wkt(grid.crs_wkt)
        except pyproj.exceptions.CRSError as error:
            raise DataError(f"the raster's coordinate reference system is not understood: {error}") from error
        self._geod: Any = self.crs.get_geod()
        if self.crs.is_geographic:
            self.method = "geodesic"
            return
        self.method = "planar"
        self._unit_m = (
            float(self.crs.axis_info[0].unit_conversion_factor or 1.0) if self.crs.axis_info else 1.0
        )
        if self._geod is not None and self._areas_off() > AREA_TOLERANCE:
            self.method = "geodesic"
            self.notes += (
                f"Areas and lengths are measured on the ellipsoid: the projection {self.crs.name} changes "
                f"areas by up to {self._areas_off():.0%} here.",
            )

    @property
    def pixel_area(self) -> float | None:
        """Square metres (pixels without a CRS) of each pixel; None where they differ."""
        if self.method == "pixels":
            return 1.0
        if self.method == "geodesic":
            return None
        a, b, _, d, e, _ = self.transform
        return abs(a * e - b * d) * self._unit_m**2

    @cached_property
    def typical_pixel(self) -> float:
        """Side in metres (pixels without a CRS) of a square as large as the raster's middle pixel."""
        if self.pixel_area is not None:
            return float(np.sqrt(self.pixel_area))
        height, width = self.size_hw
        jacobian = self.jacobians(np.array([[width / 2, height / 2]]))[0]
        return float(np.sqrt(abs(np.linalg.det(jacobian))))

    def to_world(self, pixels: NDArray[Any]) -> Floats:
        """Coordinates x, y (V, 2) of pixel corners (column, row)."""
        a, b, c, d, e, f = self.transform
        cols, rows = pixels[:, 0].astype(np.float64), pixels[:, 1].astype(np.float64)
        return np.column_stack((a * cols + b * rows + c, d * cols + e * rows + f))

    def measure(self, vertices: NDArray[Any], ring_offsets: Ints, polygon_offsets: Ints) -> Shapes:
        """Measure polygons given as in `Outlines`, in pixel coordinates."""
        count = len(polygon_offsets) - 1
        if count == 0:
            nothing = np.empty(0)
            return Shapes(nothing, nothing, np.empty((0, 2)), nothing, nothing, nothing)
        ring_polygon = np.repeat(np.arange(count), np.diff(polygon_offsets))
        origin = vertices[ring_offsets[polygon_offsets[:-1]]].astype(np.float64)
        lengths = np.diff(ring_offsets)
        local = vertices - np.repeat(origin[ring_polygon], lengths, axis=0)
        outer = np.zeros(len(ring_polygon), np.bool_)
        outer[polygon_offsets[:-1]] = True
        moments = _moments(local, ring_offsets, outer, ring_polygon, count)
        area_px = moments[:, 0]
        middle = moments[:, 1:3] / area_px[:, None]
        spread = moments[:, [3, 5, 5, 4]] / area_px[:, None]
        spread = spread.reshape(-1, 2, 2) - middle[:, :, None] * middle[:, None, :]
        centre = middle + origin
        jacobian = self.jacobians(centre)
        ground = jacobian @ spread @ jacobian.transpose(0, 2, 1)
        values, vectors = np.linalg.eigh(ground)
        axes = 4.0 * np.sqrt(np.maximum(values, 0.0))
        direction = np.degrees(np.arctan2(vectors[:, 0, 1], vectors[:, 1, 1])) % 180.0
        if self.method == "geodesic":
            area, perimeter = self._geodesic(vertices, ring_offsets, outer, ring_polygon, count)
        else:
            area = area_px * (self.pixel_area or 1.0)
            perimeter = self._planar_perimeter(vertices, ring_offsets, ring_polygon, count)
        return Shapes(area, perimeter, self.to_world(centre), axes[:, 1], axes[:, 0], direction)

    def distances(self, first: NDArray[Any], second: NDArray[Any]) -> Floats:
        """Metres (pixels without a CRS) between points given in pixel coordinates (N, 2)."""
        if self.method != "geodesic":
            step = (second.astype(np.float64) - first) @ self._plane.T
            return np.asarray(np.hypot(step[:, 0], step[:, 1]))
        (lon0, lat0), (lon1, lat1) = self._lonlat(first).T, self._lonlat(second).T
        return np.asarray(self._geod.inv(lon0, lat0, lon1, lat1)[2], np.float64)

    @cached_property
    def _plane(self) -> Floats:
        """Metres (pixels) east and north for a step of one column and one row, without a geodesic method."""
        if self.method == "pixels":
            return np.array([[1.0, 0.0], [0.0, -1.0]])
        a, b, _, d, e, _ = self.transform
        return np.array([[a, b], [d, e]]) * self._unit_m

    def jacobians(self, centre: Floats) -> Floats:
        """Metres east and north (N, 2, 2) for a step of one column and of one row at places in pixels."""
        if self.method != "geodesic":
            return np.broadcast_to(self._plane, (len(centre), 2, 2))
        here = self._lonlat(centre)
        phi = np.radians(here[:, 1])
        bent = 1.0 - self._geod.es * np.sin(phi) ** 2
        east = self._geod.a / np.sqrt(bent) * np.cos(phi) * np.pi / 180
        north = self._geod.a * (1.0 - self._geod.es) / bent**1.5 * np.pi / 180
        steps = []
        for step in ((1.0, 0.0), (0.0, 1.0)):
            there = self._lonlat(centre + step) - here
            there[:, 0] = (there[:, 0] + 180.0) % 360.0 - 180.0
            steps.append(np.column_stack((there[:, 0] * east, there[:, 1] * north)))
        return np.stack(steps, axis=2)

    @cached_property
    def _to_lonlat(self) -> Any | None:
        if self.crs.is_geographic:
            return None
        return pyproj.Transformer.from_crs(self.crs, self.crs.geodetic_crs, always_xy=True)

    def _lonlat(self, pixels: NDArray[Any]) -> Floats:
        """Longitude and latitude in degrees (N, 2) on the CRS's own ellipsoid."""
        world = self.to_world(pixels)
        if self._to_lonlat is None:
            degrees: Floats = world * np.degrees(self.crs.axis_info[0].unit_conversion_factor)
            return degrees
        return np.column_stack(self._to_lonlat.transform(world[:, 0], world[:, 1]))

    def _geodesic(
        self,
        vertices: NDArray[Any],
        ring_offsets: Ints,
        outer: NDArray[np.bool_],
        ring_polygon: Ints,
        count: int,
    ) -> tuple[Floats, Floats]:
        places = self._lonlat(vertices)
        lon, lat = np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])
        areas, perimeters = np.empty(len(outer)), np.empty(len(outer))
        ends = zip(ring_offsets[:-1].tolist(), ring_offsets[1:].tolist(), strict=True)
        for ring, (start, stop) in enumerate(ends):
            area, perimeters[ring] = self._geod.polygon_area_perimeter(lon[start:stop], lat[start:stop])
            areas[ring] = abs(area)
        signed = np.where(outer, areas, -areas)
        return _summed(signed, ring_polygon, count), _summed(perimeters, ring_polygon, count)

    def _planar_perimeter(
        self, vertices: NDArray[Any], ring_offsets: Ints, ring_polygon: Ints, count: int
    ) -> Floats:
        steps = np.zeros((len(vertices), 2))
        steps[:-1] = np.diff(vertices.astype(np.float64), axis=0)
        steps[ring_offsets[1:] - 1] = 0.0
        ground = steps @ self._plane.T
        rings = np.add.reduceat(np.hypot(ground[:, 0], ground[:, 1]), ring_offsets[:-1])
        return _summed(rings, ring_polygon, count)

    def _areas_off(self) -> float:
        """By which share the projection changes areas, at most, over a few places of the raster."""
        height, width = self.size_hw
        places = np.array([(x * width, y * height) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)])
        world = self.to_world(places)
        lon, lat = self._to_lonlat.transform(world[:, 0], world[:, 1])  # type: ignore[union-attr]
        try:
            scale = np.asarray(pyproj.Proj(self.crs).get_factors(lon, lat).areal_scale)
        except pyproj.exceptions.ProjError:
            return 0.0
        scale = scale[np.isfinite(scale)]
        return float(np.abs(1.0 / scale - 1.0).max()) if len(scale) else 0.0

    def _fitted(self) -> tuple[float, float, float, float, float, float]:
        """The affine transform that fits the ground control points best (least squares)."""
        points = self.grid.points
        known = np.array([(p.col, p.row, 1.0) for p in points])
        wanted = np.array([(p.x, p.y) for p in points])
        if np.linalg.matrix_rank(known) < 3:
            raise DataError(f"{len(points)} ground control points on a line do not place a raster")
        (a, d), (b, e), (c, f) = np.linalg.lstsq(known, wanted, rcond=None)[0].tolist()
        det = _plane_of((a, b, c, d, e, f))
        off = wanted - known @ np.array([[a, d], [b, e], [c, f]])
        off_px = float(
            np.hypot(off[:, 0] * e - off[:, 1] * b, off[:, 1] * a - off[:, 0] * d).max() / abs(det)
        )
        self.notes += (
            f"Polygons are placed by the affine transform that fits the {len(points)} ground control points "
            f"best; it is off by up to {off_px:.2g} pixels.",
        )
        return a, b, c, d, e, f


def _plane_of(transform: tuple[float, float, float, float, float, float]) -> float:
    """Area of a pixel in units of the grid, negative where the picture is mirrored.

    Raises:
        DataError: it is nothing.
    """
    a, b, _, d, e, _ = transform
    area = a * e - b * d
    if not np.isfinite(area) or area == 0:
        raise DataError(
            f"the raster's transform {transform} lays all pixels onto a line: nothing has an area"
        )
    return area


def _summed(values: Floats, groups: Ints, count: int) -> Floats:
    return np.bincount(groups, values, count).astype(np.float64, copy=False)


def _moments(
    vertices: Floats, ring_offsets: Ints, outer: NDArray[np.bool_], ring_polygon: Ints, count: int
) -> Floats:
    """Area, first and second moments (N, 6): A, Sx, Sy, Sxx, Syy, Sxy, exact by Green's theorem.

    Each integral over the inside is a sum over the edges, e.g. Sxx = sum((x0² + x0 x1 + x1²) (x0 y1 - x1 y0))
    / 12 (Steger 1996, "On the calculation of arbitrary moments of polygons"). Rings may run either way.
    """
    x0, y0 = vertices[:-1, 0], vertices[:-1, 1]
    x1, y1 = vertices[1:, 0], vertices[1:, 1]
    cross = x0 * y1 - x1 * y0
    cross[ring_offsets[1:-1] - 1] = 0.0  # from one ring to the next is no edge
    terms = (
        cross / 2,
        (x0 + x1) * cross / 6,
        (y0 + y1) * cross / 6,
        (x0 * x0 + x0 * x1 + x1 * x1) * cross / 12,
        (y0 * y0 + y0 * y1 + y1 * y1) * cross / 12,
        (x0 * y1 + 2 * x0 * y0 + 2 * x1 * y1 + x1 * y0) * cross / 24,
    )
    rings = np.stack([np.add.reduceat(term, ring_offsets[:-1]) for term in terms], axis=1)
    sign = np.where(outer, 1.0, -1.0) * np.where(rings[:, 0] < 0, -1.0, 1.0)
    rings *= sign[:, None]
    return np.stack([np.bincount(ring_polygon, column, count) for column in rings.T], axis=1)
