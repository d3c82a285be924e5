"""`flexunet inspect` answers for model files and configs of both dialects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config.schema import FlexUNetConfig
from flexunet.errors import ConfigError, ModelFileError, OutputExistsError
from flexunet.modelfile import InputRecord, ModelRecord, save_model
from flexunet.nets import build_network

DATA = Path(__file__).parents[1] / "data" / "nets"


def inspect(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_reference_config_is_shown_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "u.png"
    text = inspect(DATA / "A_train_eval_infer.config", "--picture", picture)
    assert "parameters       125,314" in text
    assert "encoder.0.conv1    convolution 5x5" in text
    drawn = picture.read_bytes()
    assert len(drawn) > 1000
    with pytest.raises(OutputExistsError, match=r"u\.png is there already\. Use --overwrite"):
        inspect(DATA / "A_train_eval_infer.config", "--picture", picture)
    assert picture.read_bytes() == drawn
    inspect(DATA / "A_train_eval_infer.config", "--picture", picture, "--overwrite")


def test_a_model_file_also_tells_its_classes_and_bands(tmp_path: Path) -> None:
    record = ModelRecord(
        model=FlexUNetConfig(base_filters=2, num_layers=2),
        classes=Classes(names=("ground", "scar"), colours=((0, 0, 0), (255, 255, 0))),
        bands=Bands(names=("red", "nir"), mean=(0.5, 1), std=(2, 3)),
        data=InputRecord(size=(32, 64)),
        scores={"test iou": 0.71},
    )
    save_model(tmp_path / "m.safetensors", build_network(record.model, 2, 2), record)
    text = inspect(tmp_path / "m.safetensors", "--batch", "3")
    for expected in ("1 scar (255, 255, 0)", "red, nir", "32 x 64", "2 x 32 x 64", "0.71", "batch 3"):
        assert expected in text
    assert "2 x 10 x 20" in inspect(tmp_path / "m.safetensors", "--size", "10x20")


def test_what_cannot_be_shown_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected height x width"):
        inspect(DATA / "A_train_eval_infer.config", "--size", "large")
    with pytest.raises(ModelFileError, match="flexunet convert A_weights_only"):
        inspect(DATA / "A_weights_only.h5")
    with pytest.raises(ModelFileError, match="no such model file"):
        inspect(tmp_path / "none.safetensors")


def test_an_error_is_one_line_and_exit_code_2() -> None:
    command = [sys.executable, "-m", "flexunet", "inspect", str(DATA / "A_weights_only.h5")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
