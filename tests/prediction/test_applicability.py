"""What is like the training pictures is told from what is not, in pictures, scenes and polygons alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.config.schema import EncoderUNetConfig, FlexUNetConfig, ModelConfig, ResUNetConfig
from flexunet.errors import ConfigError, OutputExistsError
from flexunet.evaluation.applicability import applicability_from
from flexunet.modelfile import Applicability, Calibration, load_model, save_ensemble
from flexunet.modelfile.record import parse_record
from flexunet.nets import FeatureTap, build_network, has_features
from flexunet.prediction import Predictor, Unsure, predict_files
from flexunet.prediction.scenes import SceneOptions, plan_scene, predict_scene
from flexunet.prediction.unsure import is_unsure, with_unsure
from flexunet.raster import Grid, Picture, open_raster, write_png
from small_scenes import CLASSES, blobs, classes_in, small_model, small_predictor, small_record, write_scene


def picture(seed: int, height: int = 32, width: int = 32) -> Picture:
    return Picture(blobs(height, width, seed=seed), np.ones((height, width), np.bool_), Grid())


def familiar_record() -> Any:
    """A record that knows forty blobs, and twenty held out."""
    plain = small_predictor()
    train = np.concatenate(list(plain.features(picture(seed) for seed in range(40))))
    held_out = np.concatenate(list(plain.features(picture(seed) for seed in range(100, 120))))
    found = applicability_from(train, held_out, [str(i) for i in range(20)], {"images": 20})
    return small_record().model_copy(update={"applicability": found})


RECORD = familiar_record()
NOISE = np.random.default_rng(0).integers(0, 2, (3, 32, 32), np.uint8) * np.uint8(255)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return small_predictor(RECORD)


def test_pictures_like_those_of_training_are_told_from_others(predictor: Predictor) -> None:
    like = [predictor.applicability(picture(seed)) for seed in range(200, 215)]
    assert 0.25 < np.mean(like) < 0.75
    assert np.mean(np.array(like) <= 0.05) < 0.3
    assert predictor.applicability(NOISE.transpose(1, 2, 0)) == 0.0


def test_it_is_the_share_of_held_out_pictures_at_least_as_far(predictor: Predictor) -> None:
    known = predictor.require_familiar()
    held_out = [picture(seed) for seed in range(100, 120)]
    distances = [made.distance for made in predictor.predict(held_out)]
    for made in predictor.predict([picture(seed) for seed in range(300, 306)]):
        assert made.distance is not None
        share = np.mean([other >= made.distance for other in distances])  # type: ignore[operator]
        assert made.applicability == pytest.approx(share)
    assert known.value(max(d for d in distances if d is not None) * 1.01) == 0


def test_batches_turns_and_tiles_change_nothing_else(predictor: Predictor) -> None:
    plain = small_predictor()
    pictures = [picture(seed, 32, 40) for seed in range(2)]
    for tta in (False, True):
        with_it = list(predictor.predict(pictures, tta=tta, keep_probabilities=True))
        without = plain.with_settings(batch_size=1).predict(pictures, tta=tta, keep_probabilities=True)
        for made, expected in zip(with_it, without, strict=True):
            assert_array_equal(made.labels, expected.labels)
            assert_array_equal(made.probabilities, expected.probabilities)
            assert expected.distance is None
    once = [made.distance for made in predictor.predict(pictures, tta=False)]
    assert [made.distance for made in predictor.predict(pictures, tta=True)] == once


def test_pixels_without_data_do_not_count(predictor: Predictor) -> None:
    whole = picture(5)
    valid = np.ones((32, 32), np.bool_)
    valid[:, 28:] = False
    cut = Picture(np.where(valid, whole.pixels, np.uint8(0)), valid, Grid())
    black = Picture(cut.pixels, np.ones((32, 32), np.bool_), Grid())
    far = {name: next(iter(predictor.predict([shown]))).distance for name, shown in
           (("whole", whole), ("cut", cut), ("black", black))}  # fmt: skip
    assert abs(far["cut"] - far["whole"]) < abs(far["black"] - far["whole"])  # type: ignore[operator]
    nothing = Picture(cut.pixels, np.zeros((32, 32), np.bool_), Grid())
    assert np.isfinite(next(iter(predictor.predict([nothing]))).distance)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        FlexUNetConfig(base_filters=2, num_layers=3),
        ResUNetConfig(widths=(4, 6, 8), depths=(1, 1)),
        EncoderUNetConfig(weights="random", decoder_widths=(8, 8)),
    ],
    ids=lambda config: config.architecture,
)
def test_every_network_has_features_of_its_last_but_one_map(config: ModelConfig) -> None:
    network = build_network(config, 3, 2).eval()
    assert has_features(network)
    images = torch.randn(2, 3, 64, 96)
    before = dict(network.state_dict())
    with torch.inference_mode(), FeatureTap(network) as tap:
        logits = network(images)
        both = tap.take(images)
    with torch.inference_mode(), FeatureTap(network) as tap:
        assert_allclose(network(images[:1]), logits[:1], atol=1e-5)
        alone = tap.take(images[:1])
    assert_allclose(alone, both[:1], atol=1e-5)
    assert both.shape[0] == 2
    assert network.state_dict().keys() == before.keys()
    assert not has_features(torch.nn.Conv2d(3, 2, 1))


def test_the_file_keeps_it_and_older_files_have_none(tmp_path: Path, predictor: Predictor) -> None:
    path = small_model(tmp_path / "model.safetensors", RECORD)
    assert load_model(path).record.applicability == RECORD.applicability
    again = Predictor.from_file(path, device="cpu", precision="32")
    assert again.applicability(picture(7)) == predictor.applicability(picture(7))
    old = json.loads(RECORD.model_dump_json())
    old["version"] = 4
    del old["applicability"]
    assert parse_record(json.dumps(old)).applicability is None
    other = small_model(tmp_path / "other.safetensors", seed=9)
    save_ensemble(tmp_path / "both.safetensors", [path, other])
    both = Predictor.from_file(tmp_path / "both.safetensors", device="cpu", precision="32")
    assert both.applicability(picture(7)) == pytest.approx(predictor.applicability(picture(7)), abs=0.051)
    together = Predictor.ensemble([again, Predictor.from_file(other, device="cpu", precision="32")])
    assert together.applicability(picture(7)) == predictor.applicability(picture(7))
    with pytest.raises(ConfigError, match="--calibrate"):
        small_predictor().applicability(picture(7))
    with pytest.raises(ValueError, match="centre has 6 numbers"):
        Applicability(**{**RECORD.applicability.model_dump(), "channels": 5})


def test_unsure_is_what_is_hardly_decided_or_far() -> None:
    labels = np.array([[1, 0, 1]], np.uint8)
    probabilities = np.array([[[0.1, 0.45, 0.3]], [[0.9, 0.55, 0.7]]], np.float32)
    near = np.array([[0.5, 0.5, 0.04]], np.float32)
    assert is_unsure(labels, probabilities, near, Unsure(0.05, 0.05)).tolist() == [[False, True, True]]
    assert is_unsure(labels, probabilities, near, Unsure(0.05, 0)).tolist() == [[False, False, True]]
    assert is_unsure(labels, probabilities, None, Unsure(0.05, 0.5)).tolist() == [[False, True, True]]
    assert with_unsure(CLASSES).names == (*CLASSES.names, "unsure")
    with pytest.raises(ConfigError, match="cannot add another"):
        with_unsure(with_unsure(CLASSES))
    for text in ("1", "-0.1", "a", "0.1,0.2,0.3", "nan"):
        with pytest.raises(ConfigError, match="one level from 0"):
            Unsure.parse(text)


def test_pictures_get_rows_notes_and_the_class(tmp_path: Path, predictor: Predictor) -> None:
    write_png(tmp_path / "in" / "near.png", picture(8).pixels.transpose(1, 2, 0))
    write_png(tmp_path / "in" / "far.png", NOISE.transpose(1, 2, 0))
    out, images = tmp_path / "out", [tmp_path / "in" / "near.png", tmp_path / "in" / "far.png"]
    sure = predictor.with_unsure(Unsure(0.05, 0))
    report = predict_files(sure, images[:1], out, overlay=True)
    report = predict_files(sure, images[1:], out, overlay=True)
    assert any("1 of 1 images lie as far" in note for note in report.notes)
    table = (out / "predictions.csv").read_text(encoding="utf-8").splitlines()
    rows = {row["classes"]: row for row in csv.DictReader(table)}
    assert rows["far.png"]["far"] == "1"
    assert rows["near.png"]["far"] == "0"
    assert float(rows["far.png"]["share_unsure"]) == 1
    assert set(np.unique(sure(images[1]))) == {3}
    (out / "near.png").unlink()
    with pytest.raises(OutputExistsError, match="other columns"):
        predict_files(predictor, images[:1], out)


def test_a_scene_gets_a_raster_a_line_and_attributes(tmp_path: Path) -> None:
    pixels = blobs(64, 128)
    pixels[:, :, 72:] = np.random.default_rng(1).integers(0, 2, (3, 64, 56), np.uint8) * 254 + 1
    scene = write_scene(tmp_path / "scene.tif", pixels)
    model = small_model(tmp_path / "model.safetensors", RECORD.model_copy(
        update={"calibration": Calibration(temperature=1.3)}))  # fmt: skip
    arguments = ["predict", str(model), str(scene), "--out", str(tmp_path / "out"), "--unsure", "0.05,0"]
    found = CliRunner().invoke(
        app, [*arguments, "--probability", "--polygons", "geojson", "--device", "cpu", "--precision", "32"]
    )
    assert found.exit_code == 0, found.output
    assert "applicability: mean" in found.output
    with open_raster(tmp_path / "out" / "scene_applicability.tif") as raster:
        share = raster.read()[0] / 254
    assert share[:, 104:].max() <= 0.05
    assert share[:, :48].mean() > 0.2
    labels = classes_in(tmp_path / "out" / "scene.tif")
    assert (labels[:, 104:] == 3).all()
    assert_array_equal(labels == 3, share < 0.05)
    features = json.loads((tmp_path / "out" / "scene_polygons.geojson").read_text(encoding="utf-8"))
    told = [feature["properties"] for feature in features["features"]]
    assert {"unsure"} < {row["class"] for row in told}
    for row in told:
        assert row["appl_min"] <= row["appl_mean"] + 1e-9
        assert (row["appl_min"] < 0.05) == (row["class"] == "unsure")


def test_a_scene_and_a_picture_say_the_same_and_parts_do_not_matter(
    tmp_path: Path, predictor: Predictor
) -> None:
    scene = write_scene(tmp_path / "scene.tif", blobs(90, 70))
    sure = predictor.with_unsure(Unsure(max(predictor.applicability(scene), 0.06), 0))
    expected = sure(scene)
    assert 0 < np.mean(expected == 3) < 1
    for number, rows in enumerate((None, 1)):
        options = SceneOptions(part_rows=rows, applicability=True)
        result = predict_scene(sure, scene, tmp_path / f"{number}.tif", options)
        assert_array_equal(classes_in(result.class_map), expected)
        assert result.applicability is not None
    with pytest.raises(ConfigError, match="--calibrate"):
        plan_scene(small_predictor(), scene, SceneOptions(applicability=True))
