"""The report as JSON values: scores with intervals, detection, area, consistency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..metrics import ConfusionMatrix
from ..metrics.area import stratified_area
from ..metrics.bootstrap import Interval, Statistic, bootstrap_interval, sum_by_group
from ..metrics.consistency import refuse_impossible
from ..metrics.detection import Detection, area_under_roc
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
            "applicability": None if image.applicability is None else number(image.applicability),
        }
        for image, group, score in zip(images, groups.names, scores, strict=True)
    ]


def confusion_of(row: dict[str, Any], classes: int) -> ConfusionMatrix:
    """The confusion matrix of a row of `image_rows`."""
    return ConfusionMatrix(classes, np.array(row["counts"]).reshape(classes, classes))
