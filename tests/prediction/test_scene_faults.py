"""Scenes as they come: odd, damaged, misplaced; and what happens to a disk or a process under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint

from flexunet.classes import IGNORE_INDEX
from flexunet.errors import DataError, RasterError
from flexunet.prediction import Predictor
from flexunet.prediction.scenes import SceneOptions, plan_scene, predict_scene
from flexunet.raster import Grid, write_raster
from small_scenes import (
    HALF_METRE,
    UTM,
    blobs,
    classes_in,
    small_model,
    small_predictor,
    small_record,
    write_scene,
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


def predicted(predictor: Predictor, scene: Path, **options: Any) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    out = scene.with_name(f"{scene.stem}_classes.tif")
    result = predict_scene(predictor, scene, out, SceneOptions(overwrite=True, **options))
    return classes_in(out), result.notes


@pytest.mark.parametrize("shape", [(1, 1), (3, 100_000), (100_000, 3), (20, 31), (32, 32), (33, 32)])
def test_scenes_of_odd_shapes(tmp_path: Path, predictor: Predictor, shape: tuple[int, int]) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(*shape))
    found, _ = predicted(predictor, scene)
    assert found.shape == shape
    assert found.max() <= 2


@pytest.mark.parametrize(
    "grid",
    [
        Grid(),
        Grid((0.5, 0.0, 400000.0, 0.0, -0.5, 3000000.0), None),
        Grid((0.4, 0.3, 400000.0, 0.3, -0.4, 3000000.0), UTM),
        Grid((5e-6, 0.0, 103.5, 0.0, -5e-6, 30.25), rasterio.crs.CRS.from_epsg(4326).to_wkt()),
    ],
    ids=["no georeference", "no CRS", "rotated", "degrees"],
)
def test_any_grid_comes_back_as_it_was(tmp_path: Path, predictor: Predictor, grid: Grid) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(60, 50), grid)
    found, notes = predicted(predictor, scene)
    assert notes == ()
    with rasterio.open(scene) as source, rasterio.open(tmp_path / "scene_classes.tif") as result:
        assert result.transform == source.transform
        assert result.crs == source.crs
        assert result.shape == source.shape
    assert_array_equal(found, predictor(scene))


def test_ground_control_points_come_back(tmp_path: Path, predictor: Predictor) -> None:
    points = [
        GroundControlPoint(row, col, 400000 + 0.5 * col + 0.1 * row, 3000000 - 0.5 * row, 12.5)
        for row in (0, 60)
        for col in (0, 25, 50)
    ]
    scene = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 60, "width": 50}
    with rasterio.open(scene, "w", gcps=points, crs=rasterio.crs.CRS.from_epsg(32648), **profile) as target:
        target.write(blobs(60, 50))
    predicted(predictor, scene)
    with rasterio.open(tmp_path / "scene_classes.tif") as result:
        found, crs = result.gcps
        assert crs.to_epsg() == 32648
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
            (p.row, p.col, p.x, p.y, p.z) for p in points
        ]
    job = plan_scene(predictor, scene, SceneOptions(resolution=(1.0, 1.0)))
    assert job.plan.grid.height == round(60 * np.hypot(0.1, 0.5))


def test_missing_floats_are_missing_in_the_result(tmp_path: Path) -> None:
    record = small_record(("a", "b"), "float32")
    pixels = blobs(60, 50, 2).astype(np.float32)
    pixels[0, 10:20, 5:9] = np.nan
    pixels[1, 40:44] = -3.4028235e38
    scene = write_scene(tmp_path / "scene.tif", pixels)
    found, _ = predicted(small_predictor(record), scene)
    missing = np.zeros((60, 50), bool)
    missing[10:20, 5:9] = True
    missing[40:44] = True
    assert_array_equal(found == IGNORE_INDEX, missing)
    found, _ = predicted(small_predictor(record), scene, resolution=(0.9, 0.9))
    assert_array_equal(found == IGNORE_INDEX, missing)


def test_alpha_and_internal_masks_are_missing_data(tmp_path: Path, predictor: Predictor) -> None:
    pixels = blobs(60, 50)
    shown = np.full((60, 50), 255, np.uint8)
    shown[:20, 30:] = 0
    profile = {"driver": "GTiff", "dtype": "uint8", "height": 60, "width": 50}
    with rasterio.open(tmp_path / "alpha.tif", "w", count=4, photometric="RGB", alpha="yes", **profile) as f:
        f.write(np.concatenate([pixels, shown[None]]))
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "mask.tif", "w", count=3, **profile) as f,
    ):
        f.write(pixels)
        f.write_mask(shown)
    for name in ("alpha.tif", "mask.tif"):
        found, _ = predicted(predictor, tmp_path / name)
        assert_array_equal(found == IGNORE_INDEX, shown == 0)


def test_a_black_collar_is_taken_off_also_after_jpeg(tmp_path: Path, predictor: Predictor) -> None:
    pixels = np.maximum(blobs(300, 260), 40)
    collar = np.add.outer(np.arange(300), np.arange(260)) < 120
    pixels[:, collar] = 0
    pixels[:, 200:206, 150:156] = 0  # a dark roof, not the collar
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 300, "width": 260, "tiled": True}
    for name, more in (("plain", {}), ("jpeg", {"compress": "jpeg", "jpeg_quality": 90})):
        scene = tmp_path / f"{name}.tif"
        with rasterio.open(scene, "w", photometric="YCbCr" if more else "RGB", **profile, **more) as target:
            target.write(pixels)
        found, notes = predicted(predictor, scene)
        wrong = (found == IGNORE_INDEX) != collar
        rim = np.abs(np.add.outer(np.arange(300), np.arange(260)) - 120) < 32  # a block of the JPEG
        assert wrong.mean() < 0.02
        assert not wrong[~rim].any()
        assert more or not wrong.any()
        assert any("black collar" in note for note in notes)
        kept, notes = predicted(predictor, scene, black_is_data=True)
        assert (kept != IGNORE_INDEX).all()
        assert notes == ()


def test_a_palette_is_seen_in_its_colours(tmp_path: Path, predictor: Predictor) -> None:
    colours = [(10, 20, 30), (200, 100, 50), (90, 240, 120)]
    indices = (blobs(60, 50, 1)[0] // 86).astype(np.uint8)
    write_raster(tmp_path / "palette.tif", indices, HALF_METRE, colours=colours)
    scene = write_scene(tmp_path / "rgb.tif", np.asarray(colours, np.uint8)[indices].transpose(2, 0, 1))
    assert_array_equal(predicted(predictor, tmp_path / "palette.tif")[0], predicted(predictor, scene)[0])


def test_bands_are_taken_by_name_or_refused_by_name(tmp_path: Path) -> None:
    predictor = small_predictor(small_record(("B4", "B3", "B8"), "uint16"))
    planes = blobs(60, 50, 4).astype(np.uint16) * 20

    def scene_of(name: str, names: tuple[str, ...], dtype: str = "uint16") -> Path:
        path = tmp_path / f"{name}.tif"
        order = ("B8", "B2", "B3", "B4")
        chosen = [planes[order.index(band) if band in order else 0] for band in names]
        write_raster(path, np.stack(chosen).astype(dtype), HALF_METRE)
        with rasterio.open(path, "r+") as raster:
            raster.descriptions = names
        return path

    ordered, notes = predicted(predictor, scene_of("ordered", ("B4", "B3", "B8")))
    assert notes == ()
    shuffled, notes = predicted(predictor, scene_of("shuffled", ("B8", "B2", "B3", "B4")))
    assert notes == ("bands used: 4 (B4), 3 (B3), 1 (B8)",)
    assert_array_equal(ordered, shuffled)
    with pytest.raises(DataError, match=r"no band called B8\. The model takes B4, B3, B8; the scene has B2"):
        plan_scene(predictor, scene_of("missing", ("B2", "B3", "B4")), SceneOptions())
    with pytest.raises(DataError, match="2 bands; the model was trained on 3 bands"):
        plan_scene(predictor, scene_of("two", ("x", "y")), SceneOptions())
    with pytest.raises(DataError, match="uint8 values; the model was trained on uint16"):
        plan_scene(predictor, scene_of("bytes", ("B4", "B3", "B8"), "uint8"), SceneOptions())
    other = scene_of("other", ("x", "y", "z"))
    assert "by position" in plan_scene(predictor, other, SceneOptions()).notes[0]
    with pytest.raises(DataError, match="--strict refuses"):
        plan_scene(predictor, other, SceneOptions(strict=True))


def test_a_scene_cut_in_the_middle_keeps_what_was_done(tmp_path: Path, predictor: Predictor) -> None:
    scene = tmp_path / "scene.tif"
    write_raster(scene, np.random.default_rng(0).integers(1, 255, (3, 400, 300), dtype=np.uint8), HALF_METRE)
    whole = scene.read_bytes()
    scene.write_bytes(whole[: len(whole) * 4 // 5])
    with pytest.raises(RasterError, match=r"scene\.tif: damaged or cut"):
        plan_scene(predictor, scene, SceneOptions())
    options = SceneOptions(part_rows=1, black_is_data=True)
    with pytest.raises(RasterError, match=r"scene\.tif: damaged or cut.*finished parts of scene\.tif stay"):
        predict_scene(predictor, scene, tmp_path / "out.tif", options)
    assert not (tmp_path / "out.tif").exists()
    assert list((tmp_path / ".out.parts").glob("part_*_classes.tif"))
    assert not list((tmp_path / ".out.parts").glob(".*"))


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_work_goes_on_later(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("no limit on the size of files here")
    scene = write_scene(tmp_path / "scene.tif", blobs(400, 300))
    model = small_model(tmp_path / "m.safetensors")
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]));"
        "from flexunet.cli import main; main()"
    )
    arguments = ["predict", str(model), str(scene), "--out", str(tmp_path / "out")]
    arguments += ["--probability", "--precision", "32"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert "the same command goes on from there" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "out" / "scene.tif").exists()
    predictor = Predictor.from_file(model, device="cpu", precision="32")
    options = SceneOptions(probability=(1, 2))
    result = predict_scene(predictor, scene, tmp_path / "out" / "scene.tif", options)
    assert result.notes[-1] == "continued from the parts of an earlier attempt"
    assert_array_equal(classes_in(result.class_map), predictor(scene))


@pytest.mark.slow
def test_after_kill_9_the_same_command_goes_on(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(2000, 300))
    model = small_model(tmp_path / "m.safetensors")
    program = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from flexunet.prediction import Predictor\n"
        "from flexunet.prediction.scenes import SceneOptions, predict_scene\n"
        "p = Predictor.from_file(sys.argv[1], device='cpu', precision='32')\n"
        "predict_scene(p, Path(sys.argv[2]), Path(sys.argv[3]), "
        "SceneOptions(part_rows=1, confidence='margin'))\n"
    )
    out = tmp_path / "out.tif"
    command = [sys.executable, "-c", program, str(model), str(scene), str(out)]
    kills, rng = 0, np.random.default_rng(4)
    for _ in range(3):
        process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        parts = len(list((tmp_path / ".out.parts").glob("part_*_classes.tif")))
        while process.poll() is None:
            if len(list((tmp_path / ".out.parts").glob("part_*_classes.tif"))) > parts + 4 and kills < 2:
                time.sleep(rng.uniform(0, 0.1))
                process.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
                break
            time.sleep(0.005)
        if process.wait() == 0:
            break
        kills += 1
    else:
        pytest.fail("it never came to an end")
    assert kills >= 1
    assert_array_equal(classes_in(out), small_predictor()(scene))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m.safetensors", "out.tif", "out.tif.aux.xml", "out_confidence.tif", "scene.tif"
    ]  # fmt: skip
