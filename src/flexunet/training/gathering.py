"""What several runs come to: held-out predictions, one table, one model file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..classes import Classes
from ..config import Config
from ..data import has_validation, read_folds
from ..evaluation.fitting import describe_calibration
from ..evaluation.groups import Groups, groups_of
from ..evaluation.scores import DEFINITIONS, all_scores, image_row
from ..evaluation.summary import intervals
from ..files import write_text
from ..metrics import ConfusionMatrix
from ..modelfile import Calibration, save_ensemble
from ..progress import Progress
from .held_out import HeldOut, foreground_scores
from .member import FOLDS, GROUPS, MODEL, Member, write_json
from .run import wants_calibration

HOW = (
    "Scores of each member and of the means on images that were not trained on, at the masks' own "
    "resolution, likelier class. The epoch that is kept was chosen on the same images (val_iou is its "
    "score, last_val_iou that of the last epoch: the difference hints at what the choice is worth). The test "
    "split was not looked at."
)


@dataclass(frozen=True)
class Ensemble:
    """What folds and seeds leave: the model file, the table, and everything in `summary.json`."""

    dir: Path
    model: Path
    table: tuple[dict[str, Any], ...]
    """A row a member, then `mean` and `SD`."""
    summary: dict[str, Any]


def gather(
    config: Config, members: Sequence[Member], progress: Progress | None, doubts: Sequence[str] = ()
) -> Ensemble:
    """Predictions of held-out images, the table, the model file; `doubts` about their being held out."""
    out, classes = config.output.dir, config.data.class_table()
    folded = members[0].fold is not None
    rows = [_row(member) for member in members]
    scores: dict[str, Any] = {}
    calibration: Calibration | None = None
    if has_validation(members[0].config.data):
        place = "out_of_fold" if folded else "validation"
        held, by_member = _predict_held_out(members, classes, out / place, progress)
        for row in rows:
            row |= foreground_scores(by_member[row["member"]], classes)
        if wants_calibration(config):
            calibration = held.calibration()
        groups = _groups(out, held) if folded else groups_of(held.pairs, config.data)
        scores[place] = {
            **all_scores(held.images, classes),
            "intervals": intervals(held.images, groups, classes),
            "definitions": DEFINITIONS,
        }
        write_text(out / f"{place}.csv", _csv(_image_rows(held, groups, classes)))
    table = [*rows, *_statistics(rows)]
    summary = {
        "how": " ".join([HOW, *doubts]),
        "folds": len({member.fold for member in members}) if folded else None,
        "seeds": len({member.seed for member in members}),
        "members": table,
        **scores,
    }
    write_text(out / "summary.csv", _csv(table))
    write_json(out / "summary.json", summary)
    pooled = {name: value["foreground"] for name, value in scores.items()}
    models = [member.folder.model for member in members]
    save_ensemble(out / MODEL, models, scores=pooled, calibration=calibration)
    if calibration is not None and progress is not None:
        progress.line(describe_calibration(calibration))
    return Ensemble(out, out / MODEL, tuple(table), summary)


def _predict_held_out(
    members: Sequence[Member], classes: Classes, folder: Path, progress: Progress | None
) -> tuple[HeldOut, dict[str, ConfusionMatrix]]:
    """Images that some members were not trained on, by the mean of those; and each member's confusion."""
    held = HeldOut(classes, folder, len({member.fold for member in members}))
    tell = progress.update if progress is not None else lambda stage, done, total: None
    names = []
    for fold in dict.fromkeys(member.fold for member in members):
        ours = [member for member in members if member.fold == fold]
        names += [member.name for member in ours]
        held.add_fold([member.folder.model for member in ours], ours[0].config.data, fold, tell)
    if progress is not None:
        progress.close()
    return held, dict(zip(names, held.by_member, strict=True))


def _image_rows(held: HeldOut, groups: Groups, classes: Classes) -> list[dict[str, Any]]:
    return [
        {"fold": fold, "group": group, **image_row(image, classes)}
        for fold, group, image in zip(held.folds, groups.names, held.images, strict=True)
    ]


def _row(member: Member) -> dict[str, Any]:
    numbers = json.loads(member.finished.read_text(encoding="utf-8"))
    return {"member": member.name, "fold": member.fold, "seed": member.config.train.seed, **numbers}


def _statistics(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation (n - 1) over the members; None where a member has no value."""
    mean: dict[str, Any] = {"member": "mean"}
    deviation: dict[str, Any] = {"member": "SD"}
    for name in rows[0]:
        if name in ("member", "fold", "seed"):
            continue
        values = [row[name] for row in rows]
        complete = all(value is not None for value in values)
        mean[name] = float(np.mean(values)) if complete else None
        deviation[name] = float(np.std(values, ddof=1)) if complete and len(values) > 1 else None
    return [mean, deviation]


def _groups(out: Path, held: HeldOut) -> Groups:
    """The groups that the folds kept together, of the predicted images."""
    known = {row.id: row.group for row in read_folds(out / FOLDS)}
    told = json.loads((out / GROUPS).read_text(encoding="utf-8"))
    return Groups(tuple(known[pair.id] for pair in held.pairs), told["source"])


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
