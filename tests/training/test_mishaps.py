"""What is only to be looked at never ends a run: locked logs, damaged pictures; models and state do."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flexunet.errors import TrainingError
from flexunet.training import train
from moments import when_logged


def pictures(folder: Path) -> Path:
    """A sound picture, one cut off in the middle, one with an empty file."""
    folder.mkdir()
    noise = np.random.default_rng(3).integers(0, 255, (32, 32, 3), np.uint8)
    content = cv2.imencode(".png", noise)[1].tobytes()
    (folder / "good.png").write_bytes(content)
    (folder / "torn.png").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    return folder


def in_the_way(path: Path) -> Callable[[], None]:
    """Makes a file impossible to replace, as one that is open in Excel on Windows."""

    def make() -> None:
        path.unlink(missing_ok=True)
        (path / "locked").mkdir(parents=True)

    return make


def clear(path: Path) -> Callable[[], None]:
    def remove() -> None:
        (path / "locked").rmdir()
        path.rmdir()

    return remove


def test_damaged_epoch_pictures_are_said_once_and_left_out(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section = {"epoch_pictures": 6, "epoch_pictures_images": pictures(tmp_path / "shown")}
    result = train(make_config(train=section))
    assert len(result.rows) == 3
    names = {path.name for path in (result.dir / "epoch_pictures").iterdir()}
    assert names == {f"Epoch_{epoch}_good.png" for epoch in (1, 2, 3)}
    for name in ("torn.png", "empty.png"):
        assert sum(name in record.getMessage() for record in caplog.records) == 1


def test_a_picture_that_goes_missing_costs_no_epoch(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pictures(tmp_path / "shown")
    section = {"epoch_pictures": 6, "epoch_pictures_images": folder}
    with when_logged("epoch 2/3", (folder / "good.png").unlink):
        result = train(make_config(train=section))
    assert len(result.rows) == 3
    assert (result.dir / "epoch_pictures/Epoch_1_good.png").exists()
    assert sum("good.png" in record.getMessage() for record in caplog.records) == 1


def test_a_missing_folder_of_epoch_pictures_is_said(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section = {"epoch_pictures": 1, "epoch_pictures_images": tmp_path / "nowhere", "epochs": 1}
    result = train(make_config(train=section))
    assert (result.dir / "epoch_pictures/Epoch_1_p0.png").exists()
    assert (
        f"{tmp_path / 'nowhere'} is no folder: the first validation images are drawn instead" in caplog.text
    )


@pytest.mark.parametrize("name", ["log.csv", "curves.png"])
def test_a_file_that_is_open_elsewhere_is_said_once_and_written_later(
    make_config: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    config = make_config(train={"epochs": 4})
    path = config.output.dir / name
    with when_logged("epoch 1/4", in_the_way(path)), when_logged("epoch 4/4", clear(path)):
        result = train(config)
    assert len(result.rows) == 4
    assert path.stat().st_size > 100
    assert sum(name in record.getMessage() for record in caplog.records) == 1
    with (config.output.dir / "log.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_each_file_of_the_reference_is_on_its_own(make_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    config = make_config(output={"layout": "reference"}, train={"epochs": 2})
    run = config.output.dir
    blocked = run / "eval/train_losses.csv"
    with when_logged("epoch 1/2", in_the_way(blocked)):
        train(config)
    assert len((run / "eval/train_metrics.csv").read_text().splitlines()) == 3
    assert (run / "history.json").is_file()
    clear(blocked)()
    assert len(train(config, resume=True).rows) == 2
    assert len(blocked.read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["model.safetensors", "last.safetensors"])
def test_a_model_that_cannot_be_written_ends_the_run_clearly(make_config: Any, name: str) -> None:
    config = make_config()
    path = config.output.dir / name
    with (
        when_logged("epoch 1/3", in_the_way(path)),
        pytest.raises(TrainingError, match=rf"{name}: cannot be written \(.*\).*--resume"),
    ):
        train(config)
    clear(path)()
    assert len(train(config, resume=True).rows) == 3
