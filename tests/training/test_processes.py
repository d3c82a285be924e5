"""Several processes compute what one would with the same global batch, and stop, fail and go on together."""

from pathlib import Path
from typing import Any

import pytest
import torch

from flexunet.config import Config
from flexunet.errors import TrainingError
from flexunet.modelfile import load_model
from flexunet.training import train

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
