"""No result takes the place of what it is made of, of another result, or unasked of anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.errors import DataError, FlexunetError, OutputExistsError
from flexunet.prediction import predict_files
from flexunet.prediction.scenes import Products, SceneFiles, SceneOptions, find_sources
from flexunet.raster import Grid, write_png, write_raster
from small_scenes import UTM, blobs, classes_in, small_model, small_predictor, write_scene

LINE = Grid((0.5, 0.5, 400000.0, 0.5, 0.5, 3000000.0), UTM)
"""All pixels of a raster on it lie on one line."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "m.safetensors")


def run(*arguments: object) -> Any:
    words = ["predict", *(str(argument) for argument in arguments), "--device", "cpu", "--precision", "32"]
    return CliRunner().invoke(app, words)


def refused(result: Any, kind: type[FlexunetError]) -> str:
    """The message of a command that ended before it began anything."""
    assert isinstance(result.exception, kind), (result.output, result.exception)
    return str(result.exception)


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def write_square(path: Path, left: float = 400005.0) -> Path:
    """A GeoJSON of one square of 20 m."""
    x, y = left, 2999990.0
    ring = [[x, y], [x + 20, y], [x + 20, y - 20], [x, y - 20], [x, y]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32648"}}
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    content = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


def write_labels(path: Path, left: float = 400000.0) -> Path:
    labels = np.zeros((1, 60, 50), np.uint8)
    labels[:, 20:40, 10:30] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    write_raster(path, labels, Grid((0.5, 0.0, left, 0.0, -0.5, 3000000.0), UTM))
    return path


def test_truth_terrain_and_area_stay_even_where_replacing_is_allowed(tmp_path: Path, model: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    out = tmp_path / "out"
    needed = {
        "--evaluate": write_labels(out / "scene.tif"),
        "--dem": write_labels(out / "scene_probability.tif"),
        "--aoi": write_square(out / "scene_polygons.geojson"),
    }
    before = contents(out)
    for option, path in needed.items():
        words = ["--overwrite", "--polygons", "geojson", option, path]
        said = refused(run(model, scene, "--out", out, *words), DataError)
        assert f"{path}: " in said
        assert "another folder" in said
    all_of_them = [word for pair in needed.items() for word in pair]
    said = refused(
        run(model, scene, "--out", out, "--overwrite", "--polygons", "geojson", *all_of_them), DataError
    )
    assert all(str(path) in said for path in needed.values())
    assert contents(out) == before


def test_the_truth_may_not_lie_where_its_own_evaluation_goes(tmp_path: Path, model: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    truth = write_labels(tmp_path / "out" / "scene_evaluation" / "error_map.tif")
    said = refused(
        run(model, scene, "--out", tmp_path / "out", "--overwrite", "--evaluate", truth), DataError
    )
    assert "scene_evaluation" in said


def test_another_scene_or_what_a_mosaic_is_made_of_stays(tmp_path: Path, model: Path) -> None:
    first, out = write_scene(tmp_path / "a_confidence.img", blobs(60, 50)), tmp_path / "out"
    second = write_scene(out / "a.tif", blobs(60, 50, seed=1))
    before = contents(out)
    assert f"{second}: " in refused(run(model, second, first, "--out", out, "--overwrite"), DataError)
    mosaic = tmp_path / "a.vrt"
    with rasterio.open(second) as source:
        bands = "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">'
            f"out/a.tif</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band in (1, 2, 3)
        )
        transform = ", ".join(str(value) for value in source.transform.to_gdal())
    mosaic.write_text(
        f'<VRTDataset rasterXSize="50" rasterYSize="60"><SRS>EPSG:32648</SRS>'
        f"<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>"
    )
    said = refused(run(model, mosaic, "--out", out, "--overwrite"), DataError)
    assert f"{second}: " in said
    around = tmp_path / "around"
    around.mkdir()
    outer = around / "a.vrt"
    outer.write_text(mosaic.read_text().replace("out/a.tif", "../a.vrt"))
    assert str(second) in refused(run(model, outer, "--out", out, "--overwrite"), DataError)
    assert contents(out) == before


def test_pictures_and_scenes_of_one_command_leave_each_other_alone(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "in"
    scene = write_scene(folder / "a.img", blobs(60, 50))
    picture = folder / "a_overlay.jpg"
    write_png(folder / "photo.png", blobs(40, 40).transpose(1, 2, 0))
    picture.write_bytes((folder / "photo.png").read_bytes())
    before = contents(folder)
    said = refused(run(model, scene, picture, "--out", folder, "--overlay", "--overwrite"), DataError)
    assert str(picture) in said
    with pytest.raises(DataError, match=r"a_overlay\.jpg"):
        predict_files(small_predictor(), [scene, picture], folder, overlay=True, overwrite=True)
    truth = folder / "masks" / "photo.png"
    truth.parent.mkdir()
    write_png(truth, np.zeros((60, 50), np.uint8))
    before = contents(folder)
    words = ["--out", truth.parent, "--overwrite", "--evaluate", truth]
    assert str(truth) in refused(run(model, scene, folder / "photo.png", *words), DataError)
    assert contents(folder) == before


def test_results_of_two_scenes_never_have_one_name(tmp_path: Path, model: Path) -> None:
    first = write_scene(tmp_path / "a.tif", blobs(60, 50))
    second = write_scene(tmp_path / "a_Probability.tif", blobs(60, 50, seed=1))
    out = tmp_path / "out"
    for words in ((), ("--overwrite",)):
        said = refused(run(model, first, second, "--out", out, "--probability", *words), DataError)
        assert str(first) in said
        assert str(second) in said
        assert "another folder" in said
    third = write_scene(tmp_path / "a_polygons.tif", blobs(60, 50))
    assert "a_polygons.qml" in refused(
        run(model, first, third, "--out", out, "--polygons", "gpkg"), DataError
    )
    assert not out.exists()
    assert run(model, first, second, "--out", out).exit_code == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ortho.qml", ("--polygons", "gpkg")),
        ("ortho_polygons.qml", ("--polygons", "gpkg")),
        ("ortho_polygons.dbf", ("--polygons", "shp")),
        ("ortho_polygons.prj", ("--polygons", "shp")),
        ("ortho_inventory.csv", ("--polygons", "shp")),
        ("ortho.tif.aux.xml", ()),
        ("ortho_applicability.tif", ("--applicability",)),
        ("ortho_overlay.jpg", ("--overlay",)),
        ("ortho.html", ("--html",)),
        ("ortho_evaluation/scores.json", ("--evaluate",)),
    ],
)
def test_what_is_there_is_replaced_only_where_that_is_allowed(
    tmp_path: Path, model: Path, name: str, words: tuple[str, ...]
) -> None:
    scene = write_scene(tmp_path / "ortho.img", blobs(60, 50))
    if words == ("--evaluate",):
        words += (str(write_labels(tmp_path / "truth.tif")),)
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    said = refused(run(model, scene, "--out", tmp_path / "out", *words), OutputExistsError)
    assert "ortho" in said
    assert "--overwrite" in said
    assert contents(tmp_path / "out") == {name: b"mine"}


def test_every_file_that_comes_of_a_scene_is_known_before(tmp_path: Path, model: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    truth, out = write_labels(tmp_path / "truth.tif"), tmp_path / "out"
    words = ["--polygons", "shp", "--confidence", "margin", "--overlay", "--html", "--evaluate", truth]
    for again in ((), ("--overwrite",)):
        result = run(model, scene, "--out", out, *words, *again)
        assert result.exit_code == 0, (result.output, result.exception)
    options = SceneOptions(probability=(0, 1, 2), confidence="margin")
    products = Products(polygons="shp", overlay=True, html=True, truth=truth)
    assert set(SceneFiles.of(out / "scene.tif", options, products).all) == set(out.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("--polygons", "gpkg", "--min-area", "nan"),
        ("--polygons", "gpkg", "--min-area", "inf"),
        ("--polygons", "gpkg", "--simplify", "nan"),
        ("--polygons", "gpkg", "--simplify", "inf"),
        ("--resolution", "inf"),
        ("--resolution", "nan"),
        ("--max-memory", "inf"),
        ("--max-memory", "nan"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, model: Path, words: tuple[str, ...]) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    result = run(model, scene, "--out", tmp_path / "out", *words)
    assert words[-1] in refused(result, FlexunetError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--polygons", "gpkg"),
        ("--polygons", "geojson", "--html"),
        ("--aoi", "square.geojson"),
        ("--evaluate", "square.geojson", "--truth-attribute", "kind"),
    ],
)
def test_a_scene_on_a_line_is_refused_where_that_matters_and_the_others_go_on(
    tmp_path: Path, model: Path, words: tuple[str, ...]
) -> None:
    line = write_scene(tmp_path / "line.tif", blobs(60, 50), LINE)
    good = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    write_square(tmp_path / "square.geojson")
    content = (tmp_path / "square.geojson").read_text("utf-8")
    (tmp_path / "square.geojson").write_text(
        content.replace('"properties": {}', '"properties": {"kind": "water"}')
    )
    given = [tmp_path / word if word.endswith(".geojson") else word for word in words]
    result = run(model, line, good, "--out", tmp_path / "out", *given)
    assert result.exit_code == 1, (result.output, result.exception)
    assert "line.tif" in result.output
    assert "line" in result.output.partition("line.tif")[2]
    assert (tmp_path / "out" / "scene.tif").exists()
    assert not (tmp_path / "out" / "line.tif").exists()


def test_a_scene_on_a_line_has_pictures_and_a_map(tmp_path: Path, model: Path) -> None:
    line = write_scene(tmp_path / "line.tif", blobs(60, 50), LINE)
    truth = tmp_path / "truth.tif"
    write_raster(truth, classes_in(write_labels(tmp_path / "labels.tif")), LINE)
    result = run(model, line, "--out", tmp_path / "out", "--overlay", "--html", "--evaluate", truth)
    assert result.exit_code == 0, (result.output, result.exception)


def test_lists_that_name_each_other_are_told(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(9, 9))
    own, one, two = (tmp_path / f"{name}.txt" for name in ("own", "one", "two"))
    own.write_text("scene.tif\nown.txt\n")
    one.write_text("two.txt\n")
    two.write_text("one.txt\n")
    with pytest.raises(DataError, match=r"own\.txt.*names itself"):
        find_sources([own])
    with pytest.raises(DataError, match=r"(one|two)\.txt.*names itself"):
        find_sources([one])
    one.write_text("scene.tif\n")
    two.write_text("one.txt\none.txt\n")
    assert find_sources([two]) == [scene]


def test_a_truth_of_another_place_is_refused_before_the_work(tmp_path: Path, model: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50))
    square = write_square(tmp_path / "far.geojson", left=900000.0)
    content = square.read_text("utf-8").replace('"properties": {}', '"properties": {"kind": "water"}')
    square.write_text(content, "utf-8")
    labels = write_labels(tmp_path / "far.tif", left=900000.0)
    for words in (["--evaluate", labels], ["--evaluate", square, "--truth-attribute", "kind"]):
        result = run(model, scene, "--out", tmp_path / "out", *words)
        assert result.exit_code == 2, (result.output, result.exception)
        assert "another place" in result.output
        assert not (tmp_path / "out").exists()
