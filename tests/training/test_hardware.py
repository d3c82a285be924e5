"""The choice of device and precision comes with its reason; what the machine cannot do is refused."""

import pytest
import torch

from flexunet.config import TrainConfig
from flexunet.errors import ConfigError
from flexunet.training.hardware import bf16_instructions, build_fabric, choose_hardware


def test_auto_takes_bf16_on_a_cpu_exactly_where_it_has_the_instructions() -> None:
    choice = choose_hardware("cpu", "auto")
    assert choice.precision == ("bf16" if bf16_instructions() else "32")
    assert "the CPU has" in str(choice)


def test_what_is_asked_is_taken() -> None:
    assert choose_hardware("cpu", "32").precision == "32"
    assert choose_hardware("cpu", "bf16").precision == "bf16"


def test_what_the_machine_cannot_do_is_refused_with_a_cure() -> None:
    with pytest.raises(ConfigError, match=r"train\.precision: fp16 is for GPUs"):
        choose_hardware("cpu", "fp16")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"'cuda' is not available.*Use"):
            choose_hardware("cuda", "auto")
    with pytest.raises(ConfigError, match="torchrun or SLURM"):
        build_fabric(TrainConfig(num_nodes=2), choose_hardware("cpu", "32"))
