"""Models trained by the reference compute the same probabilities here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from flexunet.config.schema import Activation
from flexunet.errors import ModelFileError
from flexunet.nets import FlexUNet, ResUNet, load_keras_weights, probabilities
from shared_data import SHARED, needs_shared

DATA = Path(__file__).parents[1] / "data" / "nets"
TRAINED = SHARED / "data" / "tensorflow-flexunet"


def network_a(**changes: Any) -> FlexUNet:
    values: dict[str, Any] = {"num_classes": 2, "base_filters": 8, "base_kernels": (5, 5), "num_layers": 4}
    return FlexUNet(3, **values | changes).eval()


def network_b(dilation: int = 2, activation: Activation = "relu") -> FlexUNet:
    return FlexUNet(3, 4, 8, (7, 7), 5, 0.05, dilation, True, activation).eval()


def difference(network: FlexUNet, inputs: Any, outputs: Any) -> float:
    """Largest difference to the reference's probabilities; the class decisions are asserted to be its own."""
    images = torch.from_numpy(inputs.astype(np.float32)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        ours = probabilities(network(images)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(ours.argmax(-1), outputs.argmax(-1))
    return float(np.abs(ours - outputs).max())


def test_a_small_trained_model_gives_the_reference_probabilities() -> None:
    network = network_a()
    told = load_keras_weights(DATA / "A_weights_only.h5", network)
    assert told.divides_by_255
    assert told.keras_version == "2.10.0"
    with np.load(DATA / "A_io.npz") as io:
        assert difference(network, io["inputs"], io["outputs"]) < 1e-5


@needs_shared
@pytest.mark.parametrize("file", ["best_model.h5", "weights_only.h5"])
@pytest.mark.parametrize("which", ["A", "B"])
def test_both_trained_models_give_the_reference_probabilities(which: str, file: str) -> None:
    network = network_a() if which == "A" else network_b()
    told = load_keras_weights(TRAINED / which / file, network)
    size = (128, 128, 3) if which == "A" else (96, 128, 3)
    assert told.input_hwc == (size if file == "best_model.h5" else None)
    with np.load(TRAINED / which / "io.npz") as io:
        assert difference(network, io["inputs"], io["outputs"]) < 1e-5


def test_names_that_count_on_and_are_text_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "renamed.h5"
    with h5py.File(DATA / "A_weights_only.h5") as old, h5py.File(path, "w") as new:
        names = [name.decode() if isinstance(name, bytes) else name for name in old.attrs["layer_names"]]
        # 30 networks later: conv2d_10 sorts before conv2d_9, and names are text instead of bytes
        renamed = {name: f"{name.rstrip('0123456789').rstrip('_')}_{97 - i}" for i, name in enumerate(names)}
        for part in (0, 1):  # long lists are split over two attributes
            chunk = [renamed[name] for name in names][part * 9 : 9 if part == 0 else None]
            new.attrs.create(f"layer_names{part}", chunk, dtype=h5py.string_dtype())
        for name in names:
            group = new.create_group(renamed[name])
            weights = [
                str(w.decode() if isinstance(w, bytes) else w) for w in old[name].attrs["weight_names"]
            ]
            group.attrs.create("weight_names", weights, dtype=h5py.string_dtype())
            for weight in weights:
                group[weight] = old[name][weight][()].astype(np.float64)
    network, expected = network_a(), network_a()
    load_keras_weights(path, network)
    load_keras_weights(DATA / "A_weights_only.h5", expected)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_another_width_is_reported_layer_by_layer() -> None:
    network = network_a(base_filters=4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ModelFileError) as caught:
        load_keras_weights(DATA / "A_weights_only.h5", network)
    text = str(caught.value)
    assert "layer conv2d: kernel has shape (5, 5, 3, 8), the config's network has (5, 5, 3, 4) there" in text
    assert "(encoder.0.conv1)" in text
    assert "more" in text
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_another_depth_is_told_in_the_words_of_the_config() -> None:
    for network in (network_a(num_layers=5), network_a(normalization=True)):
        with pytest.raises(
            ModelFileError, match=r"holds .*num_layers 4, base_kernels \(5, 5\), base_filters 8"
        ):
            load_keras_weights(DATA / "A_weights_only.h5", network)


@needs_shared
def test_settings_that_shapes_do_not_show_are_checked_in_a_full_model() -> None:
    path = TRAINED / "B" / "best_model.h5"
    with pytest.raises(
        ModelFileError, match=r"layer conv2d: dilation_rate is \[2, 2\], the config says \[1, 1\]"
    ):
        load_keras_weights(path, network_b(dilation=1))
    with pytest.raises(ModelFileError, match=r"activation is relu, the config says mish"):
        load_keras_weights(path, network_b(activation="mish"))


@needs_shared
def test_stored_code_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    shutil.copy(TRAINED / "A" / "best_model.h5", path)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (layer,) = (item for item in config["config"]["layers"] if item["class_name"] == "Lambda")
        layer["config"]["function"] = ["this is not bytecode", None, None]
        file.attrs["model_config"] = json.dumps(config)
    assert load_keras_weights(path, network_a()).divides_by_255


def test_files_that_are_something_else_are_told_apart(tmp_path: Path) -> None:
    network = network_a()
    with pytest.raises(ModelFileError, match="no such file"):
        load_keras_weights(tmp_path / "none.h5", network)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ModelFileError, match="not an HDF5 file"):
        load_keras_weights(tmp_path / "text.h5", network)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(ModelFileError, match="Keras 3"):
        load_keras_weights(tmp_path / "other.h5", network)
    with pytest.raises(ModelFileError, match="not ResUNet"):
        load_keras_weights(DATA / "A_weights_only.h5", ResUNet(3, 2, (4, 8), (1,)))


def test_layer_names_that_are_no_text_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "flipped.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"conv2d\xff"])
    with pytest.raises(ModelFileError, match=r"flipped\.h5: damaged or incomplete"):
        load_keras_weights(path, network_a())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, share: float) -> None:
    content = (DATA / "A_weights_only.h5").read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelFileError, match=r"cut\.h5: damaged or incomplete"):
        load_keras_weights(path, network_a())
