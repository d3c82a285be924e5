"""What is promised of memory is kept: a process needs no more than was forecast, nor than was allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from flexunet.prediction.scenes.products import products_cache
from flexunet.raster.session import gdal_session
from small_scenes import blobs, small_model, write_scene

PROGRAM = """
import json, shutil, sys
from dataclasses import replace
from pathlib import Path
from flexunet.evaluation.scene import check_truth, evaluate_scene
from flexunet.prediction import Predictor
from flexunet.prediction.scenes import Products, SceneOptions
from flexunet.prediction.scenes import make_products, plan_scene, predict_scene, products_cache
from flexunet.raster import open_raster

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

folder = Path(sys.argv[1])
scene, out = folder / "scene.tif", folder / "out.tif"
predictor = Predictor.from_file(folder / "m.safetensors", device="cpu", precision="32", threads=1)
predictor = predictor.with_settings(tile=192, halo=32)
options = SceneOptions(probability=(1, 2), black_is_data=True)
wide = plan_scene(predictor, scene, replace(options, max_memory=10**12))
allowed = wide.expected_bytes - 560_000_000
options = replace(options, max_memory=allowed)
job = plan_scene(predictor, scene, options)
result = predict_scene(predictor, scene, out, options, job=job)
predicted = peak()
wanted = Products(polygons="gpkg", min_area=100.0, overlay=True, html=True)
make_products(scene, result, predictor.classes, wanted, max_memory=allowed)
truth = Path(shutil.copy(out, folder / "truth.tif"))
cache = products_cache(allowed)
with open_raster(scene) as raster:
    check_truth(truth, raster.grid, raster.shape[1:], predictor.classes, cache_bytes=cache)
evaluate_scene(out, truth, predictor.classes, folder / "evaluation", scene=scene, cache_bytes=cache)
columns = [len({part.col for part in planned.plan.parts}) for planned in (wide, job)]
print(json.dumps([allowed, job.expected_bytes, predicted, peak(), *columns]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
def test_a_process_needs_no_more_memory_than_was_forecast_and_allowed(tmp_path: Path) -> None:
    """Without the limit this scene takes more: its rows of tiles are wide."""
    small_model(tmp_path / "m.safetensors")
    pixels = np.repeat(np.repeat(blobs(28, 5000), 8, axis=1), 8, axis=2)
    write_scene(tmp_path / "scene.tif", np.ascontiguousarray(pixels))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    allowed, expected, predicted, in_the_end, wide, narrow = json.loads(done.stdout)
    assert wide == 1 < narrow, "the limit decides how the scene is cut"
    assert predicted <= expected <= allowed
    assert in_the_end <= allowed


def test_the_cache_of_products_is_a_share_of_what_is_allowed() -> None:
    assert products_cache(None) == products_cache(100 * 10**9) == 256 << 20
    assert products_cache(800_000_000) == 100_000_000
    assert products_cache(1) > 0


def test_within_a_session_another_one_has_no_larger_cache() -> None:
    def cache() -> object:
        return rasterio.env.getenv()["GDAL_CACHEMAX"]

    with gdal_session(50_000_000):
        with gdal_session(90_000_000):
            assert cache() == 50_000_000
        with gdal_session(20_000_000):
            assert cache() == 20_000_000
        assert cache() == 50_000_000
