"""From the counts of held-out images to the gap: scores with intervals, differences in pairs, a table."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..config import Config
from ..evaluation.compare import paired_difference
from ..evaluation.groups import Groups
from ..evaluation.scores import DEFINITIONS, ImageScores, all_scores, total
from ..evaluation.summary import group_sizes, interval_values, intervals, measure_of
from ..files import write_text
from ..metrics import ConfusionMatrix
from ..metrics.bootstrap import Statistic, bootstrap_interval, sum_by_group
from ..modelfile import ORIGINS
from ..training.hardware import choose_hardware
from ..views.gap import GapPoint, draw_gap
from .schemes import SCHEMES, Division, SchemeName

HOW = (
    "Every image of train and valid is predicted once under each division (and seed) by a model that was not "
    "trained on its part; the pooled score is over the same images each time. Nothing was chosen on them: "
    "last epoch, likelier class, no calibration. The test split was not opened. Counts of several seeds are "
    "added."
)
INTERVALS = (
    "95 % expanded percentile bootstrap: groups of images are drawn again, whole regions for `by_region`. "
    "Groups say what other images of the same places would give, regions what other regions would give; with "
    "few regions the latter is wide; images without a region are drawn with the one they were held out with. "
    "Differences are drawn in pairs. The spread over seeds is not in them."
)
LABELS = {
    "random": "held out at random",
    "grouped": "held out by groups",
    "regions": "held out by region",
}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class GapRun:
    """One run and what it made of the images it was not trained on."""

    scheme: str
    part: str
    seed: int
    epochs: int
    seconds: float
    images: tuple[ImageScores, ...]


def foreground_iou(classes: Classes) -> Statistic:
    """Mean IoU over the foreground classes from summed counts (R, K * K); classes that are absent are left
    out, NaN where all are.
    """

    def score(sums: Array) -> Array:
        values = np.stack([measure_of("iou", label, len(classes))(sums) for label in classes.foreground])
        known = np.isfinite(values)
        count = known.sum(0)
        mean = np.where(known, values, 0.0).sum(0) / np.maximum(count, 1)
        return np.asarray(np.where(count > 0, mean, np.nan))

    return score


def score_gap(
    runs: Iterable[GapRun], division: Division, config: Config, seeds: int, doubts: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything in `gap.json`; `doubts`: whether images were held out from all that the runs come of."""
    classes = config.data.class_table()
    all_runs = list(runs)
    order = [pair.id for pair in division.pairs]
    images = {
        name: _added_up([run for run in all_runs if run.scheme == name], order, classes) for name in SCHEMES
    }
    by_region = _units(division)
    schemes = {
        name: {
            "label": LABELS[name],
            "parts": len(next(s for s in division.schemes if s.name == name).parts),
            "mean_training_images": _training_images(all_runs, name, len(order)),
            **all_scores(images[name], classes),
            "iou": _foreground_interval(images[name], division.groups.names, classes),
            "iou_by_region": _foreground_interval(images[name], by_region.names, classes),
            "iou_of_seeds": _of_seeds(all_runs, name, classes),
            "intervals": intervals(images[name], division.groups, classes),
            "intervals_by_region": intervals(images[name], by_region, classes),
        }
        for name in SCHEMES
    }
    counts = {name: _counts(images[name]) for name in SCHEMES}
    differences = [
        {
            "from": one,
            "to": other,
            "iou": paired_difference(
                counts[one], counts[other], division.groups.names, foreground_iou(classes), classes
            ),
            "iou_by_region": paired_difference(
                counts[one], counts[other], by_region.names, foreground_iou(classes), classes
            ),
        }
        for one, other in (*pairwise(SCHEMES), (SCHEMES[0], SCHEMES[-1]))
    ]
    train = config.train
    return {
        "format": "flexunet gap",
        "version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "how": HOW,
        "doubts": list(doubts),
        "intervals_how": INTERVALS,
        "definitions": DEFINITIONS,
        "images": len(order),
        "groups": division.groups.count,
        "group_source": division.groups.source,
        "regions": len(set(division.regions.values())),
        "region_source": division.region_source,
        "images_without_region": len(order) - len(division.regions),
        "seeds": seeds,
        "classes": list(classes.names),
        "recipe": _recipe(config, all_runs),
        "hardware": str(choose_hardware(train.accelerator, train.precision)),
        "schemes": schemes,
        "differences": differences,
        "by_region": _region_rows(images, division, classes),
        "runs": [
            {"scheme": run.scheme, "part": run.part, "seed": run.seed, "images": len(run.images),
             "epochs": run.epochs, "seconds": run.seconds, "iou": _iou(run.images, classes)}
            for run in all_runs
        ],
    }  # fmt: skip


def _recipe(config: Config, runs: Sequence[GapRun]) -> dict[str, Any]:
    """How each run was trained; where other models lie is nobody's business."""
    train = config.train
    origins = {part: getattr(train, part) for part in ORIGINS}
    return {
        "quality": config.quality,
        "model": config.model.model_dump(mode="json"),
        "size": list(config.data.size),
        "epochs": runs[0].epochs,
        "budget_minutes": train.budget_minutes,
        "minutes_a_run": round(statistics.mean(run.seconds for run in runs) / 60, 2),
        "train": {
            **train.model_dump(mode="json", exclude={"epoch_pictures_images"}),
            **{part: path and path.name for part, path in origins.items()},
        },
        "augment": config.augment.model_dump(mode="json"),
    }


