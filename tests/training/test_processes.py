"""Several processes compute what one would with the same global batch, and stop, fail and go on together."""

from pathlib import Path
from typing import Any

import pytest
import torch

from faulty_work import aborts, one_finds_a_fault
from flexunet.config import Config
from flexunet.errors import DataError, TrainingError
from flexunet.modelfile import load_model
from flexunet.training import train
from flexunet.training.hardware import build_fabric, choose_hardware
from flexunet.training.launch import launch

LOSSES = ("categorical_crossentropy", "dice", "tversky", "lovasz", "bce_iou_loss")


def with_processes(config: Config, count: int, folder: Path) -> Config:
    """The same run with the global batch spread over `count` processes."""
    changed = {"devices": count, "batch_size": config.train.batch_size // count}
    return config.model_copy(
        update={
            "train": config.train.model_copy(update=changed),
            "output": config.output.model_copy(update={"dir": folder}),
        }
    )


@pytest.mark.slow
def test_two_processes_give_the_weights_and_the_log_of_one(make_config: Any, tmp_path: Path) -> None:
    settings = {
        "loss": [{"name": name} for name in LOSSES], "class_weights": "auto", "accumulate": 2, "epochs": 2,
    }  # fmt: skip
    config = make_config(model={"dropout_rate": 0.0}, train=settings)
    one = train(with_processes(config, 1, tmp_path / "one"))
    two = train(with_processes(config, 2, tmp_path / "two"))
    weights_one, weights_two = (load_model(run.model).network.state_dict() for run in (one, two))
    for name, weight in weights_one.items():
        assert torch.allclose(weight, weights_two[name], atol=1e-5)
    for row_one, row_two in zip(one.rows, two.rows, strict=True):
        for name in (
            "loss",
            "val_loss",
            "val_iou",
            "pixel_accuracy",
            "dice_coef",
            "val_dice_coef_multiclass",
        ):
            assert row_one[name] == pytest.approx(row_two[name], rel=1e-4)


@pytest.mark.slow
def test_a_fault_in_all_processes_is_one_clear_error(make_config: Any, tmp_path: Path) -> None:
    config = make_config(train={"learning_rate": 1e30, "schedule": "constant", "clip_norm": None})
    with pytest.raises(TrainingError, match=r"The loss is not finite .* samples p\d+"):
        train(with_processes(config, 2, tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("culprit", [0, 1])
def test_a_fault_in_one_process_is_that_error_whatever_becomes_of_the_other(
    make_config: Any, tmp_path: Path, culprit: int
) -> None:
    settings = with_processes(make_config(), 2, tmp_path).train
    fabric = build_fabric(settings, choose_hardware(settings.accelerator, settings.precision))
    with pytest.raises(DataError, match=r"^b\.png is damaged$"):
        launch(fabric, one_finds_a_fault, culprit)


@pytest.mark.slow
def test_a_process_that_dies_is_said_to_be_lost(make_config: Any, tmp_path: Path) -> None:
    settings = with_processes(make_config(), 2, tmp_path).train
    fabric = build_fabric(settings, choose_hardware(settings.accelerator, settings.precision))
    with pytest.raises(TrainingError, match=r"process was lost .*SIGABRT.* --resume"):
        launch(fabric, aborts, None)
