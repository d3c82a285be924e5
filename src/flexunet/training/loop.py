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
from .interrupts import StopRequest
from .launch import first_process
from .losses import Scored, dice_coef, dice_coef_of_images
from .optim import MovingAverage, OptimizerStep
from .reporter import Reporter
from .schedules import learning_rate
from .state import Progress, Row
from .teacher import Objective
from .validation import Batches, Validation, validate

COLLAPSE_AFTER_EPOCHS = 2
SUMS = ("loss", "dice", "image_dice", "correct", "pixels", "images", "foreground")


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
    save_state: Callable[[], None]
    epoch_done: Callable[[Run, bool], None]
    """Called after each epoch with whether it is the best so far: models, log, pictures."""
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


def fit(run: Run) -> None:
    """Train until the epochs are over, early stopping or somebody who watches ends the run, or the user
    interrupts.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        DivergedError: a loss that is not finite; the last saved state is intact.
        TrainingError: a full disk; likewise.
    """
    progress = run.progress
    while progress.epoch < run.train.epochs and not progress.stopped_early:
        train_epoch(run)
        started = time.monotonic()
        scores = validate_epoch(run)
        progress.seconds += time.monotonic() - started
        best = finish_epoch(run, scores)
        first_process(run.fabric, partial(run.epoch_done, run, best))
        first_process(run.fabric, run.save_state)
        reason = asked_to_end(run)
        if reason is not None:
            run.reporter.line(f"Stopped after epoch {progress.epoch}: {reason}.")
            return


def train_epoch(run: Run) -> None:
    """The batches of the current epoch that are still to do."""
    train, progress, fabric = run.train, run.progress, run.fabric
    total_batches = run.batches.steps_per_epoch
    if progress.batch == 0:
        progress.sums, progress.seconds = dict.fromkeys(SUMS, 0.0), 0.0
    pending: tuple[Tensor, tuple[str, ...]] | None = None
    clock = saved = time.monotonic()
    due = False
    run.network.train()

    for batch in run.batches.epoch(progress.epoch, progress.batch):
        # Forward and backward; gradients of a group of batches add up to one step
        set_learning_rate(run)
        seed_random_numbers(train.seed, progress.epoch, progress.batch, fabric.global_rank)
        group = min(train.accumulate, total_batches - (progress.batch // train.accumulate) * train.accumulate)
        last = progress.batch % train.accumulate == group - 1
        images, labels = to_device(batch, run)
        with fabric.no_backward_sync(run.network, enabled=not last):
            scored = Scored(run.network(images), labels, second=second_labels(batch, labels.device))
            loss = run.objective(scored, images)
            fabric.backward(loss / group)

        # Step
        if last:
            finish_step(run)
        progress.batch += 1

        # The numbers of the batch before are ready by now: reading them does not hold up the device
        asked, due_before = flush(run, pending)
        due = due or due_before
        checkpoint = time.monotonic() - saved > 60 * train.checkpoint_minutes
        pending = (batch_numbers(scored, loss, run, checkpoint=checkpoint), tuple(batch.ids))
        now = time.monotonic()
        progress.seconds, clock = progress.seconds + now - clock, now
        show_step(run)
        if not last:
            continue
        asked = asked or (fabric.world_size == 1 and run.stop.asked)
        if asked or due:
            flush(run, pending)
            pending, saved, due = None, now, False
            first_process(fabric, run.save_state)
        if asked:
            raise interrupted(run)
    flush(run, pending)


def set_learning_rate(run: Run) -> None:
    """The learning rate of the step at hand; before the backward pass, which may take the step already."""
    train, progress = run.train, run.progress
    rate = learning_rate(train, progress.step, train.epochs * run.steps_per_epoch, progress.plateau.factor)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]


def finish_step(run: Run) -> None:
    """Clip and step, and take the weights into their average."""
    train = run.train
    if train.clip_value is not None or train.clip_norm is not None:
        run.fabric.strategy.precision.unscale_gradients(run.optimizer.optimizer)
    run.optimizer_step.finish()
    run.progress.step += 1
    if run.average is not None:
        run.average.update(run.progress.step)


def seed_random_numbers(seed: int, epoch: int, batch: int, rank: int) -> None:
    """Dropout of a batch depends on the seed and its place in the run only, so there is no generator to
    save.
    """
    word = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(word) & (2**63 - 1))


