"""The files of an evaluation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..classes import Classes
from ..errors import OutputExistsError
from ..files import write_text
from ..metrics import ConfusionMatrix
from ..views import draw_confusion, gallery
from .scores import ImageScores, image_row
from .showcase import Showcases

SCORES = "scores.json"


def finished(out: Path) -> bool:
    """Whether a folder holds an evaluation."""
    return (out / SCORES).exists()


def refuse_finished(out: Path, *, overwrite: bool) -> None:
    """Check that no evaluation is replaced unasked.

    Raises:
        OutputExistsError: the folder holds one and `overwrite` is False.
    """
    if finished(out) and not overwrite:
        raise OutputExistsError(f"{out} holds an evaluation already. Use --overwrite, or another folder.")


def write_report(
    out: Path,
    scores: dict[str, Any],
    images: Sequence[ImageScores],
    confusion: ConfusionMatrix,
    classes: Classes,
    showcases: Showcases,
) -> None:
    """Write everything into `out`; `scores.json` comes last, so that its presence says that all is there."""
    title = f"{scores['split']}: {scores['images']} images"
    write_text(out / "per_image.csv", per_image_csv(images, classes))
    write_text(out / "evaluation.csv", reference_csv(scores))
    draw_confusion(confusion.counts, classes, out / "confusion.png", f"{title}, share of true pixels")
    for name, heading, cards in (
        ("worst", "the worst of those with foreground", showcases.found.worst),
        ("best", "the best of those with foreground", showcases.found.best),
        ("false_alarms", "the largest false alarms", showcases.false_alarms.worst),
    ):
        path = out / f"{name}.png"
        if cards:
            gallery(cards, classes, path, title=f"{title}, {heading}")
        else:
            path.unlink(missing_ok=True)
    write_text(out / SCORES, json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def per_image_csv(images: Sequence[ImageScores], classes: Classes) -> str:
    """One row an image, worst first; an empty cell where nothing can be measured."""
    rows = [image_row(image, classes) for image in images]
    rows.sort(key=lambda row: (row["score"] is None, row["score"] or 0.0, -row["wrong_pixels"], row["id"]))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["id"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def reference_csv(scores: dict[str, Any]) -> str:
    """The reference's `evaluation.csv`: loss and metric, one a line, 4 decimals, no header."""
    numbers = (scores["reference"]["loss"], scores["reference"]["metric"])
    return "".join(f"{number['name']},{round(number['value'] or 0.0, 4)}\n" for number in numbers)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.6f}" if isinstance(value, float) else value
