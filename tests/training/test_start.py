"""Training goes on from a trained model: its network, its weights, its view of the bands."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from blob_dataset import write_pairs
from flexunet.cli.app import app
from flexunet.config import Config, dump_toml
from flexunet.errors import ConfigError, ModelFileError
from flexunet.evaluation import evaluate
from flexunet.files import sha256_of
from flexunet.modelfile import learned_from, load_model, read_record, save_ensemble
from flexunet.training import train

RESUNET = {"architecture": "resunet", "widths": (4, 6), "depths": (1,)}


@pytest.fixture
def trained(make_config: Any, tmp_path: Path) -> Path:
    """The model of a run on blobs."""
    return train(elsewhere(make_config(train={"calibrate": False}), tmp_path / "first")).model


def elsewhere(config: Config, folder: Path) -> Config:
    return config.model_copy(update={"output": config.output.model_copy(update={"dir": folder})})


def test_the_first_step_is_taken_from_where_the_other_run_ended(
    make_config: Any, trained: Path, tmp_path: Path
) -> None:
    # Other pictures, of another brightness and so of other statistics; steps too small to change a weight
    write_pairs(tmp_path / "dark" / "train", 4, seed=7)
    write_pairs(tmp_path / "dark" / "valid", 2, seed=8)
    still = {"start_from": trained, "learning_rate": 1e-12, "epochs": 1, "ema": 0.0, "calibrate": False}
    run = train(make_config(data={"root": tmp_path / "dark"}, model=RESUNET, train=still))
    before, after = load_model(trained), load_model(run.model)
    assert after.record.model == before.record.model
    assert (after.record.bands.mean, after.record.bands.std) == (
        before.record.bands.mean,
        before.record.bands.std,
    )
    for name, weight in before.network.state_dict().items():
        torch.testing.assert_close(after.network.state_dict()[name], weight, atol=1e-6, rtol=0)


def test_the_command_takes_the_folder_of_a_run_and_the_model_file_says_so(
    make_config: Any, trained: Path, tmp_path: Path
) -> None:
    config = make_config(model=RESUNET, train={"epochs": 1, "calibrate": False})
    (tmp_path / "other.toml").write_text(dump_toml(config), encoding="utf-8")
    command = ["train", str(tmp_path / "other.toml"), "--start-from", str(trained.parent)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = read_record(config.output.dir / "model.safetensors")
    assert record.training["start_from"]["sha256"] == sha256_of(trained)
    assert str(tmp_path) not in record.model_dump_json()


def test_it_learns_in_one_epoch_what_takes_several(make_config: Any, trained: Path) -> None:
    settings = {"epochs": 1, "calibrate": False, "ema": 0.0, "learning_rate": 1e-3}
    fresh = train(make_config(train=settings)).scores["val_loss"]
    config = elsewhere(
        make_config(train={**settings, "start_from": trained}), trained.parent.parent / "second"
    )
    went_on = train(config).scores["val_loss"]
    assert fresh is not None
    assert went_on is not None
    assert went_on < fresh


def test_what_does_not_fit_is_refused_before_anything_is_written(
    make_config: Any, trained: Path, tmp_path: Path
) -> None:
    ensemble = tmp_path / "e.safetensors"
    save_ensemble(ensemble, [trained, trained])
    other = [{"name": "ground", "colour": (0, 0, 0)}, {"name": "water", "colour": (255, 255, 255)}]
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"train": {"start_from": ensemble}}, ConfigError, r"is an ensemble of 2.*a member's file"),
        ({"train": {"start_from": trained}, "data": {"classes": other}}, ConfigError, r"knows the classes g"),
        ({"train": {"start_from": tmp_path / "no.safetensors"}}, ModelFileError, r"no\.safetensors"),
    ]  # fmt: skip
    for sections, error, words in wrong:
        with pytest.raises(error, match=words):
            train(make_config(**sections))
    assert not (tmp_path / "run").exists()
    named = make_config(train={"start_from": trained}, data={"band_names": ["red", "green", "nir"]})
    with pytest.raises(ConfigError, match=r"takes the bands .*red, green, nir.*data\.band_names"):
        train(named)


def test_no_leak_is_denied_that_the_first_model_brought_along(
    make_config: Any, trained: Path, tmp_path: Path
) -> None:
    first = make_config()
    assert first.data.root is not None
    for split, origin in (("train", "valid"), ("valid", "valid"), ("test", "train")):
        shutil.copytree(first.data.root / origin, tmp_path / "turned" / split)
    config = make_config(
        data={"root": tmp_path / "turned"}, train={"start_from": trained, "epochs": 1, "calibrate": False}
    )
    model = train(config).model
    assert set(learned_from(read_record(model)) or ()) == {
        read_record(trained).fingerprint,
        read_record(model).fingerprint,
    }

    leak = evaluate(model, config.data, "test").scores["leakage"]
    assert leak["status"] == "leak"
    assert leak["text"].startswith(
        "LEAK: the model that it started from, model.safetensors, was trained on these"
    )

    noise = np.random.default_rng(9)
    for path in (tmp_path / "turned" / "test" / "images").iterdir():
        Image.fromarray(noise.integers(0, 256, np.asarray(Image.open(path)).shape, np.uint8)).save(path)
    clean = evaluate(model, config.data, "test").scores["leakage"]
    assert clean["status"] == "none found"
    assert "Not compared: what the model that it started from (model.safetensors) saw." in clean["text"]


def test_a_run_does_not_write_over_the_model_that_it_starts_or_learns_from(
    make_config: Any, trained: Path
) -> None:
    for part in ("start_from", "teacher"):
        config = elsewhere(make_config(train={part: trained, "calibrate": False}), trained.parent)
        before = trained.read_bytes()
        with pytest.raises(ConfigError, match=r"lies where this run writes its own.*output\.dir"):
            train(config, overwrite=True)
        assert trained.read_bytes() == before


def test_a_run_goes_on_where_the_model_that_it_started_from_has_been_moved(
    make_config: Any, trained: Path, tmp_path: Path
) -> None:
    settings = {"calibrate": False, "schedule": "constant"}
    train(make_config(model=RESUNET, train={**settings, "start_from": trained, "epochs": 1}))
    moved = tmp_path / "moved.safetensors"
    shutil.copy(trained, moved)
    trained.unlink()
    more = make_config(model=RESUNET, train={**settings, "start_from": moved, "epochs": 2})
    assert len(train(more, resume=True).rows) == 2
    another = train(elsewhere(make_config(train={"calibrate": False, "seed": 7}), tmp_path / "another")).model
    with pytest.raises(ConfigError, match=r"train\.start_from"):
        train(make_config(model=RESUNET, train={**settings, "start_from": another, "epochs": 2}), resume=True)
