"""A scene gives the same classes whole, in parts, in any batch, resumed or computed elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, sampled_from
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.classes import IGNORE_INDEX
from flexunet.errors import ConfigError, DataError, OutputExistsError
from flexunet.modelfile import Calibration
from flexunet.prediction import Predictor
from flexunet.prediction.scenes import (
    SceneFiles,
    SceneOptions,
    compute_missing,
    compute_parts,
    finish_scene,
    open_workbench,
    parse_bytes,
    plan_scene,
    predict_scene,
    results_of,
)
from flexunet.prediction.scenes.forecast import duration, forecast, size
from flexunet.prediction.scenes.plan import cut_parts
from flexunet.raster import Grid
from small_scenes import (
    CLASSES,
    HALF_METRE,
    blobs,
    classes_in,
    small_model,
    small_predictor,
    small_record,
    write_scene,
)

ALL = SceneOptions(probability=(1, 2), confidence="margin", overwrite=True)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif", blobs(151, 117))


def test_whole_parts_panels_batches_and_order_give_the_same_classes(
    tmp_path: Path, predictor: Predictor, scene: Path
) -> None:
    expected = predictor(scene)
    assert len(np.unique(expected)) == 3
    for number, (rows, batch) in enumerate([(None, 8), (1, 1), (2, 3), (5, 16)]):
        result = predict_scene(
            predictor.with_settings(batch_size=batch),
            scene,
            tmp_path / f"{number}.tif",
            SceneOptions(part_rows=rows),
        )
        assert_array_equal(classes_in(result.class_map), expected)
    job = plan_scene(predictor, scene, SceneOptions())
    job = job.with_parts(cut_parts(job.plan.grid, job.plan.shape, 2, 2))
    assert len({part.col for part in job.plan.parts}) > 1
    bench = open_workbench(job, tmp_path / "panels.tif")
    for index in reversed(bench.missing()):
        compute_parts(job, predictor, [index], bench.folder)
    assert bench.missing() == []
    finish_scene(bench, tmp_path / "panels.tif")
    assert_array_equal(classes_in(tmp_path / "panels.tif"), expected)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=integers(1, 90), width=integers(1, 90), rows=integers(1, 4), cols=integers(1, 4),
    metres=sampled_from([0.5, 0.31, 0.9]),
)  # fmt: skip
def test_parts_of_any_cut_and_resolution_agree(
    tmp_path_factory: pytest.TempPathFactory,
    predictor: Predictor,
    height: int,
    width: int,
    rows: int,
    cols: int,
    metres: float,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    scene = write_scene(folder / "scene.tif", blobs(height, width))
    job = plan_scene(predictor, scene, SceneOptions(resolution=(metres, metres)))
    found = []
    for number, (down, across) in enumerate([(10**6, 10**6), (rows, cols)]):
        cut = job.with_parts(cut_parts(job.plan.grid, job.plan.shape, down, across))
        bench = open_workbench(cut, folder / f"{number}.tif")
        compute_missing(bench, predictor)
        found.append(classes_in(finish_scene(bench, folder / f"{number}.tif").class_map))
    assert found[0].shape == (height, width)
    assert_array_equal(found[0], found[1])


def test_the_rasters_say_what_they_hold(tmp_path: Path, predictor: Predictor, scene: Path) -> None:
    result = predict_scene(predictor, scene, tmp_path / "out.tif", ALL)
    assert result.probability is not None
    assert result.confidence is not None
    expected = predictor.probabilities(scene)
    with rasterio.open(result.class_map) as classes:
        assert classes.nodata == IGNORE_INDEX
        assert classes.colormap(1)[1] == (255, 255, 0, 255)
        assert classes.tags()["CLASS_1"] == "landslide"
        assert classes.transform[:6] == HALF_METRE.transform
        assert classes.crs.to_epsg() == 32648
    with rasterio.open(result.probability) as shares:
        assert shares.descriptions == ("probability of landslide", "probability of water")
        assert_allclose(shares.read() * shares.scales[0], expected[1:], atol=0.51 / 254)
    with rasterio.open(result.confidence) as sure:
        ordered = np.sort(expected, axis=0)
        assert_allclose(sure.read(1) * sure.scales[0], ordered[2] - ordered[1], atol=0.51 / 254)
    options = replace(ALL, probability_type="float16", confidence="entropy")
    result = predict_scene(predictor, scene, tmp_path / "half.tif", options)
    assert result.probability is not None
    assert result.confidence is not None
    with rasterio.open(result.probability) as shares:
        assert shares.dtypes == ("float32", "float32")
        assert_array_equal(shares.read(), expected[1:].astype(np.float16).astype(np.float32))
    with rasterio.open(result.confidence) as sure:
        entropy = -(expected * np.log(expected)).sum(0) / np.log(3)
        assert_allclose(sure.read(1), 1 - entropy, atol=1e-3)
    assert not list(tmp_path.glob(".*"))


def test_a_second_call_goes_on_where_the_first_one_died(
    tmp_path: Path, predictor: Predictor, scene: Path
) -> None:
    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if len(list((tmp_path / ".out.parts").glob("part_*_classes.tif"))) >= 2:
            raise Stop

    options = SceneOptions(part_rows=1)
    with pytest.raises(Stop):
        predict_scene(predictor, scene, tmp_path / "out.tif", options, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".out.parts").glob("part_*.tif")}
    assert len(kept) >= 2
    assert not (tmp_path / "out.tif").exists()
    bench = open_workbench(plan_scene(predictor, scene, options), tmp_path / "out.tif")
    assert bench.resumed
    compute_missing(bench, predictor)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    (tmp_path / ".out.tif.0123abcd.part.tif").write_bytes(b"what a kill left while parts were joined")
    # another memory or part size continues the same work
    result = predict_scene(predictor, scene, tmp_path / "out.tif", replace(options, part_rows=3))
    assert "continued from the parts of an earlier attempt" in result.notes
    assert_array_equal(classes_in(result.class_map), predictor(scene))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("there_before", [False, True])
def test_a_kill_right_behind_the_class_map_loses_nothing(
    tmp_path: Path, predictor: Predictor, scene: Path, there_before: bool
) -> None:
    out = tmp_path / "out.tif"
    options = replace(ALL, overwrite=False, part_rows=2)
    if there_before:
        predict_scene(small_predictor(seed=6), scene, out, ALL)
    bench = open_workbench(plan_scene(predictor, scene, replace(options, overwrite=True)), out)
    # as a kill between the last rename and the removal of the parts leaves it
    with results_of(bench, out) as finished:
        compute_missing(bench, predictor, finished=finished)
    assert out.exists()
    assert list(bench.folder.glob("part_*"))
    when = out.stat().st_mtime_ns
    result = predict_scene(predictor, scene, out, options)
    assert "the rasters are those of an earlier attempt" in result.notes
    assert out.stat().st_mtime_ns == when
    assert_array_equal(classes_in(out), predictor(scene))
    assert not list(tmp_path.glob(".*"))


def test_an_older_class_map_is_not_taken_for_the_one_that_was_to_replace_it(
    tmp_path: Path, predictor: Predictor, scene: Path
) -> None:
    out = tmp_path / "out.tif"
    predict_scene(small_predictor(seed=6), scene, out, ALL)
    bench = open_workbench(plan_scene(predictor, scene, ALL), out)
    compute_missing(bench, predictor)
    bench.promise(
        out, SceneFiles.of(out, ALL).rasters.values()
    )  # as a kill right before the last rename leaves it
    with pytest.raises(OutputExistsError, match="--overwrite"):
        predict_scene(predictor, scene, out, replace(ALL, overwrite=False))
    result = predict_scene(predictor, scene, out, ALL)
    assert "continued from the parts of an earlier attempt" in result.notes
    assert_array_equal(classes_in(out), predictor(scene))


def test_parts_of_another_model_scene_or_wish_are_kept_and_the_difference_named(
    tmp_path: Path, predictor: Predictor, scene: Path
) -> None:
    job = plan_scene(predictor, scene, SceneOptions(part_rows=1))
    bench = open_workbench(job, tmp_path / "out.tif")
    compute_parts(job, predictor, [0], bench.folder)
    assert open_workbench(job, tmp_path / "out.tif").resumed
    others = [
        plan_scene(small_predictor(seed=6), scene, SceneOptions(part_rows=1)),
        plan_scene(predictor, scene, SceneOptions(part_rows=1, confidence="margin")),
        plan_scene(predictor.with_settings(tta=True), scene, SceneOptions(part_rows=1)),
        plan_scene(predictor.with_settings(halo=9), scene, SceneOptions(part_rows=1)),
        plan_scene(predictor, write_scene(tmp_path / "scene.tif", blobs(151, 117, seed=1)), SceneOptions()),
    ]
    words = (r"the model \(", r"--confidence \(none before", "--tta", r"the tiles \(", r"the scene \(")
    for other, word in zip(others, words, strict=True):
        with pytest.raises(OutputExistsError, match=f"1 finished part of another job.*{word}.*--overwrite"):
            predict_scene(predictor, scene, tmp_path / "out.tif", other.options, job=other)
        assert len(list(bench.folder.glob("part_*"))) == 1
    allowed = replace(others[0].options, overwrite=True)
    result = predict_scene(
        predictor, scene, tmp_path / "out.tif", allowed, job=replace(others[0], options=allowed)
    )
    assert "replaced 1 finished part of another job" in result.notes


def test_nothing_is_replaced_unasked(tmp_path: Path, predictor: Predictor, scene: Path) -> None:
    predict_scene(predictor, scene, tmp_path / "out.tif")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        predict_scene(predictor, scene, tmp_path / "out.tif")
    predict_scene(predictor, scene, tmp_path / "out.tif", SceneOptions(overwrite=True))


def test_no_data_in_no_data_out_and_tiles_without_data_cost_nothing(tmp_path: Path) -> None:
    pixels = blobs(140, 120)
    pixels[:, :70] = 0
    pixels[:, 100:120, 30:50] = 0
    scene = write_scene(tmp_path / "scene.tif", pixels, nodata=0)
    predictor = small_predictor()
    seen = []
    once = predictor._once
    predictor._once = lambda images: (seen.append(len(images)), once(images))[1]  # type: ignore[func-returns-value]
    result = predict_scene(predictor, scene, tmp_path / "out.tif", ALL)
    found = classes_in(result.class_map)
    missing = (pixels == 0).all(0)
    assert_array_equal(found == IGNORE_INDEX, missing)
    assert sum(seen) < 0.7 * len(plan_scene(predictor, scene, ALL).plan.grid)
    assert_array_equal(found[~missing], predictor(scene)[~missing])
    assert result.probability is not None
    with rasterio.open(result.probability) as shares:
        assert_array_equal(shares.read_masks(1) == 0, missing)


def test_another_ground_resolution_is_resampled_and_said_or_refused(tmp_path: Path, scene: Path) -> None:
    predictor = small_predictor(small_record(ground_resolution=(1.0, 1.0)))
    result = predict_scene(predictor, scene, tmp_path / "out.tif")
    assert any("0.5 m a pixel" in note and "resampled" in note for note in result.notes)
    found = classes_in(result.class_map)
    assert found.shape == (151, 117)
    job = plan_scene(predictor, scene, SceneOptions())
    assert (job.plan.grid.height, job.plan.grid.width) == (76, 58)
    with pytest.raises(DataError, match=r"trained on 1 m.*Without --strict"):
        plan_scene(predictor, scene, SceneOptions(strict=True))
    same = plan_scene(predictor, scene, SceneOptions(strict=True, resolution=(0.51, 0.5)))
    assert not same.plan.resampled
    with pytest.raises(DataError, match="factor beyond"):
        plan_scene(predictor, scene, SceneOptions(resolution=(100.0, 100.0)))
    nowhere = write_scene(tmp_path / "nowhere.tif", blobs(40, 40), Grid())
    assert any("has no ground resolution" in note for note in plan_scene(predictor, nowhere, ALL).notes)


@pytest.mark.parametrize("resolution", [None, 0.37, 0.8])
def test_what_no_tile_of_an_area_sees_need_not_be_read(tmp_path: Path, resolution: float | None) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(300, 260))
    ring = [[400040, 2999940], [400060, 2999930], [400050, 2999910], [400040, 2999940]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32648"}}
    layer = {"type": "FeatureCollection", "crs": crs, "features": [feature]}
    (tmp_path / "aoi.geojson").write_text(json.dumps(layer), "utf-8")
    size = None if resolution is None else (resolution, resolution)
    whole = SceneOptions(resolution=size, part_rows=3)
    predictor = small_predictor()
    everywhere = classes_in(predict_scene(predictor, scene, tmp_path / "all.tif", whole).class_map)
    limited = replace(whole, aoi=tmp_path / "aoi.geojson")
    inside = classes_in(predict_scene(predictor, scene, tmp_path / "some.tif", limited).class_map)
    asked = inside != IGNORE_INDEX
    assert 500 < asked.sum() < 5000
    assert_array_equal(inside[asked], everywhere[asked])


def test_resampling_keeps_things_in_their_place(tmp_path: Path) -> None:
    """A model that sees brightness finds a square where it is, at half and at twice its resolution."""
    pixels = np.full((3, 120, 120), 20, np.uint8)
    pixels[:, 40:81, 30:90] = 220
    scene = write_scene(tmp_path / "scene.tif", pixels)
    predictor = small_predictor()

    def bright(images: object) -> object:
        import torch

        assert isinstance(images, torch.Tensor)
        share = torch.sigmoid(3 * images[:, :1])
        return torch.cat([1 - share, share, torch.zeros_like(share)], 1)

    predictor._once = bright  # type: ignore[assignment]
    for metres in (1.0, 0.25, 0.77):
        options = SceneOptions(resolution=(metres, metres))
        result = predict_scene(predictor, scene, tmp_path / f"{metres}.tif", options)
        wrong = classes_in(result.class_map) != (pixels[0] > 100)
        assert not wrong[44:77, 34:86].any()
        assert wrong.mean() < 0.02


def test_an_ensemble_is_the_mean_of_its_models(tmp_path: Path, scene: Path) -> None:
    brighter = small_record()
    brighter = brighter.model_copy(
        update={"bands": brighter.bands.model_copy(update={"mean": (90.0, 100.0, 110.0)})}
    )
    members = [small_predictor(), small_predictor(brighter, seed=6), small_predictor(seed=7)]
    together = Predictor.ensemble(members)
    expected = np.mean([member.probabilities(scene) for member in members], 0)
    assert_allclose(together.probabilities(scene), expected, atol=1e-6)
    result = predict_scene(together, scene, tmp_path / "out.tif")
    assert_array_equal(classes_in(result.class_map), together(scene))
    other = small_record().model_copy(
        update={"classes": CLASSES.model_copy(update={"names": ("a", "b", "c")})}
    )
    with pytest.raises(ConfigError, match=r"two\.safetensors knows the classes a, b, c"):
        Predictor.ensemble([members[0], small_predictor(other)], ["one.safetensors", "two.safetensors"])


def test_flips_turns_and_calibration_are_those_of_pictures(tmp_path: Path, scene: Path) -> None:
    record = small_record().model_copy(update={"calibration": Calibration(temperature=2.5)})
    predictor = small_predictor(record).with_settings(tta=True)
    result = predict_scene(predictor, scene, tmp_path / "out.tif", ALL)
    assert_array_equal(classes_in(result.class_map), predictor(scene))
    assert result.probability is not None
    with rasterio.open(result.probability) as shares:
        assert_allclose(shares.read() / 254, predictor.probabilities(scene)[1:], atol=0.51 / 254)


def test_memory_is_planned_and_too_little_is_refused(tmp_path: Path, predictor: Predictor) -> None:
    scene = tmp_path / "wide.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 64, "width": 60000}
    with rasterio.open(scene, "w", sparse_ok=True, tiled=True, compress="deflate", **profile):
        pass
    loose = plan_scene(predictor, scene, SceneOptions(black_is_data=True))
    tight = plan_scene(
        predictor, scene, SceneOptions(black_is_data=True, max_memory=loose.expected_bytes - 15_000_000)
    )
    assert len({part.col for part in tight.plan.parts}) > len({part.col for part in loose.plan.parts})
    assert tight.expected_bytes <= loose.expected_bytes - 15_000_000
    with pytest.raises(ConfigError, match="too little for this model"):
        plan_scene(predictor, scene, SceneOptions(max_memory=50_000_000))
    said = str(forecast(loose, predictor, tmp_path / "out.tif"))
    assert "3.8 Mpx in" in said
    assert "B of memory" in said


def test_sizes_and_durations_are_read_and_written_as_people_do() -> None:
    assert parse_bytes("2GB") == 2_000_000_000
    assert parse_bytes("1.5 GiB") == 1.5 * 2**30
    assert parse_bytes("800m") == 800_000_000
    for bad in ("", "two", "2 apples", "-1GB", "0"):
        with pytest.raises(ConfigError, match=r"means nothing|is nothing"):
            parse_bytes(bad)
    assert [duration(s) for s in (40, 720, 12600, 181440)] == ["40 s", "12 min", "3.5 h", "2.1 days"]
    sizes = (210_000, 47_300_000, 999_600_000, 3_210_000_000)
    assert [size(count) for count in sizes] == ["0.2 MB", "47 MB", "1.0 GB", "3.2 GB"]


def test_a_model_file_does_the_same_as_its_network(tmp_path: Path, predictor: Predictor, scene: Path) -> None:
    loaded = Predictor.from_file(small_model(tmp_path / "m.safetensors"), device="cpu", precision="32")
    assert loaded.fingerprint == predictor.fingerprint
    assert small_predictor(seed=6).fingerprint != predictor.fingerprint
