"""What a run leaves to read: `log.csv`, the curves, and the reference's files in the reference's forms."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from ..classes import Classes
from .folder import RunFolder
from .state import Row

_SAME = {
    f"{prefix}{name}": f"{prefix}pixel_accuracy"
    for prefix in ("", "val_")
    for name in ("accuracy", "categorical_accuracy", "binary_accuracy")
}
"""Keras' names of pixel accuracy: at a threshold of one half, the binary one is the same number."""

Chart = tuple[Path, str, dict[str, list[float]]]
"""Path of a PNG, its title, its columns."""


def columns(classes: Classes) -> list[str]:
    """Columns of `log.csv`."""
    per_class = [f"val_{what}_{name}" for what in ("iou", "f1") for name in classes.names]
    return [
        "epoch", "step", "loss", "val_loss", "pixel_accuracy", "val_pixel_accuracy",
        "dice_coef", "val_dice_coef", "dice_coef_multiclass", "val_dice_coef_multiclass",
        "val_iou", "val_f1", *per_class,
        "learning_rate", "seconds", "images_per_second", "peak_memory_mb",
    ]  # fmt: skip


def not_measured(metrics: Sequence[str], classes: Classes) -> list[str]:
    """The names among `metrics` that no column of the log answers; train_metrics.csv writes 0 for them."""
    known = columns(classes)
    return [name for name in metrics if _SAME.get(name, name) not in known]


def log_files(
    folder: RunFolder, classes: Classes, rows: Sequence[Row], metrics: Sequence[str]
) -> dict[Path, str]:
    """The text of every file that keeps the log, by its path."""
    files = {folder.log: log_csv(classes, rows)}
    return files | reference_files(folder, rows, metrics) if folder.reference else files


def log_csv(classes: Classes, rows: Sequence[Row]) -> str:
    """`log.csv`: one row an epoch (counted from 1), full precision, an empty cell where nothing was
    measured.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns(classes), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if _missing(value) else value for name, value in row.items()})
    return buffer.getvalue()


def charts(folder: RunFolder, rows: Sequence[Row], metrics: Sequence[str]) -> list[Chart]:
    """Losses and scores of every epoch; in the reference layout its two charts beside them."""
    names = ("loss", "val_loss", "val_iou", "val_f1", "learning_rate")
    drawn = [(folder.curves, f"{folder.dir.name}: training", _series(rows, names))]
    if folder.reference:
        losses, scores = (path.with_suffix(".png") for path in (folder.losses_csv, folder.metrics_csv))
        drawn.append((losses, "train_losses", _series(rows, ("loss", "val_loss"))))
        drawn.append((scores, "train_metrics", _series(rows, metrics)))
    return drawn


def reference_files(folder: RunFolder, rows: Sequence[Row], metrics: Sequence[str]) -> dict[Path, str]:
    """eval/train_losses.csv, eval/train_metrics.csv and history.json as the reference names them.

    The forms: losses `epoch, loss, val_loss`, metrics `epoch,<name>,<name>,` with a trailing comma; rows
    `e, value, value` with e from 0 and 4 decimals; a name that is not in the log is written 0. history.json
    is real JSON, where the reference writes the text of a Python dictionary.
    """
    names = {"train_losses": ("loss", "val_loss"), "train_metrics": tuple(metrics)}
    headers = {"train_losses": "epoch, loss, val_loss", "train_metrics": f"epoch,{','.join(metrics)},"}
    files = {}
    for kind, wanted in names.items():
        lines = [headers[kind]]
        for row in rows:
            values = [_log_value(row, name) for name in wanted]
            lines.append(", ".join([str(int(row["epoch"] or 1) - 1), *(f"{value:.4f}" for value in values)]))
        files[folder.eval_dir / f"{kind}.csv"] = "\n".join(lines) + "\n"
    return files | {folder.history: json.dumps(history(rows), indent=1) + "\n"}


def history(rows: Sequence[Row]) -> dict[str, list[float]]:
    """The log as Keras' history: a list an epoch under each name; `lr` is the learning rate."""
    skip = ("epoch", "step", "seconds", "images_per_second", "peak_memory_mb")
    names = [name for name in (rows[0] if rows else {}) if name not in skip]
    table = {name: [_log_value(row, name) for row in rows] for name in names}
    return {"lr" if name == "learning_rate" else name: values for name, values in table.items()}


def _log_value(row: Row, name: str) -> float:
    value = row.get(_SAME.get(name, name))
    return 0.0 if value is None or _missing(value) else float(value)


def _series(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[float]]:
    series = {name: [_number(row.get(name)) for row in rows] for name in names}
    return {name: values for name, values in series.items() if not all(map(math.isnan, values))}


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def _missing(value: float | int | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
