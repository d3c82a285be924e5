"""A model of the reference becomes a model file that needs nothing beside it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from flexunet.errors import ModelFileError, OutputExistsError
from flexunet.modelfile import convert_keras_model, load_model
from flexunet.nets import probabilities
from flexunet.prediction import Predictor
from shared_data import SHARED, needs_shared

DATA = Path(__file__).parents[1] / "data" / "nets"
TRAINED = SHARED / "data" / "tensorflow-flexunet"


def difference(model_file: Path, io_file: Path) -> float:
    """From raw pixels to probabilities by the record alone; class decisions are asserted to be equal."""
    model = load_model(model_file)
    with np.load(io_file) as io:
        inputs, outputs = io["inputs"].astype(np.uint8), io["outputs"]
    batch = np.stack([model.record.bands.normalise(image.transpose(2, 0, 1)) for image in inputs])
    with torch.no_grad():
        ours = probabilities(model.network(torch.from_numpy(batch))).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(ours.argmax(-1), outputs.argmax(-1))
    return float(np.abs(ours - outputs).max())


def test_a_converted_model_gives_the_reference_probabilities(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    convert_keras_model(DATA / "A_weights_only.h5", DATA / "A_train_eval_infer.config", target)
    assert difference(target, DATA / "A_io.npz") < 1e-5
    record = load_model(target).record
    assert record.data.size == (128, 128)
    assert record.data.sizing == "resize"
    assert record.classes.colours[0] == (0, 0, 0)
    assert record.bands.names == ("red", "green", "blue")
    assert record.bands.std == (255, 255, 255)


@needs_shared
@pytest.mark.parametrize("which", ["A", "B"])
def test_both_trained_models_convert(tmp_path: Path, which: str) -> None:
    target = tmp_path / "model.safetensors"
    folder = TRAINED / which
    convert_keras_model(folder / "best_model.h5", folder / "train_eval_infer.config", target)
    assert difference(target, folder / "io.npz") < 1e-5
    assert load_model(target).record.data.size == ((128, 128) if which == "A" else (96, 128))


@pytest.fixture
def config_text() -> str:
    return (DATA / "A_train_eval_infer.config").read_text(encoding="utf-8")


def test_a_scaling_that_differs_from_the_file_is_refused(tmp_path: Path, config_text: str) -> None:
    changed = re.sub(r"input_normalize\s*=\s*True", "input_normalize = False", config_text)
    assert changed != config_text
    (tmp_path / "c.config").write_text(changed, encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"divides the input by 255.*Set input_normalize = True"):
        convert_keras_model(DATA / "A_weights_only.h5", tmp_path / "c.config", tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


@needs_shared
def test_the_size_in_the_file_counts(tmp_path: Path, config_text: str) -> None:
    changed = re.sub(r"image_width\s*=\s*128", "image_width = 256", config_text)
    assert changed != config_text
    (tmp_path / "c.config").write_text(changed, encoding="utf-8")
    notes = convert_keras_model(
        TRAINED / "A" / "best_model.h5", tmp_path / "c.config", tmp_path / "m.safetensors"
    )
    assert any("trained at 128 x 128, the config says 128 x 256" in note for note in notes)
    assert load_model(tmp_path / "m.safetensors").record.data.size == (128, 128)


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.write_text("mine")
    arguments = DATA / "A_weights_only.h5", DATA / "A_train_eval_infer.config", target
    with pytest.raises(OutputExistsError, match="--overwrite"):
        convert_keras_model(*arguments)
    assert target.read_text() == "mine"
    convert_keras_model(*arguments, overwrite=True)
    assert load_model(target).record.training["framework"] == "Keras 2.10.0"


def test_prediction_with_a_converted_model_needs_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    convert_keras_model(DATA / "A_weights_only.h5", DATA / "A_train_eval_infer.config", target)
    predictor = Predictor.from_file(target)
    with np.load(DATA / "A_io.npz") as io:
        image, expected = io["inputs"][0].astype(np.uint8), io["outputs"][0]
    np.testing.assert_allclose(predictor.probabilities(image), expected.transpose(2, 0, 1), atol=1e-5)
    np.testing.assert_array_equal(predictor(image), expected.argmax(-1))
