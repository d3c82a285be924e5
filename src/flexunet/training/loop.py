"""The training loop, from the first batch to the last epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from ..classes import Classes
from ..config.schema import TrainConfig
from ..data import Batch
from ..errors import DivergedError, Interrupted
from .epochs import close_epoch, reason_to_end
from .interrupts import StopRequest
from .launch import first_process
from .ledger import Ledger
from .optim import MovingAverage, OptimizerStep
from .reporter import Reporter
from .schedules import learning_rate
from .scored import Scored
from .state import Progress
from .teacher import Objective
from .validation import Batches, Validation, validate


@dataclass
class Run:
    """Everything the loop works with, and the places where it hands its results."""

    train: TrainConfig
    classes: Classes
    fabric: Fabric
    raw: nn.Module
    """The network itself, for saving."""
    network: _FabricModule
    """The network as Fabric wraps it (precision, processes, compiled)."""
    optimizer: _FabricOptimizer
    optimizer_step: OptimizerStep
    average: MovingAverage | None
    batches: Batches
    validation: Batches | None
    weights: Tensor | None
    """Class weights (K,)."""
    objective: Objective
    """What is minimised."""
    progress: Progress
    save_models: Callable[[Run, bool], None]
    """Called after each epoch with whether it is the best so far."""
    save_state: Callable[[], None]
    show_epoch: Callable[[Run], None]
    """Log, curves and pictures of an epoch that is saved; whatever goes wrong with them is only said."""
    enough: Callable[[], str | None]
    """Asked by the first process after each epoch: why the run ends with it, or None."""
    reporter: Reporter
    stop: StopRequest
    how_to_resume: str

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: the averaged one where there is an average."""
        return self.raw if self.average is None else self.average.network

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return math.ceil(self.batches.steps_per_epoch / self.train.accumulate)

    @property
    def batches_in_all(self) -> int:
        """Batches of all epochs."""
        return self.batches.steps_per_epoch * self.train.epochs

    @property
    def batches_done(self) -> int:
        """Those of them that are over."""
        return self.progress.epoch * self.batches.steps_per_epoch + self.progress.batch


def fit(run: Run) -> None:
    """Train until the epochs are over, early stopping or somebody who watches ends the run, or the user
    interrupts.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        DivergedError: a loss that is not finite; the last saved state is intact.
        TrainingError: a full disk, a model or state that cannot be replaced; likewise.
    """
    progress = run.progress
    reason = reason_to_end(progress, run.train)
    if reason is not None:
        run.reporter.line(f"Nothing left to do: {reason}.")
    while reason_to_end(progress, run.train) is None:
        train_epoch(run)
        started = time.monotonic()
        scores = validate_epoch(run)
        progress.seconds += time.monotonic() - started
        rate = float(run.optimizer.param_groups[0]["lr"])
        best = close_epoch(progress, scores, run.train, run.classes, rate, run.reporter)
        first_process(run.fabric, partial(run.save_models, run, best))
        first_process(run.fabric, run.save_state)
        first_process(run.fabric, partial(run.show_epoch, run))
        reason = asked_to_end(run)
        if reason is not None:
            run.reporter.line(f"Stopped after epoch {progress.epoch}: {reason}.")
            return


def train_epoch(run: Run) -> None:
    """The batches of the current epoch that are still to do."""
    progress, fabric = run.progress, run.fabric
    ledger = Ledger(
        progress, processes=fabric.world_size, save_every_seconds=60 * run.train.checkpoint_minutes
    )
    run.network.train()
    for batch in run.batches.epoch(progress.epoch, progress.batch):
        group, last = place_in_step(run)
        step = progress.step + 1
        scored, loss = learn(run, batch, group, last=last)
        if last:
            finish_step(run)
        progress.batch += 1
        ledger.enter(scored, loss, batch.ids, step=step, stop=run.stop.asked)
        show_batch(run)
        if last and (ledger.stop_asked or ledger.save_due):
            ledger.settle()
            first_process(fabric, run.save_state)
            ledger.saved()
            if ledger.stop_asked:
                raise interrupted(run)
    ledger.settle()


def place_in_step(run: Run) -> tuple[int, bool]:
    """How many batches the step at hand adds up, and whether the next batch is its last."""
    done, accumulate = run.progress.batch, run.train.accumulate
    first = done // accumulate * accumulate
    group = min(accumulate, run.batches.steps_per_epoch - first)
    return group, done - first == group - 1


