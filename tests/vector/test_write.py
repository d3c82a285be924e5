"""Polygon files hold what the class map holds, and any reader of vector files can read them."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio.features
import shapely
from numpy.typing import NDArray

from flexunet.classes import Classes
from flexunet.errors import DataError, OutputExistsError, RasterError
from flexunet.raster import Grid, open_raster, write_raster
from flexunet.vector import (
    LabelLayer,
    PolygonSummary,
    rasterise_layer,
    write_polygons,
    write_raster_style,
)
from flexunet.vector.features import read_features
from shared_data import SHARED, needs_shared

CLASSES = Classes(names=("background", "slide", "scarp"), colours=((0, 0, 0), (255, 60, 0), (30, 90, 255)))
UTM = Grid((10.0, 0.0, 340000.0, 0.0, -10.0, 3836000.0), pyproj.CRS.from_epsg(32643).to_wkt())
FORMATS = ("gpkg", "geojson", "parquet", "shp")


def labels_of(seed: int = 0, size_hw: tuple[int, int] = (50, 70)) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).random(size_hw)
    labels = np.zeros(size_hw, np.uint8)
    labels[10:30, 5:50][noise[10:30, 5:50] < 0.8] = 1
    labels[20:40, 40:60][noise[20:40, 40:60] < 0.7] = 2
    labels[0:3, 0:3] = 255
    return labels


def read(path: Path) -> tuple[NDArray[np.object_], dict[str, NDArray[Any]], str | None]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        table = parquet.read_table(path)
        geo = json.loads(table.schema.metadata[b"geo"])
        assert geo["version"] == "1.1.0"
        crs = geo["columns"]["geometry"]["crs"]
        shapes = shapely.from_wkb(table["geometry"].to_pylist())
        columns = {name: table[name].to_numpy() for name in table.column_names if name != "geometry"}
        return shapes, columns, json.dumps(crs) if crs else None
    meta, _, wkb, values = pyogrio.raw.read(path)
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True)), meta["crs"]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., PolygonSummary]:
    def write(
        name: str, labels: NDArray[np.uint8], grid: Grid = UTM, style: bool = False, **how: Any
    ) -> PolygonSummary:
        path = tmp_path / "map.tif"
        write_raster(path, labels, grid, nodata=255)
        return write_polygons(path, tmp_path / name, classes=CLASSES, style=style, **how)

    return write


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_back_the_class_map(
    make: Callable[..., PolygonSummary], tmp_path: Path, kind: str
) -> None:
    labels = labels_of()
    summary = make(f"örtliche karte.{kind}", labels)
    shapes, columns, crs = read(summary.path)
    assert summary.polygons == len(shapes) == len(set(columns["id"]))
    assert pyproj.CRS(crs) == pyproj.CRS.from_epsg(4326 if kind == "geojson" else 32643)
    assert shapely.is_valid(shapes).all()
    drawn = rasterise_layer(
        summary.path if kind != "parquet" else make("x.gpkg", labels).path, UTM, labels.shape,
        attribute="class", values=CLASSES.names,
    )  # fmt: skip
    np.testing.assert_array_equal(drawn, np.where(labels == 255, 0, labels))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", FORMATS)
def test_features_come_back_on_the_grid(make: Callable[..., PolygonSummary], kind: str) -> None:
    labels = labels_of(1)
    summary = make(f"p.{kind}", labels)
    features = list(read_features(summary.path, UTM))
    pixels = [f["properties"]["pixels"] for f in features]
    areas = [shapely.geometry.shape(f["geometry"]).area for f in features]
    np.testing.assert_allclose(areas, np.array(pixels) * 100.0, rtol=1e-5)


def test_areas_and_counts_are_those_of_the_pixels(
    make: Callable[..., PolygonSummary], tmp_path: Path
) -> None:
    labels = labels_of(2)
    summary = make("p.gpkg", labels, inventory=tmp_path / "inventory.csv", table=tmp_path / "polygons.csv")
    shapes, columns, _ = read(summary.path)
    np.testing.assert_allclose(columns["area_m2"], shapely.area(shapes))
    np.testing.assert_allclose(columns["area_m2"], columns["pixels"] * 100.0)
    with (tmp_path / "inventory.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    for label, row in enumerate(rows, 1):
        mine = columns["area_m2"][columns["class_id"] == label]
        assert row["class"] == CLASSES.names[label]
        assert float(row["total_m2"]) == (labels == label).sum() * 100.0
        assert int(row["count"]) == len(mine)
        assert float(row["median_m2"]) == pytest.approx(np.median(mine))
        assert sum(int(n) for name, n in row.items() if name.startswith(("from_", "below_"))) == len(mine)
    with (tmp_path / "polygons.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [float(row["area_m2"]) for row in table] == columns["area_m2"].tolist()


def test_small_polygons_are_left_out_and_holes_stay(make: Callable[..., PolygonSummary]) -> None:
    labels = labels_of(3)
    everything, _, _ = read(make("all.gpkg", labels).path)
    large, columns, _ = read(make("large.gpkg", labels, min_area=300.0).path)
    assert (columns["area_m2"] >= 300.0).all()
    assert len(large) == (shapely.area(everything) >= 299.999).sum() < len(everything)
    assert shapely.get_num_interior_rings(large).sum() > 0


@pytest.mark.parametrize("bands", [1, 3])
def test_probabilities_are_those_of_the_polygons_own_class(
    make: Callable[..., PolygonSummary], tmp_path: Path, bands: int
) -> None:
    labels = labels_of(4)
    rng = np.random.default_rng(0)
    shares = rng.integers(0, 255, (bands, *labels.shape)).astype(np.uint8)
    shares[:, 15, 10] = 255
    write_raster(tmp_path / "shares.tif", shares, UTM, nodata=255)
    summary = make("p.gpkg", labels, probability=tmp_path / "shares.tif")
    shapes, columns, _ = read(summary.path)
    for i in range(len(shapes)):
        label = columns["class_id"][i]
        inside = rasterio.features.geometry_mask(
            [shapes[i]], labels.shape, rasterio.Affine(*UTM.transform), invert=True
        )
        inside &= (shares != 255).all(axis=0)
        mine = shares[label if bands == 3 else 0][inside] / 254.0
        if len(mine):
            assert columns["prob_mean"][i] == pytest.approx(mine.mean(), abs=1e-6)
            assert columns["prob_max"][i] == pytest.approx(mine.max(), abs=1e-6)
        else:
            assert np.isnan(columns["prob_mean"][i])


def test_the_outcome_does_not_depend_on_the_file_it_is_read_from(tmp_path: Path) -> None:
    """Bit-equal layers from a tiled and a striped class map, so that results can be compared."""
    labels = labels_of(5, (300, 260))
    write_raster(tmp_path / "a.tif", labels, UTM, nodata=255)
    np.save(tmp_path / "b.npy", labels)
    one = write_polygons(tmp_path / "a.tif", tmp_path / "a.gpkg", classes=CLASSES)
    two = write_polygons(tmp_path / "a.tif", tmp_path / "b.gpkg", classes=CLASSES)
    assert (read(one.path)[0] == read(two.path)[0]).all()


def test_without_a_crs_everything_is_in_pixels(make: Callable[..., PolygonSummary]) -> None:
    labels = labels_of(6)
    for kind in FORMATS:
        summary = make(f"p.{kind}", labels, Grid(), min_area=2.0)
        shapes, columns, crs = read(summary.path)
        assert summary.method == "pixels"
        assert kind == "geojson" or crs is None
        np.testing.assert_allclose(columns["area_px"], shapely.area(shapes))
        assert (columns["area_px"] >= 2).all()
        left, top, right, bottom = shapely.total_bounds(shapes)
        assert 0 <= left < right <= 70
        assert 0 <= top < bottom <= 50


def test_minimum_area_in_degrees_is_in_square_metres(make: Callable[..., PolygonSummary]) -> None:
    grid = Grid((1e-4, 0, 10.0, 0, -1e-4, 60.0), pyproj.CRS.from_epsg(4326).to_wkt())
    summary = make("p.gpkg", labels_of(7), grid, min_area=200.0)
    shapes, columns, _ = read(summary.path)
    geod = pyproj.Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in shapes]
    np.testing.assert_allclose(columns["area_m2"], areas, rtol=1e-9)
    assert min(areas) >= 200.0
    assert summary.method == "geodesic"


def test_simplification_keeps_shared_borders_and_the_sum_of_areas(
    make: Callable[..., PolygonSummary],
) -> None:
    row, col = np.indices((300, 260))
    rng = np.random.default_rng(0)
    waves = np.sin(row / 17.0) * 9 + np.cumsum(rng.normal(0, 1, 300))[:, None]
    labels = np.where(col + waves < 90, 0, np.where(col - waves < 170, 1, 2)).astype(np.uint8)
    exact, _, _ = read(make("exact.gpkg", labels, skip=()).path)
    smooth, columns, _ = read(make("smooth.gpkg", labels, skip=(), simplify=25.0).path)
    assert shapely.coverage_is_valid(smooth)
    assert shapely.is_valid(smooth).all()
    assert shapely.get_num_coordinates(smooth).sum() < shapely.get_num_coordinates(exact).sum() / 3
    np.testing.assert_allclose(shapely.area(shapely.union_all(smooth)), labels.size * 100.0, rtol=1e-3)
    np.testing.assert_allclose(columns["area_m2"], shapely.area(smooth))


def test_terrain_by_hand(make: Callable[..., PolygonSummary], tmp_path: Path) -> None:
    """A slide on a plane that falls to the south-east by 0.5 along the fall line."""
    labels = np.zeros((40, 40), np.uint8)
    labels[10:14, 10:14] = 1
    row, col = np.indices(labels.shape)
    x, y = col * 10.0, -row * 10.0
    height = 1000 - 0.5 * (x - y) / np.sqrt(2)
    write_raster(tmp_path / "dem.tif", height.astype(np.float32), UTM, nodata=-9999)
    _, columns, _ = read(make("p.gpkg", labels, dem=tmp_path / "dem.tif").path)
    assert columns["slope_mean"][0] == pytest.approx(np.degrees(np.arctan(0.5)), abs=1e-3)
    assert columns["slope_max"][0] == pytest.approx(np.degrees(np.arctan(0.5)), abs=1e-3)
    assert columns["aspect"][0] == pytest.approx(135.0, abs=1e-2)
    assert columns["runout_m"][0] == pytest.approx(30 * np.sqrt(2))
    assert columns["relief_m"][0] == pytest.approx(15 * np.sqrt(2), abs=1e-3)
    assert columns["reach_deg"][0] == pytest.approx(np.degrees(np.arctan(0.5)), abs=1e-3)
    a, b, c, d, e, f = UTM.transform
    elsewhere = Grid((a, b, c + 90000, d, e, f), UTM.crs_wkt)
    write_raster(tmp_path / "other.tif", height.astype(np.float32), elsewhere, nodata=-9999)
    summary = make("q.gpkg", labels, dem=tmp_path / "other.tif")
    assert "other.tif has elevations for none of the 1 polygons" in summary.notes[-1]


@needs_shared
def test_terrain_data_with_voids_and_on_another_grid(tmp_path: Path) -> None:
    terrain = SHARED / "data" / "terrain"
    with open_raster(terrain / "dem.tif") as reader:
        grid, shape = reader.grid, reader.shape
    labels = rasterise_layer(terrain / "landslides.shp", grid, shape, all_touched=True)
    write_raster(tmp_path / "map.tif", labels, grid, nodata=255)
    classes = Classes(names=("none", "slide"), colours=((0, 0, 0), (255, 0, 0)))
    same = write_polygons(
        tmp_path / "map.tif", tmp_path / "same.gpkg", classes=classes, dem=terrain / "dem.tif"
    )
    void = write_polygons(
        tmp_path / "map.tif", tmp_path / "void.gpkg", classes=classes, dem=terrain / "dem_voids.tif"
    )
    _, full, _ = read(same.path)
    _, holed, _ = read(void.path)
    assert same.polygons == 1226
    assert 0 < full["slope_mean"].min() < full["slope_mean"].max() < 70
    missing = np.isnan(holed["relief_m"])
    assert 0 < missing.sum() < len(missing) / 4
    assert (holed["elev_max_m"][~missing] <= full["elev_max_m"][~missing]).all()
    assert holed["elev_min_m"][~missing].min() > 0
    # The same ground in twice as fine cells: the terrain is brought onto them.
    fine = Grid((grid.transform[0] / 2, 0, grid.transform[2], 0, grid.transform[4] / 2, grid.transform[5]),
                grid.crs_wkt)  # fmt: skip
    write_raster(tmp_path / "fine.tif", labels.repeat(2, 0).repeat(2, 1), fine, nodata=255)
    finer = write_polygons(
        tmp_path / "fine.tif", tmp_path / "fine.gpkg", classes=classes, dem=terrain / "dem.tif"
    )
    _, bent, _ = read(finer.path)
    assert finer.polygons == same.polygons
    assert np.abs(np.median(bent["slope_mean"]) - np.median(full["slope_mean"])) < 2.0
    np.testing.assert_allclose(np.sort(bent["area_m2"]), np.sort(full["area_m2"]))


@needs_shared
def test_mars(tmp_path: Path) -> None:
    folder = SHARED / "data" / "mars-7band" / "masks"
    path = sorted(folder.glob("*.tif"))[0]
    classes = Classes(names=("none", "slide"), colours=((0, 0, 0), (255, 0, 0)))
    with open_raster(path) as reader:
        pixels = int((reader.read()[0] == 1).sum())
        grid, side = reader.grid, reader.grid.transform[0]
    for kind in FORMATS:
        summary = write_polygons(path, tmp_path / f"mars.{kind}", classes=classes, style=False)
        total = summary.classes[0]["total_m2"]
        assert total == pytest.approx(pixels * side**2, rel=0.02 if summary.method == "geodesic" else 1e-9)
        first = next(read_features(summary.path, grid))
        centroid = shapely.Point(first["properties"]["centroid_x"], first["properties"]["centroid_y"])
        assert shapely.geometry.shape(first["geometry"]).distance(centroid) < 128 * side
        crs = read(summary.path)[2]
        if kind == "geojson":
            assert "GeoJSON knows no SimpleCylindrical_Mars" in summary.notes[-1]
        else:
            assert pyproj.CRS(crs).get_geod().a == 3396190  # type: ignore[union-attr]


def test_styles_name_each_class_with_its_colour(make: Callable[..., PolygonSummary], tmp_path: Path) -> None:
    summary = make("p.gpkg", labels_of(), style=True)
    assert tmp_path / "p.qml" in summary.files
    root = ET.parse(tmp_path / "p.qml").getroot()
    renderer = root.find("renderer-v2")
    assert renderer is not None
    assert renderer.get("type") == "categorizedSymbol"
    assert renderer.get("attr") in read(summary.path)[1]
    symbols = {s.get("name"): s for s in renderer.iterfind("symbols/symbol")}
    for category, label in zip(renderer.iterfind("categories/category"), (1, 2), strict=True):
        assert category.get("value") == str(label)
        assert category.get("label") == CLASSES.names[label]
        fill = symbols[category.get("symbol")].find("layer/Option/Option[@name='color']")
        assert fill is not None
        assert fill.get("value", "").startswith(",".join(map(str, CLASSES.colours[label])))
    write_raster_style(tmp_path / "map.qml", CLASSES)
    entries = (
        ET.parse(tmp_path / "map.qml").getroot().findall("pipe/rasterrenderer/colorPalette/paletteEntry")
    )
    assert [e.get("color") for e in entries] == ["#000000", "#ff3c00", "#1e5aff"]
    assert [e.get("alpha") for e in entries] == ["0", "255", "255"]


def test_a_map_without_polygons_is_an_empty_layer(make: Callable[..., PolygonSummary]) -> None:
    for kind in FORMATS:
        summary = make(f"p.{kind}", np.zeros((5, 5), np.uint8))
        shapes, columns, _ = read(summary.path)
        assert len(shapes) == summary.polygons == 0
        assert "area_m2" in columns or kind == "geojson"
        assert summary.classes[0]["count"] == 0


def test_what_is_there_stays_unless_replacing_is_allowed(
    make: Callable[..., PolygonSummary], tmp_path: Path
) -> None:
    make("p.shp", labels_of())
    before = (tmp_path / "p.shp").read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        make("p.shp", labels_of(1))
    assert (tmp_path / "p.shp").read_bytes() == before
    make("p.shp", labels_of(1), overwrite=True)
    assert (tmp_path / "p.shp").read_bytes() != before


def test_a_fault_half_way_leaves_what_was_there(make: Callable[..., PolygonSummary], tmp_path: Path) -> None:
    make("p.gpkg", labels_of(), table=tmp_path / "t.csv")
    before = (tmp_path / "p.gpkg").read_bytes(), (tmp_path / "t.csv").read_bytes()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for kind in FORMATS:
        with pytest.raises(KeyboardInterrupt):
            make(f"p.{kind}", labels_of(1), table=tmp_path / "t.csv", overwrite=True, progress=stop)
    assert before == ((tmp_path / "p.gpkg").read_bytes(), (tmp_path / "t.csv").read_bytes())
    assert not list(tmp_path.glob(".*"))
    assert not (tmp_path / "p.shp").exists()


def test_a_cut_class_map_is_named(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (1200, 1200)).astype(np.uint8)
    write_raster(tmp_path / "map.tif", labels, UTM)
    whole = (tmp_path / "map.tif").read_bytes()
    (tmp_path / "map.tif").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(RasterError, match=r"map\.tif"):
        write_polygons(tmp_path / "map.tif", tmp_path / "p.gpkg", classes=CLASSES)
    assert not (tmp_path / "p.gpkg").exists()


def test_rasters_that_do_not_fit_are_refused(make: Callable[..., PolygonSummary], tmp_path: Path) -> None:
    write_raster(tmp_path / "two.tif", np.zeros((2, 50, 70), np.uint8), UTM)
    with pytest.raises(DataError, match="has 2 bands of 50 x 70 pixels; expected 1 or 3"):
        make("p.gpkg", labels_of(), probability=tmp_path / "two.tif")
    with pytest.raises(DataError, match="one band of elevations"):
        make("p.gpkg", labels_of(), dem=tmp_path / "two.tif")
    with pytest.raises(DataError, match="a class map has one band"):
        write_polygons(tmp_path / "two.tif", tmp_path / "p.gpkg", classes=CLASSES)
    with pytest.raises(DataError, match=r"end in \.gpkg"):
        make("p.kml", labels_of())


def test_truth_drawn_from_polygons_meets_its_own_layer(make: Callable[..., PolygonSummary]) -> None:
    labels = labels_of(9)
    path = make("p.gpkg", labels).path
    layer = LabelLayer.from_file(path, UTM, labels.shape, attribute="class_id")
    from flexunet.raster import Window

    np.testing.assert_array_equal(
        layer.labels(Window(12, 7, 20, 30)), np.where(labels == 255, 0, labels)[12:32, 7:37]
    )