def to_device(batch: Batch, run: Run) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W) float32 and labels (B, H, W) int64 where the network is."""
    layout = torch.channels_last if run.train.channels_last else torch.contiguous_format
    device = run.fabric.device
    images = batch.images.to(device, non_blocking=True, memory_format=layout)
    return images, batch.labels.to(device, non_blocking=True)


def second_labels(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """Labels (B, H, W) that are true beside the first ones, and the first ones' shares (B,), if there are
    any.
    """
    if batch.others is None or batch.shares is None:
        return None
    return batch.others.to(device, non_blocking=True), batch.shares.to(device, non_blocking=True)


@torch.no_grad()
def batch_numbers(scored: Scored, loss: Tensor, run: Run, *, checkpoint: bool) -> Tensor:
    """float64 (len(SUMS) + 2,): what the batch adds to the epoch's sums, over all processes.

    The last two are above 0 where a process was asked to stop, or where a checkpoint is due.
    """
    predicted = scored.logits.argmax(1)
    valid = scored.valid > 0
    numbers = torch.stack([
        loss.detach().float() * len(scored.labels),
        dice_coef(scored) * len(scored.labels),
        dice_coef_of_images(scored).sum(),
        (predicted == scored.labels).sum(),
        valid.sum(),
        loss.new_tensor(float(len(scored.labels))),
        ((predicted > 0) & valid).sum(),
        loss.new_tensor(float(run.stop.asked)),
        loss.new_tensor(float(checkpoint)),
    ]).double()  # fmt: skip
    if run.fabric.world_size > 1:
        torch.distributed.all_reduce(numbers)
    return numbers


def flush(run: Run, pending: tuple[Tensor, tuple[str, ...]] | None) -> tuple[bool, bool]:
    """Add a batch's numbers to the epoch's sums; whether a stop was asked, and whether a checkpoint is due.

    Raises:
        DivergedError: the loss is not finite.
    """
    if pending is None:
        return False, False
    *numbers, asked, due = pending[0].tolist()
    if not math.isfinite(numbers[0]):
        raise DivergedError(
            f"The loss is not finite ({numbers[0]}) in epoch {run.progress.epoch + 1}, step "
            f"{run.progress.step}, samples {', '.join(pending[1])}. What was saved before is intact. Check "
            f"these files for wrong values, lower train.learning_rate, or set train.clip_norm."
        )
    for name, number in zip(SUMS, numbers, strict=True):
        run.progress.sums[name] += number
    return bool(asked), bool(due)


def validate_epoch(run: Run) -> Validation | None:
    """Scores of the weights as they are; None without a validation split.

    Raises:
        Interrupted: the user asked to stop; the state at the end of the epoch's batches is saved.
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
    return scores


def finish_epoch(run: Run, scores: Validation | None) -> bool:
    """Log the epoch, update schedule and early stopping, look for a collapse; True when it is the best
    so far.
    """
    progress, train = run.progress, run.train
    row = epoch_row(run, scores)
    progress.rows.append(row)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    watched = row["val_loss"] if scores is not None else row["loss"]
    assert watched is not None
    if train.schedule == "plateau" and progress.plateau.update(
        watched, patience=train.reducer_patience, reduce_by=train.reducer_factor
    ):
        run.reporter.line(f"Learning rate reduced to {train.learning_rate * progress.plateau.factor:.3g}.")
    best = True
    if scores is not None:
        best = progress.best.update(monitored(train, row), progress.epoch)
        if train.patience is not None and progress.best.waited >= train.patience:
            progress.stopped_early = True
            run.reporter.line(f"Stopped early: no better {train.monitor} in {train.patience} epochs.")
    run.reporter.line(describe(row, train.epochs, best=best and scores is not None))
    warn_of_collapse(run, scores)
    return best


def monitored(train: TrainConfig, row: Row) -> float:
    """The value that decides which epoch is best, larger is better; minus infinity where it is not
    measurable.
    """
    value = row["val_iou"] if train.monitor == "val_iou" else row["val_loss"]
    if value is None or math.isnan(value):
        # no foreground in the truth and none predicted: the loss still tells good from bad
        value = row["val_loss"]
        return -math.inf if value is None else -value
    return value if train.monitor == "val_iou" else -value


