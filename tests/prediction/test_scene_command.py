"""What is named is found; scenes and pictures each take their way; the command leaves all that was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate
from typer.testing import CliRunner

from flexunet.classes import IGNORE_INDEX, Classes
from flexunet.cli.app import app
from flexunet.errors import DataError, FlexunetError, RasterError
from flexunet.prediction.scenes import find_sources, is_scene
from flexunet.raster import Grid, write_png, write_raster
from shared_data import SHARED, needs_shared
from small_scenes import (
    HALF_METRE,
    blobs,
    classes_in,
    small_model,
    small_predictor,
    small_record,
    write_scene,
)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *(str(argument) for argument in arguments)])


def test_files_folders_globs_lists_and_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    for name in ("1.tif", "2.tif", "sub/3.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_scene(folder / name, blobs(9, 9))
    address = "/vsicurl/https://example.org/a//b.tif"
    (tmp_path / "list.txt").write_text(f"# what we flew\na b/1.tif\n\na b/**/*.tif\n{address}\n", "utf-8")
    assert find_sources([str(folder)]) == [folder / "1.tif", folder / "2.tif"]
    assert find_sources([str(folder / "*.tif")]) == [folder / "1.tif", folder / "2.tif"]
    found = find_sources([str(tmp_path / "list.txt"), folder / "2.tif"])
    assert found == [folder / "1.tif", folder / "2.tif", folder / "sub" / "3.tif", address]
    with pytest.raises(DataError, match="no file matches"):
        find_sources([str(folder / "*.jp2")])
    with pytest.raises(DataError, match="nothing to predict"):
        find_sources([])


def test_a_georeference_or_size_makes_a_scene(tmp_path: Path) -> None:
    write_png(tmp_path / "plain.png", blobs(9, 9).transpose(1, 2, 0))
    assert not is_scene(tmp_path / "plain.png")
    (tmp_path / "plain.pgw").write_text("0.5\n0\n0\n-0.5\n100\n200\n")
    assert is_scene(tmp_path / "plain.png")
    assert is_scene(write_scene(tmp_path / "utm.tif", blobs(9, 9)))
    assert not is_scene(write_scene(tmp_path / "pixels.tif", blobs(9, 9), Grid()))
    profile = {"driver": "GTiff", "width": 5000, "height": 4000, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "large.tif", "w", sparse_ok=True, **profile):
        pass
    assert is_scene(tmp_path / "large.tif")
    assert is_scene("/vsis3/bucket/a.tif")
    assert not is_scene(tmp_path / "missing.tif")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--polygons", "docx"), "gpkg, geojson"),
        (("--max-memory", "lots"), "lots"),
        (("--dem", "a.tif"), "--dem"),
    ],
)
def test_wishes_for_scenes_that_mean_nothing_are_told_for_pictures_too(
    tmp_path: Path, words: tuple[str, str], said: str
) -> None:
    model = small_model(tmp_path / "m.safetensors")
    write_png(tmp_path / "photo.png", blobs(40, 40).transpose(1, 2, 0))
    result = run(model, tmp_path / "photo.png", "--out", tmp_path / "out", "--device", "cpu", *words)
    assert said in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_one_command_for_pictures_and_scenes_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.safetensors")
    second = small_model(tmp_path / "n.safetensors", seed=6)
    write_scene(tmp_path / "in" / "scene.tif", blobs(120, 100))
    write_png(tmp_path / "in" / "photo.png", blobs(40, 40).transpose(1, 2, 0))
    truth = np.zeros((1, 120, 100), np.uint8)
    truth[:, 20:60, 20:60] = 1
    write_raster(tmp_path / "truth.tif", truth, HALF_METRE)
    out = tmp_path / "out"
    result = run(
        model, tmp_path / "in", "--out", out, "--with", second, "--device", "cpu", "--precision", "32",
        "--polygons", "gpkg", "--min-area", "2", "--confidence", "margin", "--overlay", "--html",
        "--evaluate", tmp_path / "truth.tif", "--max-memory", "8GB",
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    assert "nothing comes of --confidence, --polygons, --html, --evaluate for pictures" in result.output
    expected = {
        "photo.png", "scene.tif", "scene.tif.aux.xml", "scene.qml", "scene_probability.tif",
        "scene_confidence.tif", "scene_polygons.gpkg", "scene_polygons.qml", "scene_inventory.csv",
        "scene_overlay.jpg", "scene.html", "scene_evaluation", "overlays",
    }  # fmt: skip
    assert {path.name for path in out.iterdir()} == expected
    for name in ("scene.tif", "scene_probability.tif", "scene_confidence.tif"):
        assert cog_validate(out / name, quiet=True)[0]
    members = [small_predictor(), small_predictor(seed=6)]
    mean = np.mean([member.probabilities(tmp_path / "in" / "scene.tif") for member in members], 0)
    assert_array_equal(classes_in(out / "scene.tif"), mean.argmax(0))
    assert json.loads((out / "scene_evaluation" / "scores.json").read_text("utf-8"))["height"] == 120
    again = run(model, tmp_path / "in", "--out", out, "--device", "cpu")
    assert "--overwrite" in str(again.exception or again.output)


def test_an_area_of_interest_limits_what_is_predicted(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.safetensors")
    scene = write_scene(tmp_path / "scene.tif", blobs(120, 100))
    ring = [[400005, 2999990], [400030, 2999990], [400030, 2999960], [400005, 2999960], [400005, 2999990]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32648"}}
    (tmp_path / "aoi.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}), "utf-8"
    )
    result = run(
        model, scene, "--out", tmp_path / "out", "--aoi", tmp_path / "aoi.geojson", "--device", "cpu",
        "--precision", "32",
    )  # fmt: skip
    assert result.exit_code == 0, (result.output, result.exception)
    found = classes_in(tmp_path / "out" / "scene.tif")
    inside = np.zeros((120, 100), bool)
    inside[20:80, 10:60] = True
    assert_array_equal(found != IGNORE_INDEX, inside)
    assert_array_equal(found[inside], small_predictor()(scene)[inside])


def test_a_bad_scene_does_not_stop_the_others(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.safetensors")
    write_scene(tmp_path / "good.tif", blobs(40, 40))
    write_scene(tmp_path / "two.tif", blobs(40, 40, 2))
    result = run(model, tmp_path / "good.tif", tmp_path / "two.tif", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "two.tif: has 2 bands; the model was trained on 3 bands" in result.output
    assert (tmp_path / "out" / "good.tif").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-memory", "lots"], "means nothing"),
        (["--max-memory", "1MB"], "too little"),
        (["--confidence", "high"], "entropy or margin"),
        (["--probability-type", "float64"], "uint8 or float16"),
        (["--probability-type", "float16"], "add one of them"),
        (["--probability-of", "snow"], "the model knows background, landslide, water"),
        (["--polygons", "dxf"], "gpkg, geojson, parquet or shp"),
        (["--simplify", "2"], "--polygons"),
        (["--polygons", "shp", "--probability-of", "snow"], "the model knows"),
        (["--truth-attribute", "kind"], "--evaluate"),
        (["--resolution", "0"], "more than 0"),
        (["--out", __file__], "is a file; name a folder"),
    ],
)
def test_what_is_asked_wrongly_is_said(tmp_path: Path, arguments: list[str], message: str) -> None:
    model = small_model(tmp_path / "m.safetensors")
    scene = write_scene(tmp_path / "scene.tif", blobs(40, 40))
    result = run(model, scene, "--out", tmp_path / "out", *arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, FlexunetError | SystemExit)
    assert message in str(result.exception) + result.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--polygons", "gpkg", "--dem", "nowhere.tif"], "nowhere.tif: cannot be opened"),
        (["--evaluate", "nowhere.tif"], "nowhere.tif: cannot be opened"),
        (["--evaluate", "nowhere.gpkg", "--truth-attribute", "kind"], "nowhere.gpkg: no such vector file"),
        (["--aoi", "nowhere.gpkg"], "nowhere.gpkg: no such vector file"),
    ],
)
def test_files_that_are_needed_later_are_looked_at_first(
    tmp_path: Path, option: list[str], message: str
) -> None:
    model = small_model(tmp_path / "m.safetensors")
    scene = write_scene(tmp_path / "scene.tif", blobs(40, 40))
    result = run(model, scene, "--out", tmp_path / "out", *option)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_after_a_fault_in_a_product_the_rasters_need_not_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(tmp_path / "m.safetensors")
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 70))
    out = tmp_path / "out"
    wanted = [model, scene, "--out", out, "--polygons", "gpkg", "--html"]

    def broken(*arguments: object) -> None:
        raise RasterError("map.html: cannot be written: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("flexunet.views.write_html_map", broken)
        result = run(*wanted)
    assert result.exit_code == 2
    assert "the disk is full. The rasters are finished: the same command goes on" in result.output
    first = (out / "scene.tif").stat()
    other = run(*wanted, "--confidence", "margin")
    assert "already there, of another job; it differs in --confidence (none before" in other.output
    assert (out / "scene.tif").stat() == first
    result = run(*wanted)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "the rasters are those of an earlier attempt" in result.output
    assert (out / "scene.tif").stat() == first
    assert (out / "scene.html").exists()
    assert not list(out.glob(".*"))
    assert "--overwrite" in str(run(*wanted).exception)


def test_polygons_have_the_probability_of_their_own_class_whatever_else_is_asked(tmp_path: Path) -> None:
    classes = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 60, 0)))
    model = small_model(tmp_path / "m.safetensors", small_record().model_copy(update={"classes": classes}))
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 70))
    told: dict[str, list[float]] = {}
    for name in classes.names:
        out = tmp_path / name
        result = run(model, scene, "--out", out, "--polygons", "geojson", "--probability-of", name)
        assert result.exit_code == 0, (result.output, result.exception)
        found = json.loads((out / "scene_polygons.geojson").read_text("utf-8"))["features"]
        told[name] = [feature["properties"]["prob_mean"] for feature in found]
    assert told["background"] == told["landslide"]
    assert min(told["landslide"]) >= 0.5
    assert len(_pixels(tmp_path / "landslide" / "scene_probability.tif")) == 1
    assert len(_pixels(tmp_path / "background" / "scene_probability.tif")) == 2


def _pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as raster:
        pixels: NDArray[Any] = raster.read()
    return pixels


@needs_shared
def test_six_tiles_of_mars_are_one_scene(tmp_path: Path) -> None:
    """384 x 256 pixels of seven float bands on a CRS without a code."""
    folder = SHARED / "data" / "mars-7band" / "images"
    tiles = [[folder / f"col{col:05d}_row{row:05d}.tif" for col in (9, 10, 11)] for row in (8, 9)]
    with rasterio.open(tiles[0][0]) as first:
        transform, grid = first.transform, Grid(first.transform[:6], first.crs.to_wkt())
    pixels = np.concatenate([np.concatenate([_pixels(tile) for tile in row], 2) for row in tiles], 1)
    scene = write_scene(tmp_path / "mars.tif", pixels, grid)
    names = tuple(f"band {index}" for index in range(1, 8))
    model = small_model(tmp_path / "m.safetensors", small_record(names, "float32"))
    result = run(model, scene, "--out", tmp_path / "out", "--polygons", "gpkg", "--device", "cpu")
    assert result.exit_code == 0, (result.output, result.exception)
    with rasterio.open(tmp_path / "out" / "mars.tif") as found:
        assert found.shape == (256, 384)
        assert "Mars" in found.crs.to_wkt()
        assert found.transform == transform
