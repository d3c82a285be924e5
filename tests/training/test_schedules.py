"""The learning rate is a function of the step; plateau and best-so-far count epochs as their words say."""

import math

import pytest
import torch

from flexunet.config import TrainConfig
from flexunet.training.schedules import Best, Plateau, learning_rate


def rates(schedule: str, steps: int = 40, warmup: float = 0.15) -> list[float]:
    train = TrainConfig.model_validate({"schedule": schedule, "warmup": warmup, "learning_rate": 0.01})
    return [learning_rate(train, step, steps) for step in range(steps)]


def test_one_cycle_is_that_of_torch() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=40, pct_start=0.15)
    expected = []
    for _ in range(40):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        if len(expected) == 40:
            break
    assert rates("onecycle") == pytest.approx(expected, rel=1e-9)


def test_cosine_climbs_linearly_to_the_peak_and_falls_to_nearly_nothing() -> None:
    course = rates("cosine", warmup=0.1)
    assert course[:4] == pytest.approx([0.002, 0.004, 0.006, 0.008])
    assert course[4] == max(course) == pytest.approx(0.01)
    assert course[22] == pytest.approx(0.005)
    assert 0 < course[-1] < 2e-5


def test_a_constant_rate_is_constant() -> None:
    assert set(rates("constant")) == {0.01}


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "plateau", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.15, 1.0])
def test_every_rate_of_a_run_of_one_step_or_few_is_usable(schedule: str, warmup: float) -> None:
    for steps in (1, 2, 3):
        assert all(0 < rate <= 0.01 for rate in rates(schedule, steps, warmup))


def test_plateau_reduces_after_patience_epochs_without_improvement_and_then_waits_again() -> None:
    plateau = Plateau()
    losses = [1.0, 0.9, 0.9, 0.89995, 0.8, 0.9, 0.9, 0.9, 0.9]
    reduced = [plateau.update(loss, patience=2, reduce_by=0.4) for loss in losses]
    assert reduced == [False, False, False, True, False, False, True, False, True]
    assert plateau.factor == pytest.approx(0.4**3)


def test_best_keeps_the_first_of_equals_and_never_takes_what_is_not_a_number() -> None:
    best = Best()
    assert [best.update(value, epoch) for epoch, value in enumerate((0.2, 0.2, math.nan, 0.3, 0.1), 1)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert (best.value, best.epoch, best.waited) == (0.3, 4, 1)
