"""A loss that is not finite is told with its own step and its own samples; the numbers need no float64."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flexunet.errors import DivergedError
from flexunet.training import train

RUINED = {"learning_rate": 1e30, "schedule": "constant", "clip_norm": None, "ema": 0}
"""The first step ruins the weights: the second one's loss is not finite."""

ONE_OF_TWO = """
import sys
import torch
from flexunet.errors import DivergedError
from flexunet.training.ledger import Ledger
from flexunet.training.losses import dice
from flexunet.training.scored import Scored
from flexunet.training.state import Progress

rank, bad, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=2)
ledger = Ledger(Progress(), processes=2, save_every_seconds=1e9)
for step in (1, 2, 3):
    logits = torch.zeros(1, 2, 4, 4)
    if (rank, step) == (bad, 2):
        logits[0, 0, 0, 0] = torch.inf
    scored = Scored(logits, torch.zeros(1, 4, 4, dtype=torch.int64))
    try:
        ledger.enter(scored, dice(scored), (f"r{rank}s{step}",), step=step, stop=False)
    except DivergedError as error:
        print(error)
torch.distributed.destroy_process_group()
"""


class NoFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """PyTorch as on Apple's GPUs, where a tensor of 64-bit floats is an error."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64:
                raise TypeError(f"{func}: there is no float64 on this device")
        return out


def test_a_run_makes_no_float64_tensor(make_config: Any) -> None:
    config = make_config(train={"epochs": 1, "class_weights": "auto", "epoch_pictures": 1})
    with NoFloat64():  # type: ignore[no-untyped-call]
        assert len(train(config).rows) == 1


@pytest.mark.parametrize(("accumulate", "step"), [(1, 2), (2, 2)])
def test_the_step_is_the_one_whose_loss_is_not_finite(make_config: Any, accumulate: int, step: int) -> None:
    config = make_config(train={**RUINED, "batch_size": 2, "accumulate": accumulate})
    with pytest.raises(DivergedError, match=rf"not finite.* in epoch 1, step {step}, samples p\d+, p\d+\."):
        train(config)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [0, 1])
def test_of_two_processes_the_one_with_the_bad_picture_is_named(tmp_path: Path, bad: int) -> None:
    place = (tmp_path / "meeting").as_uri()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_TWO, str(rank), str(bad), place], stdout=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    for process in both:
        said, _ = process.communicate(timeout=60)
        assert f"step 2, samples r{bad}s2." in said
