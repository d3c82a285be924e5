"""What an epoch comes to: its row of the log, whether it is the best so far, what is said of it."""

from __future__ import annotations

import math

from ..classes import Classes
from ..config.schema import TrainConfig
from ..machine import peak_memory_mb
from .reporter import Reporter
from .state import Progress, Row
from .validation import Validation

COLLAPSE_AFTER_EPOCHS = 2


def reason_to_end(progress: Progress, train: TrainConfig) -> str | None:
    """Why no epoch is left to train with the settings of now, or None."""
    if train.patience is not None and progress.best.waited >= train.patience:
        return f"no better {train.monitor} in {train.patience} epochs; a larger train.patience goes on"
    if progress.epoch >= train.epochs:
        return f"all {train.epochs} epochs are done"
    return None


def close_epoch(
    progress: Progress,
    scores: Validation | None,
    train: TrainConfig,
    classes: Classes,
    learning_rate: float,
    reporter: Reporter,
) -> bool:
    """Log the epoch, update schedule and early stopping, look for a collapse; True when it is the best
    so far.

    scores: of the validation split, None where there is none; their loss is finite.
    """
    row = epoch_row(progress, scores, classes, learning_rate)
    progress.rows.append(row)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    watched = row["val_loss"] if scores is not None else row["loss"]
    assert watched is not None
    if train.schedule == "plateau" and progress.plateau.update(
        watched, patience=train.reducer_patience, reduce_by=train.reducer_factor
    ):
        reporter.line(f"Learning rate reduced to {train.learning_rate * progress.plateau.factor:.3g}.")
    best = True
    if scores is not None:
        objects = bool(scores.confusion.truth[list(classes.foreground)].sum() > 0)
        best = progress.best.update(monitored(train, row, objects=objects), progress.epoch)
        if train.patience is not None and progress.best.waited >= train.patience:
            reporter.line(f"Stopped early: no better {train.monitor} in {train.patience} epochs.")
    reporter.line(describe(row, train.epochs, best=best and scores is not None))
    warn_of_collapse(progress, scores, classes, reporter)
    return best


def epoch_row(progress: Progress, scores: Validation | None, classes: Classes, learning_rate: float) -> Row:
    """The epoch's row of the log."""
    sums = progress.sums
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
        confusion, foreground = scores.confusion, classes.foreground
        row |= {
            "val_loss": scores.loss,
            "val_pixel_accuracy": confusion.pixel_accuracy,
            "val_dice_coef": scores.dice_coef,
            "val_dice_coef_multiclass": scores.dice_coef_multiclass,
            "val_iou": confusion.mean_iou(foreground),
            "val_f1": confusion.mean_f1(foreground),
        }
        for what, values in (("iou", confusion.iou), ("f1", confusion.f1)):
            row |= {f"val_{what}_{name}": float(v) for name, v in zip(classes.names, values, strict=True)}
    row["learning_rate"] = learning_rate
    row["seconds"] = round(progress.seconds, 3)
    row["images_per_second"] = round(sums["images"] / max(progress.seconds, 1e-9), 3)
    row["peak_memory_mb"] = peak_memory_mb()
    return {name: None if value is None or math.isnan(value) else value for name, value in row.items()}


def monitored(train: TrainConfig, row: Row, *, objects: bool) -> float:
    """The value that decides which epoch is best, larger is better; minus infinity where it is not
    measurable.

    objects: the validation masks have foreground. Where they have none, the loss decides in every epoch: the
    IoU is 0 after a false alarm and not measurable without, so it would call the worse epoch better.
    """
    if train.monitor == "val_iou" and objects:
        return -math.inf if row["val_iou"] is None else row["val_iou"]
    return -math.inf if row["val_loss"] is None else -row["val_loss"]


def describe(row: Row, epochs: int, *, best: bool) -> str:
    """One line about an epoch."""
    parts = [f"epoch {row['epoch']}/{epochs}", f"loss {row['loss']:.4f}"]
    parts += [
        f"{name} {row[name]:.4f}" for name in ("val_loss", "val_iou", "val_f1") if row[name] is not None
    ]
    parts += [f"{row['images_per_second']:.1f} images/s", f"{row['seconds']:.0f} s"]
    return ", ".join(parts) + (" (best)" if best else "")


def warn_of_collapse(
    progress: Progress, scores: Validation | None, classes: Classes, reporter: Reporter
) -> None:
    """Say early that a network predicts nothing but background although the truth has more."""
    empty = progress.sums["foreground"] == 0
    if scores is not None:
        foreground = list(classes.foreground)
        empty = scores.confusion.predicted[foreground].sum() == 0 < scores.confusion.truth[foreground].sum()
    progress.empty_epochs = progress.empty_epochs + 1 if empty else 0
    if progress.empty_epochs == COLLAPSE_AFTER_EPOCHS:
        reporter.warn(
            f"for {COLLAPSE_AFTER_EPOCHS} epochs the network has predicted nothing but background. If it "
            f'stays so: set train.class_weights = "auto", add a "dice" or "tversky" term to train.loss, '
            f"lower train.learning_rate, and see with `flexunet check` whether the masks hold the classes "
            f"you expect."
        )
