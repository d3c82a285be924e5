"""The calibration in a model file reaches every probability and class, and can be left out."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import FlexUNetConfig
from flexunet.metrics.calibration import scale_probabilities
from flexunet.modelfile import (
    Calibration,
    InputRecord,
    ModelRecord,
    load_model,
    read_record,
    replace_record,
    save_model,
)
from flexunet.nets import build_network
from flexunet.prediction import Predictor

IMAGE = np.random.default_rng(7).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(params=[("no", "landslide"), ("no", "scar", "deposit")], ids=["two classes", "three"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    names = request.param
    config = FlexUNetConfig(base_filters=2, num_layers=2, dropout_rate=0.0)
    record = ModelRecord(
        model=config,
        classes=Classes(names=names, colours=tuple((10 * k, 0, 0) for k in range(len(names)))),
        bands=Bands(names=("red", "green", "blue"), mean=(128.0,) * 3, std=(64.0,) * 3),
        data=InputRecord(size=(32, 32), sizing="crop"),
    )
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", build_network(config, 3, len(names)), record)
    return tmp_path / "model.safetensors"


def calibrated(path: Path, calibration: Calibration) -> Predictor:
    replace_record(path, read_record(path).model_copy(update={"calibration": calibration}))
    return Predictor.from_file(path)


@pytest.mark.parametrize("tiling", ["whole", "tiled"])
def test_the_temperature_scales_every_probability_and_changes_no_class(
    model: Path, tiling: Literal["whole", "tiled"]
) -> None:
    plain = Predictor.from_file(model)
    hot = calibrated(model, Calibration(temperature=2.0))
    before = plain.probabilities(IMAGE, tiling=tiling)
    after = hot.probabilities(IMAGE, tiling=tiling)
    assert_allclose(after, scale_probabilities(before, 2.0), rtol=1e-6)
    assert np.abs(after - before).max() > 0.01
    assert_array_equal(hot(IMAGE, tiling=tiling), plain(IMAGE, tiling=tiling))
    assert_array_equal(hot.uncalibrated().probabilities(IMAGE, tiling=tiling), before)


def test_the_threshold_decides_between_two_classes_on_calibrated_probabilities(model: Path) -> None:
    plain = Predictor.from_file(model)
    share = calibrated(model, Calibration(temperature=0.7)).probabilities(IMAGE)[1]
    threshold = float(np.quantile(share, 0.8))
    strict = calibrated(model, Calibration(temperature=0.7, threshold=threshold))
    labels = strict(IMAGE)
    if len(plain.record.classes) > 2:
        assert_array_equal(labels, plain(IMAGE))
        return
    clear = np.abs(share - threshold) > 1e-6
    assert_array_equal(labels[clear], (share >= threshold)[clear])
    assert (labels != plain(IMAGE)).any()
    assert_array_equal(strict.uncalibrated()(IMAGE), plain(IMAGE))


def test_another_record_leaves_the_weights_as_they_are(model: Path) -> None:
    before = load_model(model).network.state_dict()
    calibrated(model, Calibration(temperature=3.0))
    after = load_model(model)
    assert after.record.calibration == Calibration(temperature=3.0)
    for name, tensor in before.items():
        assert torch.equal(tensor, after.network.state_dict()[name])
