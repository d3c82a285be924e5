"""Where the pixels of a raster lie: affine transform or ground control points, and coordinate reference
system.
"""

from __future__ import annotations

from dataclasses import dataclass

PIXEL_TRANSFORM = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class ControlPoint:
    """A place whose coordinates are known: pixel position (fractions allowed) and x, y, z."""

    row: float
    col: float
    x: float
    y: float
    z: float = 0.0


@dataclass(frozen=True)
class Grid:
    """Maps pixel corners to coordinates: x = a col + b row + c, y = d col + e row + f.

    `transform` is (a, b, c, d, e, f), the order of the `affine` package. Without a georeference it is the
    pixel grid and `crs_wkt` is None. A raster that is placed by ground control points has the pixel grid and
    `points`; `crs_wkt` is then the system of the points.
    """

    transform: tuple[float, float, float, float, float, float] = PIXEL_TRANSFORM
    crs_wkt: str | None = None
    points: tuple[ControlPoint, ...] = ()

    @property
    def is_georeferenced(self) -> bool:
        """Whether the coordinates mean more than pixels."""
        return self.crs_wkt is not None or self.transform != PIXEL_TRANSFORM or bool(self.points)

    def shifted(self, row: int, col: int) -> Grid:
        """The grid of a part whose first pixel is (`row`, `col`) of this one."""
        a, b, c, d, e, f = self.transform
        points = tuple(ControlPoint(p.row - row, p.col - col, p.x, p.y, p.z) for p in self.points)
        if self.points and self.transform == PIXEL_TRANSFORM:
            return Grid(self.transform, self.crs_wkt, points)
        return Grid((a, b, c + a * col + b * row, d, e, f + d * col + e * row), self.crs_wkt, points)