def learn(run: Run, batch: Batch, group: int, *, last: bool) -> tuple[Scored, Tensor]:
    """Forward and backward of one of the `group` batches of a step; the scored batch and its loss ()."""
    set_learning_rate(run)
    seed_random_numbers(run.train.seed, run.progress.epoch, run.progress.batch, run.fabric.global_rank)
    images, labels, second = to_device(batch, run)
    with run.fabric.no_backward_sync(run.network, enabled=not last):
        scored = Scored(run.network(images), labels, second=second)
        loss = run.objective(scored, images)
        run.fabric.backward(loss / group)
    return scored, loss


def set_learning_rate(run: Run) -> None:
    """The learning rate of the step at hand; before the backward pass, which may take the step already."""
    train, progress = run.train, run.progress
    rate = learning_rate(train, progress.step, train.epochs * run.steps_per_epoch, progress.plateau.factor)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]


def seed_random_numbers(seed: int, epoch: int, batch: int, rank: int) -> None:
    """Dropout of a batch depends on the seed and its place in the run only, so there is no generator to
    save.
    """
    word = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(word) & (2**63 - 1))


def to_device(batch: Batch, run: Run) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
    """Images (B, C, H, W) float32 and labels (B, H, W) int64 where the network is; and where a second picture
    is seen at the same time, its labels (B, H, W) with the first ones' shares (B,).
    """
    layout = torch.channels_last if run.train.channels_last else torch.contiguous_format
    device = run.fabric.device
    images = batch.images.to(device, non_blocking=True, memory_format=layout)
    labels = batch.labels.to(device, non_blocking=True)
    if batch.others is None or batch.shares is None:
        return images, labels, None
    second = batch.others.to(device, non_blocking=True), batch.shares.to(device, non_blocking=True)
    return images, labels, second


def finish_step(run: Run) -> None:
    """Clip and step, and take the weights into their average."""
    train = run.train
    if train.clip_value is not None or train.clip_norm is not None:
        run.fabric.strategy.precision.unscale_gradients(run.optimizer.optimizer)
    run.optimizer_step.finish()
    run.progress.step += 1
    if run.average is not None:
        run.average.update(run.progress.step)


def validate_epoch(run: Run) -> Validation | None:
    """Scores of the weights as they are; None without a validation split.

    Raises:
        Interrupted: the user asked to stop; the state at the end of the epoch's batches is saved.
        DivergedError: the loss is not finite.
    """
    if run.validation is None:
        return None
    if run.fabric.world_size > 1 and run.average is not None:
        for buffer in run.average.network.buffers():
            torch.distributed.broadcast(buffer, 0)
    run.result.eval()
    scores = validate(
        run.result, run.validation, len(run.classes), run.train.loss, run.weights, run.fabric,
        most=run.train.validation_steps, go_on=lambda: not run.stop.asked,
    )  # fmt: skip
    if scores is None:
        run.save_state()
        raise interrupted(run)
    if not math.isfinite(scores.loss):
        raise DivergedError(
            f"The validation loss is not finite ({scores.loss}) after epoch {run.progress.epoch + 1}. What "
            f"was saved before is intact. Lower train.learning_rate or set train.clip_norm; if it is so from "
            f"the first epoch on, check the validation images for wrong values."
        )
    return scores


def asked_to_end(run: Run) -> str | None:
    """Why the run ends after this epoch, if it does; the first process decides."""
    reason = run.enough() if run.fabric.is_global_zero else None
    return run.fabric.broadcast(reason) if run.fabric.world_size > 1 else reason


def show_batch(run: Run) -> None:
    """Tell the reporter where the run is; before an epoch has numbers of its own, those of the one before."""
    progress, images = run.progress, run.progress.sums["images"]
    loss, rate = progress.sums["loss"] / max(images, 1), images / max(progress.seconds, 1e-9)
    if not images:
        row = progress.rows[-1] if progress.rows else {}
        loss, rate = row.get("loss") or math.nan, row.get("images_per_second") or 0.0
    run.reporter.step(progress.epoch + 1, run.train.epochs, run.batches_done, loss, rate)


def interrupted(run: Run) -> Interrupted:
    """The message after a clean stop."""
    progress = run.progress
    return Interrupted(
        f"Stopped in epoch {progress.epoch + 1}, after batch {progress.batch} of "
        f"{run.batches.steps_per_epoch}. Everything is saved. Go on with: {run.how_to_resume}"
    )
