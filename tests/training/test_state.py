"""The saved state is the whole truth: it reads back to the same bits; damage leads to the state before."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from flexunet.config import TrainConfig
from flexunet.errors import TrainingError
from flexunet.training.optim import MovingAverage, build_optimizer
from flexunet.training.schedules import Best, Plateau
from flexunet.training.state import Progress, load_state, save_state


class Small:
    """A network, its optimiser and average after a few steps."""

    def __init__(self, optimizer: str, seed: int = 0, width: int = 4) -> None:
        torch.manual_seed(seed)
        self.network = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 3))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.network, TrainConfig.model_validate({"optimizer": optimizer}))
        self.average = MovingAverage(self.network, 0.9)

    def train(self, steps: int) -> None:
        for step in range(steps):
            torch.manual_seed(step)
            loss = self.network(torch.randn(2, 3, 9, 9)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.average.update(step + 1)

    def save(self, folder: Path, progress: Progress) -> None:
        identity = {"fingerprint": "abc"}
        save_state(folder, progress, self.network, self.optimizer, self.average.network, identity)

    def everything(self) -> list[torch.Tensor]:
        moments = [self.optimizer.state[p] for p in self.network.parameters()]
        values = [value for state in moments for _, value in sorted(state.items()) if value is not None]
        weights = [*self.network.state_dict().values(), *self.average.network.state_dict().values()]
        return [*weights, *values]


PROGRESS = Progress(
    epoch=2,
    batch=3,
    step=17,
    sums={"loss": 0.1 + 0.2, "images": 1e-300},
    seconds=math.pi,
    plateau=Plateau(0.3, 2, 0.25),
    best=Best(-math.inf, -1, 0),
    rows=[{"epoch": 1, "val_iou": None, "loss": 1 / 3}],
)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_restored_run_goes_on_with_the_same_bits(optimizer: str, tmp_path: Path) -> None:
    first, second = Small(optimizer), Small(optimizer, seed=5)
    first.train(3)
    first.save(tmp_path, PROGRESS)
    saved = load_state(tmp_path)
    assert saved is not None
    saved.restore(second.network, second.optimizer, second.average.network)
    first.train(4)
    second.train(4)
    assert all(torch.equal(a, b) for a, b in zip(first.everything(), second.everything(), strict=True))
    assert saved.progress == PROGRESS
    assert saved.identity["fingerprint"] == "abc"


def test_a_torn_or_altered_state_falls_back_to_the_one_before(tmp_path: Path) -> None:
    small = Small("adamw")
    small.train(1)
    for epoch in (1, 2, 3):
        small.save(tmp_path, Progress(epoch=epoch))
    newest = sorted(tmp_path.glob("state-*"))
    assert len(newest) == 2
    content = newest[-1].read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:-5] + b"xxxxx"):
        newest[-1].write_bytes(damaged)
        saved = load_state(tmp_path)
        assert saved is not None
        assert saved.progress.epoch == 2


def test_only_damaged_states_are_an_error_and_none_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    (tmp_path / "state-000001-00000000.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="every saved state is damaged"):
        load_state(tmp_path)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    small, wider = Small("sgd"), Small("sgd", width=5)
    small.train(1)
    small.save(tmp_path, Progress())
    saved = load_state(tmp_path)
    assert saved is not None
    with pytest.raises(TrainingError, match="another network"):
        saved.restore(wider.network, wider.optimizer, wider.average.network)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    from flexunet.training.state import readable_disk_errors

    with (
        pytest.raises(TrainingError, match=r"the disk is full.*--resume"),
        readable_disk_errors(tmp_path / "state"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x" * 4096)
