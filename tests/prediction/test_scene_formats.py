"""A scene, its elevations and its truth may come in any format that GDAL opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.testing import assert_array_equal

from flexunet.errors import RasterError
from flexunet.prediction.scenes import SceneOptions, find_sources, is_scene, plan_scene, predict_scene
from flexunet.prediction.scenes.batch import class_maps
from flexunet.raster import Grid
from flexunet.vector.measure import Surveyor
from flexunet.vector.relief import Terrain
from small_scenes import HALF_METRE, blobs, classes_in, small_predictor, write_scene


def as_format(path: Path, driver: str, pixels: np.ndarray, grid: Grid = HALF_METRE) -> Path:
    tiff = write_scene(path.with_name("through.tif"), pixels, grid)
    rasterio.shutil.copy(tiff, path, driver=driver)
    return path


@pytest.mark.parametrize(("name", "driver"), [("cube.dat", "ENVI"), ("cube.bil", "EHdr")])
def test_a_scene_of_another_format_gives_the_same_classes(tmp_path: Path, name: str, driver: str) -> None:
    pixels = blobs(70, 60)
    scene, tiff = as_format(tmp_path / name, driver, pixels), write_scene(tmp_path / "same.tif", pixels)
    assert is_scene(scene)
    predictor = small_predictor()
    found = predict_scene(predictor, scene, tmp_path / "out.tif").class_map
    assert_array_equal(classes_in(found), predictor(tiff))
    with rasterio.open(found) as raster:
        assert tuple(raster.transform)[:6] == HALF_METRE.transform


def test_a_file_that_is_no_raster_is_no_scene(tmp_path: Path) -> None:
    (tmp_path / "notes.dat").write_text("bring boots")
    assert not is_scene(tmp_path / "notes.dat")
    with pytest.raises(RasterError, match=r"notes\.dat: cannot be read as a raster"):
        plan_scene(small_predictor(), tmp_path / "notes.dat", SceneOptions())


def test_a_raster_within_a_file_is_an_address_and_its_file_is_watched(tmp_path: Path) -> None:
    tiff = write_scene(tmp_path / "a.tif", blobs(40, 30))
    address = f"GTIFF_DIR:1:{tiff}"
    assert find_sources([address]) == [address]
    assert is_scene(address)
    predictor = small_predictor()
    before = plan_scene(predictor, address, SceneOptions()).fingerprint
    assert before == plan_scene(predictor, address, SceneOptions()).fingerprint
    write_scene(tiff, blobs(44, 30))
    assert before != plan_scene(predictor, address, SceneOptions()).fingerprint


def test_results_of_rasters_within_a_file_have_names_of_their_own(tmp_path: Path) -> None:
    tiff = write_scene(tmp_path / "a.tif", blobs(40, 30))
    scenes: list[str | Path] = [
        f"GTIFF_DIR:1:{tiff}",
        f'GTIFF_DIR:2:"{tiff}"',
        "/vsicurl/https://example.org/b.tif?key=c",
        tiff,
    ]
    targets, _ = class_maps(scenes, tmp_path)
    assert [target.name for target in targets.values()] == ["a_1.tif", "a_2.tif", "b.tif", "a.tif"]
    assert list(targets) == scenes


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_elevations_in_ascii_are_laid_over(tmp_path: Path, moved: float) -> None:
    heights = np.add.outer(np.arange(20.0), np.zeros(20))[None].astype(np.float32)
    a, b, c, d, e, f = HALF_METRE.transform
    dem = as_format(
        tmp_path / "dem.asc", "AAIGrid", heights, Grid((a, b, c - moved, d, e, f), HALF_METRE.crs_wkt)
    )
    terrain = Terrain(dem, Surveyor(HALF_METRE, (16, 12)))
    found = terrain.read(4, np.ones((4, 12), np.bool_))
    terrain.close()
    assert found["elevation"][:, 5] == pytest.approx([4, 5, 6, 7])
    assert found["slope"][1, 5] == pytest.approx(np.degrees(np.arctan(2)), abs=0.01)
