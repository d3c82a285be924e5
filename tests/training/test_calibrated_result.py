"""A trained model is calibrated on its validation split; the reference's only where that is asked for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from flexunet.modelfile import load_model, read_record
from flexunet.training import train


def test_the_best_model_is_calibrated_when_training_ends_and_its_weights_stay(
    make_config: Any, tmp_path: Path
) -> None:
    result = train(make_config())
    calibration = read_record(result.model).calibration
    assert calibration is not None
    assert calibration.fitted_on["split"] == "valid"
    assert calibration.fitted_on["nll_after"] <= calibration.fitted_on["nll_before"]
    assert calibration.threshold is not None
    plain = train(make_config(output={"dir": tmp_path / "plain"}, train={"calibrate": False}))
    assert read_record(plain.model).calibration is None
    others = load_model(plain.model).network.state_dict()
    for name, tensor in load_model(result.model).network.state_dict().items():
        assert torch.equal(tensor, others[name])
    again = train(make_config(), resume=True)  # nothing is left to train: the same file
    assert read_record(again.model).calibration == calibration


@pytest.mark.parametrize("asked", [None, True])
def test_a_model_of_a_reference_config_is_left_alone_unless_asked(
    make_config: Any, asked: bool | None
) -> None:
    result = train(make_config(output={"layout": "reference"}, train={"epochs": 1, "calibrate": asked}))
    assert (read_record(result.model).calibration is not None) == bool(asked)