def write_gap(results: dict[str, Any], folder: Path) -> str:
    """Write `gap.json`, `gap.png` and `gap.txt`; the text."""
    text = gap_text(results)
    write_text(folder / "gap.json", json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(folder / "gap.txt", text + "\n")
    draw_gap(
        [
            GapPoint(
                scheme["label"], scheme["foreground"]["iou"], _ends(scheme["iou"]),
                _ends(scheme["iou_by_region"]), tuple(scheme["iou_of_seeds"]),
            )
            for scheme in results["schemes"].values()
        ],
        {row["region"]: (row["images"], row["random"], row["regions"]) for row in results["by_region"]},
        folder / "gap.png",
        title=_headline(results),
    )  # fmt: skip
    return text


def gap_text(results: dict[str, Any]) -> str:
    """The tables of the command line."""
    lines = [f"{'':22}{'IoU':>7}{'95 % by groups':>19}{'95 % by regions':>19}{'SD of seeds':>13}"]
    for scheme in results["schemes"].values():
        seeds = scheme["iou_of_seeds"]
        spread = f"{statistics.stdev(seeds):.3f}" if len(seeds) > 1 and None not in seeds else "-"
        lines.append(
            f"{scheme['label']:22}{_number(scheme['foreground']['iou']):>7}{_span(scheme['iou']):>19}"
            f"{_span(scheme['iou_by_region']):>19}{spread:>13}"
        )
    lines.append("")
    for row in results["differences"]:
        found = row["iou"]
        if found is not None:
            lines.append(
                f"{row['to']} - {row['from']}: {found['value']:+.3f} ({found['low']:+.3f} to "
                f"{found['high']:+.3f} by groups"
                + (
                    f", {row['iou_by_region']['low']:+.3f} to {row['iou_by_region']['high']:+.3f} by regions)"
                    if row["iou_by_region"]
                    else ")"
                )
            )
    lines += ["", f"{'region':16}{'images':>7}{'random':>9}{'grouped':>9}{'left out':>9}"]
    for row in results["by_region"]:
        values = "".join(f"{_number(row[name]):>9}" for name in SCHEMES)
        lines.append(f"{row['region']:16}{row['images']:>7}{values}")
    recipe = results["recipe"]
    lines += [
        "",
        f"{len(results['runs'])} runs of {recipe['epochs']} epochs, {recipe['minutes_a_run']:.1f} minutes "
        f"each, {recipe['size'][0]} x {recipe['size'][1]} px. The test split was not opened.",
        *results["doubts"],
    ]
    return "\n".join(lines)


def _headline(results: dict[str, Any]) -> str:
    first, last = (results["schemes"][name]["foreground"]["iou"] for name in ("random", "regions"))
    return f"IoU {_number(first)} at random becomes {_number(last)} in a region that was not trained on"


def _units(division: Division) -> Groups:
    """The regions as units to draw: an image without one belongs to the region that it was held out with."""
    scheme = next(scheme for scheme in division.schemes if scheme.name == "regions")
    part = {row.id: scheme.parts[row.fold - 1] for row in scheme.rows}
    return Groups(tuple(part[pair.id] for pair in division.pairs), division.region_source)


def _added_up(runs: Sequence[GapRun], order: Sequence[str], classes: Classes) -> list[ImageScores]:
    """Each image once, with the counts of all seeds."""
    found: dict[str, list[ImageScores]] = defaultdict(list)
    for run in runs:
        for image in run.images:
            found[image.id].append(image)
    return [
        ImageScores(name, name, one.height, one.width, one.ignored, total(found[name], classes))
        for name in order
        if (one := found[name][0])
    ]


def _counts(images: Sequence[ImageScores]) -> Array:
    return np.array([image.confusion.counts.ravel() for image in images], np.float64)


def _foreground_interval(
    images: Sequence[ImageScores], names: Sequence[str], classes: Classes
) -> dict[str, Any] | None:
    summed = sum_by_group(_counts(images), names)
    found = bootstrap_interval(summed, foreground_iou(classes), sizes=group_sizes(summed, classes))
    return interval_values(found)


def _iou(images: Iterable[ImageScores], classes: Classes) -> float | None:
    pooled = sum((image.confusion for image in images), ConfusionMatrix(len(classes)))
    value = float(pooled.mean_iou(classes.foreground))
    return value if np.isfinite(value) else None


def _of_seeds(runs: Sequence[GapRun], scheme: str, classes: Classes) -> list[float | None]:
    """The pooled IoU of each seed alone."""
    return [
        _iou((i for run in runs if run.scheme == scheme and run.seed == seed for i in run.images), classes)
        for seed in sorted({run.seed for run in runs})
    ]


def _training_images(runs: Sequence[GapRun], scheme: str, images: int) -> float:
    return round(statistics.mean(images - len(run.images) for run in runs if run.scheme == scheme), 1)


def _region_rows(
    images: Mapping[SchemeName, list[ImageScores]], division: Division, classes: Classes
) -> list[dict[str, Any]]:
    """The IoU on the images of each region, under each division."""
    rows = []
    for region in sorted(set(division.regions.values())):
        ours = {name for name, there in division.regions.items() if there == region}
        row: dict[str, Any] = {"region": region, "images": len(ours)}
        for name in SCHEMES:
            row[name] = _iou((image for image in images[name] if image.id in ours), classes)
        rows.append(row)
    return rows


def _ends(interval: dict[str, Any] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval["low"], interval["high"])


def _span(interval: dict[str, Any] | None) -> str:
    return "-" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
