"""The best epoch and the end of a run are decided by the truth and by the settings of now."""

import logging
from typing import Any

import numpy as np
import pytest

from flexunet.classes import Classes
from flexunet.config import TrainConfig
from flexunet.metrics import ConfusionMatrix
from flexunet.training import train
from flexunet.training.epochs import close_epoch
from flexunet.training.ledger import SUMS
from flexunet.training.reporter import Reporter
from flexunet.training.state import Progress
from flexunet.training.validation import Validation

CLASSES = Classes(names=("ground", "slide"), colours=((0, 0, 0), (255, 255, 255)), background=0)


def after(progress: Progress, loss: float, cells: list[list[int]]) -> bool:
    """Whether an epoch that was validated so is the best so far."""
    progress.sums = dict.fromkeys(SUMS, 1.0)
    scores = Validation(loss, 0.5, 0.5, ConfusionMatrix(2, np.array(cells, np.int64)))
    return close_epoch(progress, scores, TrainConfig(), CLASSES, 0.1, Reporter(show=False))


def test_without_objects_in_the_validation_masks_the_loss_decides_in_every_epoch() -> None:
    progress = Progress()
    assert after(progress, 0.9, [[10, 6], [0, 0]])  # a false alarm: its IoU is 0
    assert after(progress, 0.1, [[16, 0], [0, 0]])  # none: its IoU is not measurable
    assert not after(progress, 0.2, [[15, 1], [0, 0]])
    assert progress.best.epoch == 2


def test_with_objects_the_iou_decides() -> None:
    progress = Progress()
    assert after(progress, 0.9, [[8, 0], [4, 4]])
    assert not after(progress, 0.1, [[8, 0], [8, 0]])
    assert after(progress, 0.9, [[8, 0], [3, 5]])


def test_a_larger_patience_goes_on_and_a_finished_run_says_so(
    make_config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flexunet")

    def of(patience: int | None) -> Any:
        return make_config(train={"epochs": 7, "patience": patience, "learning_rate": 1e-12, "ema": 0})

    assert len(train(of(2)).rows) == 3
    assert "Stopped early: no better val_iou in 2 epochs" in caplog.text
    assert "Nothing left to do" not in caplog.text
    assert len(train(of(2), resume=True).rows) == 3
    assert "Nothing left to do: no better val_iou in 2 epochs" in caplog.text
    assert len(train(of(4), resume=True).rows) == 5
    assert len(train(of(None), resume=True).rows) == 7
    train(of(None), resume=True)
    assert "Nothing left to do: all 7 epochs are done" in caplog.text
