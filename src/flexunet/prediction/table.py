"""`predictions.csv`: a row a picture, with how far it lies from those of training."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..classes import Classes
from ..errors import OutputExistsError
from ..files import write_text
from .applicability import FAR
from .one_picture import Prediction

TABLE = "predictions.csv"
Row = dict[str, str]


def row_of(image: Path, labels: Path, prediction: Prediction, classes: Classes) -> Row:
    """What the table says of a picture; shares of classes are those of its pixels with data."""
    seen = prediction.labels[prediction.picture.valid]
    counts = np.bincount(seen, minlength=len(classes)) / max(seen.size, 1)
    row = {"picture": str(image), "classes": labels.name}
    row |= {f"share_{classes.names[k]}": f"{counts[k]:.6f}" for k in classes.foreground}
    assert prediction.applicability is not None
    row |= {
        "applicability": f"{prediction.applicability:.4f}",
        "distance": f"{prediction.distance:.4f}",
        "far": str(int(is_far(prediction))),
    }
    return row


def is_far(prediction: Prediction) -> bool:
    """Whether hardly any held-out picture of the training region lies as far."""
    return prediction.applicability is not None and prediction.applicability <= FAR


def write_table(path: Path, rows: Iterable[Row], *, overwrite: bool = False) -> None:
    """Add rows to the table, in place of those of the same file; it is written whole.

    Raises:
        OutputExistsError: a file of that name is there that is no such table, and `overwrite` is not given.
    """
    new = list(rows)
    if not new:
        return
    earlier = _earlier(path, list(new[0]), overwrite)
    merged: Mapping[str, Row] = {row["classes"]: row for row in (*earlier, *new)}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(new[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(merged.values())
    write_text(path, buffer.getvalue())


def check_table(path: Path, classes: Classes, *, overwrite: bool) -> None:
    """Refuse before the work what `write_table` would refuse after it. Raises as there."""
    shares = [f"share_{classes.names[k]}" for k in classes.foreground]
    _earlier(path, ["picture", "classes", *shares, "applicability", "distance", "far"], overwrite)


def _earlier(path: Path, columns: list[str], overwrite: bool) -> list[Row]:
    if not path.exists():
        return []
    reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8", errors="replace")))
    if list(reader.fieldnames or ()) == columns:
        return list(reader)
    if overwrite:
        return []
    raise OutputExistsError(
        f"{path}: already there, and with other columns ({', '.join(columns)} would be written). Allow "
        "replacing with --overwrite, or choose another folder."
    )
