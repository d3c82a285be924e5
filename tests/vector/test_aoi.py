"""A layer in any CRS falls on the pixels it lies on, whole or by windows, and says what was wrong with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from flexunet.classes import IGNORE_INDEX
from flexunet.errors import DataError
from flexunet.raster import Grid, Window, open_raster
from flexunet.raster.grid import ControlPoint
from flexunet.vector import AreaOfInterest, LabelLayer, rasterise_layer
from flexunet.vector.libraries import pyogrio
from shared_data import SHARED, needs_shared

TERRAIN = SHARED / "data" / "terrain"
UTM = Grid((10.0, 0.0, 340000.0, 0.0, -10.0, 3836000.0), pyproj.CRS.from_epsg(32643).to_wkt())


def write(
    path: Path, shapes: list[shapely.Geometry], crs: str | None = "EPSG:32643", **fields: list[object]
) -> Path:
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], object),
        field_data=[np.array(values) for values in fields.values()],
        fields=list(fields),
        geometry_type="Unknown",
        crs=crs,
    )
    return path


def block(row: float, col: float, height: float, width: float) -> shapely.Geometry:
    """A rectangle given in pixels of `UTM`."""
    x, y = 340000 + 10 * col, 3836000 - 10 * row
    return shapely.box(x, y - 10 * height, x + 10 * width, y)


@needs_shared
def test_the_landslides_of_the_terrain_data_hit_the_cells_their_readme_counts() -> None:
    with open_raster(TERRAIN / "dem.tif") as reader:
        grid, shape = reader.grid, reader.shape
    assert rasterise_layer(TERRAIN / "landslides.shp", grid, shape).sum() == 4196
    assert rasterise_layer(TERRAIN / "landslides.shp", grid, shape, all_touched=True).sum() == 12107
    layer = LabelLayer.from_file(TERRAIN / "landslides.shp", grid, shape)
    assert len(layer.notes) == 1
    assert "mended 1 of 1997 polygons (Ring Self-intersection" in layer.notes[0]


@needs_shared
def test_a_layer_in_degrees_meets_the_same_cells() -> None:
    with open_raster(TERRAIN / "dem.tif") as reader:
        grid, shape = reader.grid, reader.shape
    large = AreaOfInterest.from_file(TERRAIN / "landslides_large_wgs84.geojson", grid, shape)
    inside = large.mask(Window(0, 0, shape[1], shape[2]))
    drawn = rasterise_layer(TERRAIN / "landslides.shp", grid, shape)
    assert inside.sum() == 2051
    assert (drawn[inside] == 1).mean() > 0.995


@needs_shared
@settings(max_examples=25, deadline=None)
@given(row=st.integers(0, 570), col=st.integers(0, 410), height=st.integers(1, 10), width=st.integers(1, 10))
def test_any_window_is_that_part_of_the_whole(row: int, col: int, height: int, width: int) -> None:
    layer, whole, inside = _terrain_layers()
    window = Window(row, col, height, width)
    np.testing.assert_array_equal(layer.labels(window), whole[window.rows, window.cols])
    area = AreaOfInterest(layer.polygons, layer.size_hw)
    mask = area.mask(window)
    np.testing.assert_array_equal(mask, inside[window.rows, window.cols])
    assert area.touches(window) or not mask.any()


_CACHED: list[tuple[LabelLayer, np.ndarray, np.ndarray]] = []


def _terrain_layers() -> tuple[LabelLayer, np.ndarray, np.ndarray]:
    if not _CACHED:
        with open_raster(TERRAIN / "dem.tif") as reader:
            grid, shape = reader.grid, reader.shape
        layer = LabelLayer.from_file(
            TERRAIN / "landslides.shp", grid, shape, all_touched=True, ignore_boundary_px=0.7
        )
        whole = Window(0, 0, shape[1], shape[2])
        area = AreaOfInterest(layer.polygons, layer.size_hw)
        _CACHED.append((layer, layer.labels(whole), area.mask(whole)))
    return _CACHED[0]


def test_classes_come_from_an_attribute_and_later_polygons_win(tmp_path: Path) -> None:
    path = write(
        tmp_path / "truth.gpkg", [block(2, 2, 6, 6), block(4, 4, 6, 6)], kind=["slide", "scarp"], code=[1, 2]
    )
    expected = np.zeros((12, 12), np.uint8)
    expected[2:8, 2:8] = 1
    expected[4:10, 4:10] = 2
    ways: tuple[dict[str, Any], ...] = (
        {"attribute": "kind", "values": ("none", "slide", "scarp")},
        {"attribute": "kind", "values": {"slide": 1, "scarp": 2}},
        {"attribute": "code"},
    )
    for how in ways:
        drawn = LabelLayer.from_file(path, UTM, (1, 12, 12), **how)
        np.testing.assert_array_equal(drawn.labels(Window(0, 0, 12, 12)), expected)
    with pytest.raises(DataError, match=r"values without a class: 'scarp'"):
        LabelLayer.from_file(path, UTM, (12, 12), attribute="kind", values={"slide": 1})
    with pytest.raises(DataError, match=r"Did you mean 'kind'\?"):
        LabelLayer.from_file(path, UTM, (12, 12), attribute="Kinds")


def test_the_rim_of_a_polygon_is_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "truth.gpkg", [block(4, 4, 8, 8)])
    drawn = rasterise_layer(path, UTM, (16, 16), ignore_boundary_px=1.0)
    expected = np.zeros((16, 16), np.uint8)
    expected[3:13, 3:13] = IGNORE_INDEX
    expected[5:11, 5:11] = 1
    expected[[3, 3, 12, 12], [3, 12, 3, 12]] = drawn[[3, 3, 12, 12], [3, 12, 3, 12]]  # rounded corners
    np.testing.assert_array_equal(drawn, expected)


def test_a_rotated_grid(tmp_path: Path) -> None:
    turned = Grid((6.0, 8.0, 340000.0, 8.0, -6.0, 3836000.0), UTM.crs_wkt)
    corners = [(2, 3), (7, 3), (7, 9), (2, 9)]
    shape = shapely.Polygon([(340000 + 6 * c + 8 * r, 3836000 + 8 * c - 6 * r) for c, r in corners])
    expected = np.zeros((12, 12), np.uint8)
    expected[3:9, 2:7] = 1
    np.testing.assert_array_equal(
        rasterise_layer(write(tmp_path / "t.gpkg", [shape]), turned, (12, 12)), expected
    )


def test_a_grid_of_control_points(tmp_path: Path) -> None:
    corners = [(0, 0), (0, 12), (12, 0), (12, 12)]
    points = tuple(ControlPoint(r, c, 340000 + 10 * c, 3836000 - 10 * r) for r, c in corners)
    layer = write(tmp_path / "p.gpkg", [block(3, 2, 6, 5)])
    expected = np.zeros((12, 12), np.uint8)
    expected[3:9, 2:7] = 1
    np.testing.assert_array_equal(
        rasterise_layer(layer, Grid(crs_wkt=UTM.crs_wkt, points=points), (12, 12)), expected
    )


def test_pixels_are_the_coordinates_where_nobody_knows_a_crs(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="crs"):
        path = write(tmp_path / "t.gpkg", [shapely.box(2, 3, 5, 7)], crs=None)
    expected = np.zeros((9, 8), np.uint8)
    expected[3:7, 2:5] = 1
    np.testing.assert_array_equal(rasterise_layer(path, Grid(), (9, 8)), expected)
    with pytest.raises(DataError, match="does not say its coordinate reference system"):
        rasterise_layer(path, UTM, (9, 8))
    with pytest.raises(DataError, match=r"in EPSG:32643, but the raster has no coordinate"):
        rasterise_layer(write(tmp_path / "u.gpkg", [block(0, 0, 1, 1)]), Grid(), (9, 8))


def test_a_bow_tie_is_mended_and_lines_are_left_out(tmp_path: Path) -> None:
    tie = shapely.Polygon([(340000, 3836000), (340100, 3835900), (340100, 3836000), (340000, 3835900)])
    path = write(tmp_path / "t.gpkg", [tie, shapely.LineString([(340000, 3836000), (340100, 3835950)])])
    area = AreaOfInterest.from_file(path, UTM, (10, 10))
    assert len(area.notes) == 2
    assert "1 of 2 features are no polygons" in area.notes[0]
    assert "mended 1 of 1" in area.notes[1]
    assert area.mask(Window(0, 0, 10, 10)).sum() == pytest.approx(50, abs=10)


def test_files_that_cannot_serve_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such vector file"):
        AreaOfInterest.from_file(tmp_path / "no.gpkg", UTM, (5, 5))
    (tmp_path / "text.gpkg").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as a vector file"):
        AreaOfInterest.from_file(tmp_path / "text.gpkg", UTM, (5, 5))
    far = write(tmp_path / "far.gpkg", [block(10_000, 0, 1, 1)])
    with pytest.raises(DataError, match="no polygon meets the raster"):
        AreaOfInterest.from_file(far, UTM, (5, 5))
    lines = write(tmp_path / "lines.gpkg", [shapely.LineString([(340000, 3836000), (340040, 3835960)])])
    with pytest.raises(DataError, match="has no polygons among its 1 features"):
        AreaOfInterest.from_file(lines, UTM, (5, 5))
    with pytest.raises(DataError, match=r"has no layer 'fat'\. Did you mean 'far'\?"):
        AreaOfInterest.from_file(far, UTM, (5, 5), layer="fat")


@needs_shared
def test_a_shapefile_without_its_prj_says_how_to_go_on(tmp_path: Path) -> None:
    for side in ("shp", "shx", "dbf"):
        shutil.copy(TERRAIN / f"landslides.{side}", tmp_path / f"slides.{side}")
    with open_raster(TERRAIN / "dem.tif") as reader:
        grid, shape = reader.grid, reader.shape
    with pytest.raises(DataError, match=r"the \.prj file"):
        rasterise_layer(tmp_path / "slides.shp", grid, shape)
    assert rasterise_layer(tmp_path / "slides.shp", grid, shape, crs="EPSG:32643").sum() == 4196


def test_long_edges_bend_with_the_projection(tmp_path: Path) -> None:
    """A box in degrees, 6 degrees wide, is no box in UTM: its edges follow the parallels."""
    feature = {"type": "Polygon", "coordinates": [[[72, 60], [78, 60], [78, 61], [72, 61], [72, 60]]]}
    (tmp_path / "box.geojson").write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "properties": {}, "geometry": feature}],
            }
        )
    )
    grid = Grid((1000.0, 0.0, 300000.0, 0.0, -1000.0, 6790000.0), UTM.crs_wkt)
    mask = AreaOfInterest.from_file(tmp_path / "box.geojson", grid, (160, 400)).mask(Window(0, 0, 160, 400))
    to_degrees = pyproj.Transformer.from_crs(32643, 4326, always_xy=True)
    rows, cols = np.indices((160, 400)) + 0.5
    lon, lat = to_degrees.transform(300000 + 1000 * cols, 6790000 - 1000 * rows)
    expected = (lon > 72) & (lon < 78) & (lat > 60) & (lat < 61)
    assert (mask != expected).sum() < 12
