"""How a model came about and what it was measured on: the facts of the report that are no scores."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..machine import peak_memory_mb, processor
from ..modelfile import ModelRecord

SUMMARY = "summary.json"
"""What folds and seeds leave beside the ensemble: a table of its members."""
STATISTICS = ("mean", "SD")
"""Rows of the table after those of the members."""


def training_facts(record: ModelRecord, model: Path | None) -> dict[str, Any]:
    """From the record, and the log beside the model where there is one; of an ensemble from its members."""
    records = record.members or (record,)
    told = [member.training for member in records]
    config = _common([one.get("config", {}).get("train", {}) for one in told])
    shared = _common(told)
    facts: dict[str, Any] = {
        "model": record.model.model_dump(mode="json"),
        "size": list(record.data.size),
        "sizing": record.data.sizing,
        "bands": list(record.bands.names),
        "epochs_planned": config.get("epochs"),
        "best_epoch": None if record.members else record.training.get("epoch"),
        "images": shared.get("images"),
        "precision": shared.get("precision"),
        "accelerator": shared.get("accelerator"),
        "processes": shared.get("processes"),
        "config": config,
        "processor": shared.get("processor"),
        "threads": shared.get("threads"),
        "augmentation": _common([one.get("config", {}).get("augment", {}) for one in told]),
        "versions": record.versions,
        "created": record.created,
        "model_bytes": None if model is None else model.stat().st_size,
    }
    return facts | (member_facts(record, model) if record.members else log_facts(model, config))


def member_facts(record: ModelRecord, model: Path | None) -> dict[str, Any]:
    """A row for each member of an ensemble, from its own record and the table beside the model file."""
    table = _table_of_members(record, model)
    rows = []
    for place, member in enumerate(record.members):
        config = member.training.get("config", {}).get("train", {})
        row = table[place] if table else {}
        rows.append({
            "member": row.get("member") or f"{place + 1}",
            "architecture": member.model.architecture,
            "images": member.training.get("images"),
            "epochs_planned": config.get("epochs"),
            "epochs_done": row.get("epochs"),
            "best_epoch": member.training.get("epoch"),
            "seed": config.get("seed"),
            "seconds": row.get("seconds"),
        })  # fmt: skip
    seconds = [row["seconds"] for row in rows]
    known = None not in seconds
    return {
        "members": rows,
        "epochs_done": None,
        "seconds": round(sum(seconds), 1) if known else None,
        "peak_memory_mb": None,
        "unfinished": None,
        "curve": None,
    }


def log_facts(model: Path | None, config: dict[str, Any]) -> dict[str, Any]:
    """Epochs done, time and curves from `log.csv`; says where the run is unfinished."""
    places = [] if model is None else [model.parent / "log.csv", model.parent.parent / "eval" / "log.csv"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return dict.fromkeys(("epochs_done", "seconds", "peak_memory_mb", "unfinished", "curve"))
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    done, planned, patience = len(rows), config.get("epochs"), config.get("patience")
    column = {name: [_float(row.get(name)) for row in rows] for name in ("epoch", "val_iou", "val_loss")}
    early = patience is not None and epochs_since_best(column, config.get("monitor")) >= patience
    unfinished = None
    if planned is not None and done < planned and not early:
        unfinished = f"{done} of {planned} epochs are done: the run goes on, was stopped, or broke off"
    seconds = [_float(row.get("seconds")) or 0.0 for row in rows]
    return {
        "epochs_done": done,
        "seconds": round(sum(seconds), 1),
        "peak_memory_mb": max((_float(row.get("peak_memory_mb")) or 0.0 for row in rows), default=0) or None,
        "unfinished": unfinished,
        "curve": column,
    }


def epochs_since_best(column: Mapping[str, Sequence[float | None]], monitor: str | None) -> int:
    """Epochs after the one with the best score, as early stopping counts them.

    Where the IoU of an epoch is not measurable its loss counts, as in training.
    """
    best, waited = -math.inf, 0
    for iou, loss in zip(column["val_iou"], column["val_loss"], strict=True):
        value = -math.inf if loss is None else -loss
        if monitor != "val_loss" and iou is not None:
            value = iou
        best, waited = (value, 0) if value > best else (best, waited + 1)
    return waited


def machine_facts(compute: str, threads: int) -> dict[str, Any]:
    """Processor, cores, memory and versions of this machine."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "compute": compute,
        "system": platform.platform(),
        "python": platform.python_version(),
        "peak_memory_mb": peak_memory_mb(),
    }


def _table_of_members(record: ModelRecord, model: Path | None) -> list[dict[str, Any]] | None:
    """The rows of `summary.json` if they are of these members: as many, of the same seeds and epochs."""
    if model is None:
        return None
    try:
        rows = json.loads((model.parent / SUMMARY).read_text(encoding="utf-8"))["members"]
        rows = rows[: len(record.members)] if len(rows) == len(record.members) + len(STATISTICS) else []
        found = [(row["seed"], row["epoch"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    told = [member.training for member in record.members]
    ours = [(one.get("config", {}).get("train", {}).get("seed"), one.get("epoch")) for one in told]
    return rows if found == ours else None


def _common(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all say alike."""
    first = parts[0]
    return {name: value for name, value in first.items() if all(p.get(name) == value for p in parts[1:])}


def _float(text: str | None) -> float | None:
    return float(text) if text else None
