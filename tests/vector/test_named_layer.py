"""One layer of a file with several is named as QGIS names it, wherever a file of polygons is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely

from flexunet.classes import Classes
from flexunet.errors import DataError
from flexunet.evaluation.truth import open_truth
from flexunet.files import layer_of
from flexunet.prediction.scenes import SceneOptions, plan_scene
from flexunet.raster import Grid, Window
from flexunet.vector import AreaOfInterest
from flexunet.vector.libraries import pyogrio
from small_scenes import HALF_METRE, blobs, small_predictor, write_scene

ALL = Window(0, 0, 10, 10)
CLASSES = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 0, 0)))


def add_layer(path: Path, name: str, row: int, col: int, crs: str | None = "EPSG:32648") -> None:
    """A layer with one polygon, the pixel at `row` and `col` of `HALF_METRE`."""
    a, _, left, _, _, top = HALF_METRE.transform
    square = shapely.box(left + a * col, top - a * (row + 1), left + a * (col + 1), top - a * row)
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(square)], object),
        field_data=[],
        fields=[],
        geometry_type="Polygon",
        crs=crs,
        layer=name,
        append=path.exists(),
    )


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two maps.gpkg"
    add_layer(path, "mapped 2020", 2, 3)
    add_layer(path, "guessed", 7, 8)
    return path


def test_file_and_layer_are_told_apart(two: Path) -> None:
    assert layer_of(two) == (two, None)
    assert layer_of(Path(f"{two}|layername=mapped 2020")) == (two, "mapped 2020")
    assert layer_of(Path("nowhere.gpkg")) == (Path("nowhere.gpkg"), None)


@pytest.mark.parametrize(("layer", "place"), [("mapped 2020", (2, 3)), ("guessed", (7, 8))])
def test_the_layer_that_is_named_is_used(two: Path, layer: str, place: tuple[int, int]) -> None:
    named = Path(f"{two}|layername={layer}")
    mask = AreaOfInterest.from_file(named, HALF_METRE, (10, 10)).mask(ALL)
    assert np.argwhere(mask).tolist() == [list(place)]
    with open_truth(named, HALF_METRE, (10, 10), CLASSES) as truth:
        assert np.argwhere(truth.labels(ALL)).tolist() == [list(place)]


def test_without_a_name_the_message_says_how_to_give_one(two: Path) -> None:
    with pytest.raises(DataError) as refused:
        AreaOfInterest.from_file(two, HALF_METRE, (10, 10))
    assert f'say which one: "{two}|layername=mapped 2020", "{two}|layername=guessed"' in str(refused.value)
    with pytest.raises(DataError, match=r"two maps\.gpkg: has no layer 'gessed'\. Did you mean 'guessed'\?"):
        AreaOfInterest.from_file(Path(f"{two}|layername=gessed"), HALF_METRE, (10, 10))


def test_a_scene_knows_which_layer_its_parts_are_of(two: Path, tmp_path: Path) -> None:
    scene, predictor = write_scene(tmp_path / "scene.tif", blobs(40, 40)), small_predictor()
    prints = [
        plan_scene(predictor, scene, SceneOptions(aoi=Path(f"{two}|layername={name}"))).fingerprint["aoi"]
        for name in ("mapped 2020", "guessed")
    ]
    assert prints[0] != prints[1]
    assert prints[0][1:] == prints[1][1:] == [two.stat().st_size, two.stat().st_mtime_ns]


def test_what_cannot_be_named_is_not_asked_for(tmp_path: Path) -> None:
    grid = Grid(HALF_METRE.transform, pyproj.CRS.from_epsg(32648).to_wkt())
    add_layer(tmp_path / "bare.shp", "bare", 2, 3)
    (tmp_path / "bare.prj").unlink()
    with pytest.raises(DataError, match=r"the \.prj file\)\.$"):
        AreaOfInterest.from_file(tmp_path / "bare.shp", grid, (10, 10))
