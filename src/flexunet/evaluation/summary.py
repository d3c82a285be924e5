"""The report as JSON values: scores with intervals, detection, area, and how the model came about."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..metrics import ConfusionMatrix
from ..metrics.area import stratified_area
from ..metrics.bootstrap import Interval, Statistic, bootstrap_interval, sum_by_group
from ..metrics.consistency import refuse_impossible
from ..metrics.detection import Detection, area_under_roc
from ..modelfile import ModelRecord
from .evidence import number
from .groups import Groups
from .scores import MEASURES, ImageScores

FORMAT = "flexunet report"
VERSION = 1

Array = NDArray[np.float64]


def measure_of(name: str, label: int, classes: int) -> Statistic:
    """Summed confusion counts (R, K * K) to one score of one class (R,)."""

    def score(sums: Array) -> Array:
        cells = sums.reshape(len(sums), classes, classes)
        hits, truth, said = cells[:, label, label], cells[:, label].sum(1), cells[:, :, label].sum(1)
        over, under = {
            "iou": (hits, truth + said - hits),
            "f1": (2 * hits, truth + said),
            "precision": (hits, said),
            "recall": (hits, truth),
        }[name]
        return np.asarray(np.divide(over, under, out=np.full(len(sums), np.nan), where=under > 0))

    return score


def group_sizes(counts: Array, classes: Classes) -> Array:
    """How much each group weighs in foreground scores: its pixels that are foreground on either side."""
    sizes: Array = counts.sum(1)
    if classes.background is not None:
        sizes = sizes - counts[:, classes.background * (len(classes) + 1)]
    return sizes


def interval_values(interval: Interval | None) -> dict[str, Any] | None:
    """An interval as JSON values."""
    if interval is None:
        return None
    return {
        "value": number(interval.value),
        "low": number(interval.low),
        "high": number(interval.high),
        "groups": interval.groups,
        "effective_groups": number(interval.effective_groups),
    }


def intervals(images: Sequence[ImageScores], groups: Groups, classes: Classes) -> dict[str, Any]:
    """95 % intervals of every score of every class, over all images and over those with foreground."""
    size = len(classes)
    flat = np.array([image.confusion.counts.ravel() for image in images], np.float64)
    found: dict[str, Any] = {"source": groups.source, "groups": groups.count, "level": 0.95}
    chosen = {
        "all": np.ones(len(images), bool),
        "with_foreground": np.array([image.has_foreground(classes) for image in images], bool),
    }
    for name, keep in chosen.items():
        names = [group for group, kept in zip(groups.names, keep, strict=True) if kept]
        counts = sum_by_group(flat[keep], names) if keep.any() else np.zeros((0, size * size))
        weights = group_sizes(counts, classes)
        found[name] = [
            {
                "name": classes.names[label],
                **{
                    measure: interval_values(
                        bootstrap_interval(counts, measure_of(measure, label, size), sizes=weights)
                        if len(counts)
                        else None
                    )
                    for measure in MEASURES
                },
            }
            for label in range(size)
        ]
    return found


def detection(
    images: Sequence[ImageScores],
    scores: Sequence[float],
    threshold: float | None,
    classes: Classes,
    groups: Groups,
) -> dict[str, Any] | None:
    """Images with an object told from those without; None without a background class."""
    if classes.background is None or not images:
        return None
    there = np.array([image.has_foreground(classes) for image in images])
    values = np.array(scores)
    foreground = list(classes.foreground)
    touched = np.array([image.confusion.predicted[foreground].sum() > 0 for image in images])
    rules = {"any_pixel": touched, "always": np.ones(len(images), bool)}
    if threshold is not None:
        rules["image_threshold"] = values >= threshold
    found: dict[str, Any] = {
        "images_with": int(there.sum()),
        "images_without": int((~there).sum()),
        "auroc": area_under_roc(values, there),
        "image_threshold": threshold,
        "rules": {},
    }
    for name, said in rules.items():
        counted = Detection.of(said, there)
        cells = np.stack([said & there, said & ~there, ~said & there], 1)
        interval = bootstrap_interval(
            sum_by_group(cells, groups.names), _detection_f1, sizes=sum_by_group(
                np.ones((len(images), 1)), groups.names)[:, 0]
        )  # fmt: skip
        found["rules"][name] = {
            "hits": counted.hits, "false_alarms": counted.false_alarms, "misses": counted.misses,
            "rejections": counted.rejections, "precision": counted.precision, "recall": counted.recall,
            "f1": counted.f1, "f1_interval": interval_values(interval),
        }  # fmt: skip
    return found


def _detection_f1(sums: Array) -> Array:
    whole = 2 * sums[:, 0] + sums[:, 1] + sums[:, 2]
    return np.asarray(np.divide(2 * sums[:, 0], whole, out=np.full(len(sums), np.nan), where=whole > 0))


def area(
    images: Sequence[ImageScores], groups: Groups, classes: Classes, pixel_m2: Sequence[float | None]
) -> dict[str, Any] | None:
    """Mapped and corrected area of each class with its 95 % interval; None where it cannot be had.

    With every pixel of the split labelled the corrected area is the true one. The interval takes the split
    for a sample of groups: P(true class | mapped class) is drawn by groups while the mapped areas stay.
    """
    size = len(classes)
    on_ground = bool(pixel_m2) and all(value is not None for value in pixel_m2)
    factors = np.array([value if on_ground else 1.0 for value in pixel_m2], np.float64)
    flat = np.array([image.confusion.counts.ravel() for image in images], np.float64) * factors[:, None]
    total = flat.sum(0).reshape(size, size)
    mapped = total.sum(0)
    if not mapped.sum():
        return None
    pixels = sum((image.confusion.counts for image in images), np.zeros((size, size), np.int64))
    if any(0 < count < 2 for count in pixels.sum(0)):
        return None
    by_pixels = stratified_area(pixels, mapped)
    counts = sum_by_group(flat, groups.names)
    rows = []
    for label, name in enumerate(classes.names):
        interval = bootstrap_interval(
            counts, _corrected(label, mapped, size), sizes=group_sizes(counts, classes)
        )
        rows.append({
            "name": name,
            "mapped": number(mapped[label]),
            "true": number(total[label].sum()),
            "corrected": number(by_pixels.estimated[label]),
            "margin_if_pixels_were_independent": number(1.96 * by_pixels.standard_error[label]),
            "interval": interval_values(interval),
        })  # fmt: skip
    shares = np.divide(total, mapped, out=np.full(total.shape, np.nan), where=mapped > 0)
    return {
        "unit": "m2" if on_ground else "px",
        "classes": rows,
        "true_share_of_mapped": [[number(value) for value in column] for column in shares.T.tolist()],
    }


def _corrected(label: int, mapped: Array, size: int) -> Statistic:
    def estimate(sums: Array) -> Array:
        cells = sums.reshape(len(sums), size, size)
        said = cells.sum(1)
        share = np.divide(cells[:, label], said, out=np.zeros_like(said), where=said > 0)
        missing = ((said == 0) & (mapped > 0)).any(1)
        return np.where(missing, np.nan, (share * mapped).sum(1))

    return estimate


def consistency(scores: dict[str, Any]) -> dict[str, Any]:
    """Check every class's scores as printed and in full.

    Raises:
        DataError: some exclude each other.
    """
    parts = {"": scores, "with foreground: ": scores.get("with_foreground", {})}
    checked = 0
    for prefix, part in parts.items():
        exact = {
            prefix + row["name"]: {measure: row[measure] for measure in MEASURES}
            for row in part.get("classes", ())
        }
        refuse_impossible(exact)
        printed = {
            name: {m: None if v is None else round(v, 3) for m, v in row.items()}
            for name, row in exact.items()
        }
        refuse_impossible(printed, 3)
        checked += len(exact)
    return {"classes_checked": checked, "decimals": 3, "agrees": True}


# ---------------------------------------------------------------------------------- how the model came about


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


def image_rows(
    images: Sequence[ImageScores], groups: Groups, scores: Sequence[float], classes: Classes
) -> list[dict[str, Any]]:
    """What a later comparison needs of each image."""
    return [
        {
            "id": image.id,
            "group": group,
            "height": image.height,
            "width": image.width,
            "counts": image.confusion.counts.ravel().tolist(),
            "score": None if (own := image.score(classes)) is None else number(own),
            "has_foreground": image.has_foreground(classes),
            "image_score": number(score),
        }
        for image, group, score in zip(images, groups.names, scores, strict=True)
    ]


def confusion_of(row: dict[str, Any], classes: int) -> ConfusionMatrix:
    """The confusion matrix of a row of `image_rows`."""
    return ConfusionMatrix(classes, np.array(row["counts"]).reshape(classes, classes))
