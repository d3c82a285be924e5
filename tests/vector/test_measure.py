"""Areas, lengths and ellipses agree with pyproj and shapely on the whole geometry."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from numpy.typing import NDArray

from flexunet.errors import DataError
from flexunet.raster.grid import ControlPoint, Grid
from flexunet.vector.measure import Surveyor
from flexunet.vector.polygonise import Tracer
from flexunet.vector.relief import slope_and_aspect
from flexunet.vector.rings import Outlines

UTM = pyproj.CRS.from_epsg(32643).to_wkt()
DEGREES = pyproj.CRS.from_epsg(4326).to_wkt()
MERCATOR = pyproj.CRS.from_epsg(3857).to_wkt()
FEET = pyproj.CRS.from_epsg(2263).to_wkt()
MARS = (
    'PROJCS["SimpleCylindrical_Mars",GEOGCS["GCS_Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["Degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
    'PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian",0],UNIT["metre",1]]'
)


def outlines_of(labels: NDArray[np.uint8]) -> Outlines:
    tracer = Tracer(labels.shape[1], skip=(0,))
    batches = [*tracer.add(labels), *tracer.finish()]
    assert len(batches) == 1
    return batches[0].outlines


def blobs() -> NDArray[np.uint8]:
    labels = np.zeros((40, 60), np.uint8)
    labels[2:20, 3:40] = 1
    labels[5:9, 6:20] = 0
    labels[12:14, 30:33] = 0
    labels[25:30, 10:55] = 1
    labels[28:38, 50:53] = 1
    labels[35, 5] = 1
    return labels


def shapes_of(surveyor: Surveyor, lines: Outlines) -> NDArray[np.object_]:
    shapes: NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        surveyor.to_world(lines.coordinates),
        (lines.ring_offsets, lines.polygon_offsets),
    )
    return shapes


@pytest.mark.parametrize(
    "transform", [(28.5, 0.0, 340000.0, 0.0, -28.5, 3836000.0), (20.0, 7.0, 340000.0, 5.0, -21.0, 3836000.0)]
)
def test_projected_grids_are_measured_on_the_plane(
    transform: tuple[float, float, float, float, float, float],
) -> None:
    surveyor = Surveyor(Grid(transform, UTM), (40, 60))
    lines = outlines_of(blobs())
    found = surveyor.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    shapes = shapes_of(surveyor, lines)
    assert surveyor.method == "planar"
    assert shapely.is_valid(shapes).all()
    np.testing.assert_allclose(found.area, shapely.area(shapes), rtol=1e-9)
    np.testing.assert_allclose(found.perimeter, shapely.length(shapes), rtol=1e-9)
    np.testing.assert_allclose(found.centroid, shapely.get_coordinates(shapely.centroid(shapes)), rtol=1e-12)


def test_feet_become_metres() -> None:
    surveyor = Surveyor(Grid((10.0, 0.0, 1e6, 0.0, -10.0, 2e5), FEET), (40, 60))
    lines = outlines_of(blobs())
    found = surveyor.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    foot = 1200 / 3937
    np.testing.assert_allclose(found.area, shapely.area(shapes_of(surveyor, lines)) * foot**2, rtol=1e-9)


@pytest.mark.parametrize("latitude", [0.0, 47.0, -80.0])
def test_degrees_are_measured_on_the_ellipsoid(latitude: float) -> None:
    surveyor = Surveyor(Grid((1e-4, 0.0, 91.0, 0.0, -1e-4, latitude), DEGREES), (40, 60))
    lines = outlines_of(blobs())
    found = surveyor.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    geod = pyproj.Geod(ellps="WGS84")
    shapes = shapes_of(surveyor, lines)
    assert surveyor.method == "geodesic"
    np.testing.assert_allclose(
        found.area, [abs(geod.geometry_area_perimeter(shape)[0]) for shape in shapes], rtol=1e-9
    )
    rims = [geod.geometry_length(shapely.boundary(shape)) for shape in shapes]
    np.testing.assert_allclose(found.perimeter, rims, rtol=1e-9)


def test_the_same_rectangle_has_the_same_ellipse_in_degrees_and_in_metres() -> None:
    labels = np.ones((20, 50), np.uint8)
    lat = 60.0
    east = pyproj.Geod(ellps="WGS84").inv(10, lat, 10.001, lat)[2]
    north = pyproj.Geod(ellps="WGS84").inv(10, lat, 10, lat + 0.001)[2]
    lines = outlines_of(labels)
    in_degrees = Surveyor(Grid((1e-5, 0, 10.0, 0, -1e-5, lat), DEGREES), (20, 50)).measure(
        lines.coordinates, lines.ring_offsets, lines.polygon_offsets
    )
    in_metres = Surveyor(
        Grid((east / 100, 0, 5e5, 0, -north / 100, 6e6), pyproj.CRS.from_epsg(32632).to_wkt()), (20, 50)
    ).measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    for name in ("area", "perimeter", "major", "minor"):
        np.testing.assert_allclose(getattr(in_degrees, name), getattr(in_metres, name), rtol=1e-4)
    # A rectangle's second moment is side² / 12, the ellipse's axis²/16.
    np.testing.assert_allclose(in_metres.major, 50 * east / 100 * np.sqrt(16 / 12), rtol=1e-9)
    np.testing.assert_allclose(in_metres.orientation, 90.0)


def test_orientation_is_clockwise_from_north() -> None:
    labels = np.zeros((40, 40), np.uint8)
    for i in range(30):
        labels[35 - i, 5 + i // 2 : 8 + i // 2] = 1  # rises two rows a column: 26.6 degrees east of north
    lines = outlines_of(labels)
    for grid in (Grid((10.0, 0, 5e5, 0, -10.0, 6e6), UTM), Grid()):
        found = Surveyor(grid, (40, 40)).measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
        assert found.orientation[0] == pytest.approx(26.6, abs=2.0)


def test_a_disc_has_its_diameter_twice() -> None:
    row, col = np.indices((101, 101)) - 50
    lines = outlines_of((row**2 + col**2 <= 45**2).astype(np.uint8))
    found = Surveyor(Grid(), (101, 101)).measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    assert found.major[0] == pytest.approx(90, rel=0.01)
    assert found.minor[0] == pytest.approx(90, rel=0.01)


def test_web_mercator_in_the_north_is_not_taken_for_metres() -> None:
    surveyor = Surveyor(Grid((10.0, 0, 1e6, 0, -10.0, 8.4e6), MERCATOR), (40, 60))  # 60 degrees north
    lines = outlines_of(blobs())
    found = surveyor.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets)
    planar = shapely.area(shapes_of(surveyor, lines))
    assert surveyor.method == "geodesic"
    assert "changes areas by up to" in surveyor.notes[0]
    np.testing.assert_allclose(found.area / planar, 0.25, rtol=0.02)


def test_mars_is_measured_on_mars() -> None:
    near = Surveyor(Grid((232.0, 0, -4e6, 0, -232.0, 2e5), MARS), (40, 60))
    far = Surveyor(Grid((232.0, 0, -4e6, 0, -232.0, 3556000.0), MARS), (40, 60))  # 60 degrees north
    lines = outlines_of(blobs())
    pixels = blobs().sum()
    assert near.method == "planar"
    assert far.method == "geodesic"
    measured = near.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets).area.sum()
    np.testing.assert_allclose(measured, pixels * 232.0**2)
    measured = far.measure(lines.coordinates, lines.ring_offsets, lines.polygon_offsets).area.sum()
    np.testing.assert_allclose(measured, pixels * 232.0**2 * 0.5, rtol=0.01)


def test_ground_control_points_are_fitted() -> None:
    points = tuple(ControlPoint(r, c, 500 + 2.0 * c, 900 - 2.0 * r) for r in (0, 40) for c in (0, 60))
    surveyor = Surveyor(Grid(crs_wkt=UTM, points=points), (40, 60))
    np.testing.assert_allclose(surveyor.to_world(np.array([[10, 20]])), [[520.0, 860.0]])
    assert surveyor.pixel_area == pytest.approx(4.0)
    assert "4 ground control points" in surveyor.notes[0]
    with pytest.raises(DataError, match="on a line"):
        Surveyor(Grid(crs_wkt=UTM, points=points[:2]), (40, 60))


def test_a_plane_has_its_slope_and_aspect_on_any_grid() -> None:
    east, north = 0.3, -0.4  # rises to the east and falls to the north: downhill is north-west
    for steps in (np.array([[10.0, 0.0], [0.0, -10.0]]), np.array([[8.0, 3.0], [2.0, -7.0]])):
        row, col = np.indices((7, 9)).astype(float)
        x, y = steps @ np.stack([col.ravel(), row.ravel()])
        height = (east * x + north * y).reshape(7, 9)
        slope, to_east, to_north = slope_and_aspect(height, np.broadcast_to(steps, (5, 2, 2)))
        np.testing.assert_allclose(slope, np.degrees(np.arctan(0.5)))
        np.testing.assert_allclose(to_east, -0.6)
        np.testing.assert_allclose(to_north, 0.8)


def test_a_void_beside_a_cell_does_not_spread() -> None:
    height = np.add.outer(np.arange(5.0), np.arange(5.0))
    height[0, 0] = np.nan
    slope, _, _ = slope_and_aspect(height, np.broadcast_to(np.array([[1.0, 0], [0, -1.0]]), (3, 2, 2)))
    assert np.isfinite(slope).all()
    height[2, 2] = np.nan
    slope, _, _ = slope_and_aspect(height, np.broadcast_to(np.array([[1.0, 0], [0, -1.0]]), (3, 2, 2)))
    assert np.isnan(slope[1, 1])
    assert np.isnan(slope).sum() == 1


@pytest.mark.parametrize("transform", [(1.0, 1.0, 0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)])
def test_pixels_on_a_line_are_not_measured(
    transform: tuple[float, float, float, float, float, float],
) -> None:
    for crs in (UTM, DEGREES, None):
        with pytest.raises(DataError, match="onto a line"):
            Surveyor(Grid(transform, crs), (40, 60))
