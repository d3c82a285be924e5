"""A pixel is as long as it is on the ground, whatever projection the raster is in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from hypothesis import assume, given
from hypothesis import strategies as st

from flexunet.raster import Grid
from flexunet.raster.ground import metres_per_pixel
from flexunet.vector.measure import Surveyor

SHAPE = (200, 300)
MARS = "+proj=eqc +lat_ts=0 +lon_0=180 +R=3396190 +units=m +no_defs"


def mercator_y(latitude: float) -> float:
    return 6378137 * math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))


def grid_of(crs: str, x: float, y: float, pixel: float = 1.0, turned: float = 0.0) -> Grid:
    """A grid whose middle is at x, y."""
    cos, sin = pixel * math.cos(turned), pixel * math.sin(turned)
    a, b, d, e = cos, sin, sin, -cos
    row, col = SHAPE[0] / 2, SHAPE[1] / 2
    wkt = rasterio.crs.CRS.from_user_input(crs).to_wkt()
    return Grid((a, b, x - a * col - b * row, d, e, y - d * col - e * row), wkt)


# ----------------------------------------------------------------------------------------------------- laws


@given(
    latitude=st.floats(-80, 80),
    longitude=st.floats(-179.9, 179.9),
    pixel=st.floats(0.02, 100),
    turned=st.floats(0, 6.2),
)
def test_web_mercator_is_as_long_as_a_geodesic_survey_finds(
    latitude: float, longitude: float, pixel: float, turned: float
) -> None:
    grid = grid_of("EPSG:3857", math.radians(longitude) * 6378137, mercator_y(latitude), pixel, turned)
    surveyor = Surveyor(grid, SHAPE)
    assume(surveyor.method == "geodesic")
    middle = np.array([[SHAPE[1] / 2, SHAPE[0] / 2]])
    expected = np.linalg.norm(surveyor.jacobians(middle - 0.5)[0], axis=0)
    found = metres_per_pixel(grid, SHAPE)
    assert found == pytest.approx(tuple(expected), rel=0.01)


@given(zone_easting=st.floats(166_000, 834_000), northing=st.floats(0, 9_300_000), pixel=st.floats(0.01, 100))
def test_utm_keeps_its_own_metres(zone_easting: float, northing: float, pixel: float) -> None:
    found = metres_per_pixel(grid_of("EPSG:32648", zone_easting, northing, pixel), SHAPE)
    assert found == (pixel, pixel)


# ------------------------------------------------------------------------------------------------- by hand


def test_a_unit_of_web_mercator_at_60_degrees_is_half_a_metre() -> None:
    found = metres_per_pixel(grid_of("EPSG:3857", 1e6, mercator_y(60)), SHAPE)
    # cos 60° = 0.5; on the ellipsoid by the prime vertical and the meridian (Snyder 1987, eq. 4-20, 4-18)
    bent = 1 - 0.00669437999014 * 0.75
    assert found == pytest.approx((0.5 / math.sqrt(bent), 0.5 * (1 - 0.00669437999014) / bent**1.5), rel=1e-6)


@pytest.mark.parametrize(
    ("crs", "x", "y", "expected"),
    [
        ("EPSG:2154", 700_000, 6_600_000, (1.0, 1.0)),  # France, Lambert: 0.1 % off, its metres count
        ("EPSG:5070", 0, 2_000_000, (1.0, 1.0)),  # United States, Albers: 0.8 % off
        ("EPSG:2263", 1_000_000, 200_000, (0.3048006, 0.3048006)),  # New York, in feet
        ("EPSG:32650+5773", 500_000, 3_000_000, (1.0, 1.0)),  # with heights
        ("EPSG:3413", 0, 0, (1.0311, 1.0311)),  # the north pole itself, true to scale at 70° only
        ("EPSG:3857", 20_037_508, mercator_y(60), (0.50126, 0.50042)),  # across the date line
        ("EPSG:4326", 180, 60, (55_800.0, 111_412.3)),
        ("EPSG:4807", 5, 50, (70_965.3, 100_017.6)),  # in grads from Paris
        (MARS, 0, 3_000_000, (0.63457, 1.0)),
    ],
)
def test_projections_by_their_true_lengths(
    crs: str, x: float, y: float, expected: tuple[float, float]
) -> None:
    assert metres_per_pixel(grid_of(crs, x, y), SHAPE) == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------------------------------------- no place


def test_where_a_projection_ends_its_own_metres_count_and_beyond_the_poles_nothing() -> None:
    assert metres_per_pixel(grid_of("EPSG:32648", 9e9, 9e9), SHAPE) == (1.0, 1.0)
    assert metres_per_pixel(grid_of("EPSG:4326", 0, 3e6), SHAPE) is None
    local = 'LOCAL_CS["a site",UNIT["metre",1]]'
    assert metres_per_pixel(Grid((0.1, 0, 0, 0, -0.1, 0), local), SHAPE) is None
    assert metres_per_pixel(Grid((0.1, 0, 0, 0, -0.1, 0), "no CRS"), SHAPE) is None
    assert metres_per_pixel(Grid((0.1, 0, 0, 0, -0.1, 0)), SHAPE) is None