def epoch_row(run: Run, scores: Validation | None) -> Row:
    """The epoch's row of the log."""
    progress, sums = run.progress, run.progress.sums
    images, pixels = max(sums["images"], 1), max(sums["pixels"], 1)
    row: Row = {
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "loss": sums["loss"] / images,
        "val_loss": None,
        "pixel_accuracy": sums["correct"] / pixels,
        "val_pixel_accuracy": None,
        "dice_coef": sums["dice"] / images,
        "val_dice_coef": None,
        "dice_coef_multiclass": sums["image_dice"] / images,
        "val_dice_coef_multiclass": None,
        "val_iou": None,
        "val_f1": None,
    }
    if scores is not None:
        confusion, foreground = scores.confusion, run.classes.foreground
        row |= {
            "val_loss": scores.loss,
            "val_pixel_accuracy": confusion.pixel_accuracy,
            "val_dice_coef": scores.dice_coef,
            "val_dice_coef_multiclass": scores.dice_coef_multiclass,
            "val_iou": confusion.mean_iou(foreground),
            "val_f1": confusion.mean_f1(foreground),
        }
        for what, values in (("iou", confusion.iou), ("f1", confusion.f1)):
            row |= {f"val_{what}_{name}": float(v) for name, v in zip(run.classes.names, values, strict=True)}
    row["learning_rate"] = float(run.optimizer.param_groups[0]["lr"])
    row["seconds"] = round(progress.seconds, 3)
    row["images_per_second"] = round(sums["images"] / max(progress.seconds, 1e-9), 3)
    return {name: None if value is None or math.isnan(value) else value for name, value in row.items()}


def describe(row: Row, epochs: int, *, best: bool) -> str:
    """One line about an epoch."""
    parts = [f"epoch {row['epoch']}/{epochs}", f"loss {row['loss']:.4f}"]
    parts += [
        f"{name} {row[name]:.4f}" for name in ("val_loss", "val_iou", "val_f1") if row[name] is not None
    ]
    parts += [f"{row['images_per_second']:.1f} images/s", f"{row['seconds']:.0f} s"]
    return ", ".join(parts) + (" (best)" if best else "")


def warn_of_collapse(run: Run, scores: Validation | None) -> None:
    """Say early that a network predicts nothing but background although the truth has more."""
    progress = run.progress
    empty = progress.sums["foreground"] == 0
    if scores is not None:
        foreground = list(run.classes.foreground)
        empty = scores.confusion.predicted[foreground].sum() == 0 < scores.confusion.truth[foreground].sum()
    progress.empty_epochs = progress.empty_epochs + 1 if empty else 0
    if progress.empty_epochs == COLLAPSE_AFTER_EPOCHS:
        run.reporter.warn(
            f"for {COLLAPSE_AFTER_EPOCHS} epochs the network has predicted nothing but background. If it "
            f'stays so: set train.class_weights = "auto", add a "dice" or "tversky" term to train.loss, '
            f"lower train.learning_rate, and see with `flexunet check` whether the masks hold the classes "
            f"you expect."
        )


def asked_to_end(run: Run) -> str | None:
    """Why the run ends after this epoch, if it does; the first process decides."""
    reason = run.enough() if run.fabric.is_global_zero else None
    return run.fabric.broadcast(reason) if run.fabric.world_size > 1 else reason


def show_step(run: Run) -> None:
    """Tell the reporter where the run is; before an epoch has numbers of its own, those of the one before."""
    progress, images = run.progress, run.progress.sums["images"]
    loss, rate = progress.sums["loss"] / max(images, 1), images / max(progress.seconds, 1e-9)
    if not images:
        row = progress.rows[-1] if progress.rows else {}
        loss, rate = row.get("loss") or math.nan, row.get("images_per_second") or 0.0
    done = progress.epoch * run.batches.steps_per_epoch + progress.batch
    run.reporter.step(progress.epoch + 1, run.train.epochs, done, loss, rate)


def interrupted(run: Run) -> Interrupted:
    """The message after a clean stop."""
    progress = run.progress
    return Interrupted(
        f"Stopped in epoch {progress.epoch + 1}, after batch {progress.batch} of "
        f"{run.batches.steps_per_epoch}. Everything is saved. Go on with: {run.how_to_resume}"
    )
