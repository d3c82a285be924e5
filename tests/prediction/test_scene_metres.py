"""A model sees a scene at the ground size it knows, whatever projection the scene comes in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import rasterio

from flexunet.errors import DataError
from flexunet.prediction.scenes import SceneOptions, plan_scene
from flexunet.raster import Grid
from small_scenes import blobs, small_predictor, small_record, write_scene

STRICT = SceneOptions(strict=True)


def scene_at(path: Path, crs: str, x: float, y: float, pixel: float) -> Path:
    grid = Grid((pixel, 0.0, x, 0.0, -pixel, y), rasterio.crs.CRS.from_string(crs).to_wkt())
    return write_scene(path, blobs(80, 60), grid)


def test_web_tiles_far_north_are_resampled_and_said_or_refused(tmp_path: Path) -> None:
    northing = 6378137 * math.log(math.tan(math.pi / 4 + math.radians(60) / 2))
    scene = scene_at(tmp_path / "tiles.tif", "EPSG:3857", 1e6, northing, 1.0)
    predictor = small_predictor(small_record(ground_resolution=(1.0, 1.0)))
    job = plan_scene(predictor, scene, SceneOptions())
    assert (job.plan.grid.height, job.plan.grid.width) == (40, 30)
    assert any("0.5004 x 0.5013 m a pixel" in note and "resampled" in note for note in job.notes)
    with pytest.raises(DataError, match=r"trained on 1 m.*Without --strict"):
        plan_scene(predictor, scene, STRICT)
    known = small_predictor(small_record(ground_resolution=(0.5, 0.5)))
    assert not plan_scene(known, scene, STRICT).plan.resampled


@pytest.mark.parametrize("easting", [166_021.0, 500_000.0, 833_978.0])
def test_the_scale_of_utm_changes_nothing(tmp_path: Path, easting: float) -> None:
    scene = scene_at(tmp_path / "utm.tif", "EPSG:32648", easting, 1000.0, 10.0)
    job = plan_scene(small_predictor(small_record(ground_resolution=(10.0, 10.0))), scene, STRICT)
    assert (job.plan.grid.height, job.plan.grid.width) == (80, 60)
    assert not job.notes
