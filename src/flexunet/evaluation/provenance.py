"""How a model came about and what it was measured on: the facts of the report that are no scores."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ..modelfile import ModelRecord


def training_facts(record: ModelRecord, model: Path | None) -> dict[str, Any]:
    """From the record, and the log beside the model where there is one."""
    config = record.training.get("config", {}).get("train", {})
    facts: dict[str, Any] = {
        "model": record.model.model_dump(mode="json"),
        "size": list(record.data.size),
        "sizing": record.data.sizing,
        "bands": list(record.bands.names),
        "epochs_planned": config.get("epochs"),
        "best_epoch": record.training.get("epoch"),
        "images": record.training.get("images"),
        "precision": record.training.get("precision"),
        "accelerator": record.training.get("accelerator"),
        "processes": record.training.get("processes"),
        "config": config,
        "augmentation": record.training.get("config", {}).get("augment", {}).get("enabled"),
        "versions": record.versions,
        "created": record.created,
        "model_bytes": None if model is None else model.stat().st_size,
    }
    return facts | log_facts(model, config)


def log_facts(model: Path | None, config: dict[str, Any]) -> dict[str, Any]:
    """Epochs done, time and curves from `log.csv`; says where the run is unfinished."""
    places = [] if model is None else [model.parent / "log.csv", model.parent.parent / "eval" / "log.csv"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return {"epochs_done": None, "seconds": None, "unfinished": None, "curve": None}
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    done, planned, patience = len(rows), config.get("epochs"), config.get("patience")
    unfinished = None
    if planned is not None and done < planned and patience is None:
        unfinished = f"{done} of {planned} epochs are done: the run goes on, was stopped, or broke off"
    column = {name: [_float(row.get(name)) for row in rows] for name in ("epoch", "val_iou", "val_loss")}
    seconds = [_float(row.get("seconds")) or 0.0 for row in rows]
    return {
        "epochs_done": done,
        "seconds": round(sum(seconds), 1),
        "unfinished": unfinished,
        "curve": column,
    }


def check_facts(model: Path | None, root: Path | None) -> dict[str, Any] | None:
    """What `flexunet check` wrote into `check.json`, in the run folder or beside the data."""
    for folder in (None if model is None else model.parent, root):
        if folder is not None and (folder / "check.json").is_file():
            try:
                content = json.loads((folder / "check.json").read_text(encoding="utf-8"))
            except ValueError:
                continue
            if isinstance(content, dict):
                return content
    return None


def machine_facts(compute: str, threads: int) -> dict[str, Any]:
    """Processor, cores, memory and versions of this machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "compute": compute,
        "system": platform.platform(),
        "python": platform.python_version(),
        "peak_memory_mb": peak_memory_mb(),
    }


def peak_memory_mb() -> float | None:
    """Most memory that this process has held so far; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 1024), 1)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _float(text: str | None) -> float | None:
    return float(text) if text else None
