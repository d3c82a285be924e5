"""Two models and more on the same images: which is better, how sure that is, and where they disagree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import DataError, Problem
from ..files import write_text
from ..metrics.bootstrap import Statistic, bootstrap_interval, sum_by_group
from ..prediction import Predictor
from ..raster import Grid, Picture
from ..views import display_rgb
from ..views.compare_page import compare_page
from ..views.html_parts import Shown
from ..views.report_pictures import compare_strip
from .evidence import number
from .inputs import Job
from .opening import Progress, Split, open_split
from .scores import MEASURES
from .summary import group_sizes, interval_values, measure_of

COMPARISON_JSON, COMPARISON_HTML = "comparison.json", "comparison.html"
_PICTURES = 6

DEFINITION = (
    "Groups of images are drawn again 2000 times for all models at once; 95 % expanded percentile interval "
    "(Hesterberg 2015, Kish's effective number of groups). An interval without 0 says that the difference "
    "would keep its sign for most other samples of as many groups. Another seed of the same recipe is "
    "another model: its spread is not in here."
)

Array = NDArray[np.float64]


def compare_reports(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Scores side by side, and the difference of each to the first with its 95 % interval.

    Groups of images are drawn for both models at once (paired bootstrap), so what is hard for both cancels.

    Raises:
        DataError: the reports are of other images, classes or splits.
    """
    _same_images(reports, names)
    first = reports[0]
    size = len(first["classes"])
    classes = Classes(
        names=tuple(first["classes"]),
        colours=tuple((place, 0, 0) for place in range(size)),
        background=first["background"],
    )
    groups = [row["group"] for row in first["images"]]
    counts = [np.array([row["counts"] for row in report["images"]], np.float64) for report in reports]
    rows = []
    for label, name in enumerate(first["classes"]):
        for measure in MEASURES:
            rows.append({
                "class": name,
                "measure": measure,
                "values": [report["scores"]["classes"][label][measure] for report in reports],
                "differences": [
                    paired_difference(counts[0], other, groups, measure_of(measure, label, size), classes)
                    for other in counts[1:]
                ],
            })  # fmt: skip
    return {
        "format": "flexunet comparison",
        "version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "names": list(names),
        "split": first["split"],
        "classes": first["classes"],
        "background": first["background"],
        "images": len(first["images"]),
        "groups": len(set(groups)),
        "group_source": first["intervals"]["source"],
        "fingerprint": first["data"]["fingerprint"],
        "rows": rows,
        "others": [_others(report) for report in reports],
        "per_image": [
            {"id": row["id"], "scores": [report["images"][place]["score"] for report in reports]}
            for place, row in enumerate(first["images"])
        ],
        "definition": DEFINITION,
    }


def write_comparison(
    out: Path,
    comparison: dict[str, Any],
    jobs: Sequence[Job],
    split: Split,
    tta: Sequence[bool],
    progress: Progress | None = None,
) -> None:
    """Write `comparison.json` and `comparison.html` into `out`, with pictures where the models disagree most.

    Those few images are predicted again by every model, one model in memory at a time.

    Raises:
        DataError: the images of a job are others than those of the comparison.
    """
    tell = progress or (lambda stage, done, images: None)
    shown = _disagreements(comparison, jobs, split, tta, tell)
    text = json.dumps(comparison, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(out / COMPARISON_JSON, text + "\n")
    write_text(out / COMPARISON_HTML, compare_page(comparison, shown))


def paired_difference(
    one: Array, other: Array, groups: Sequence[str], measure: Statistic, classes: Classes
) -> dict[str, Any] | None:
    """How much better `other` is than `one`, with its 95 % interval; counts (N, K * K) of the same images."""
    cells = one.shape[1]

    def gain(sums: Array) -> Array:
        return np.asarray(measure(sums[:, cells:]) - measure(sums[:, :cells]))

    both = sum_by_group(np.hstack([one, other]), groups)
    sizes = group_sizes(both[:, :cells], classes) + group_sizes(both[:, cells:], classes)
    interval = bootstrap_interval(both, gain, sizes=sizes)
    values = interval_values(interval)
    return (
        None if interval is None or values is None else values | {"above_zero": number(interval.above_zero)}
    )


def _others(report: dict[str, Any]) -> dict[str, Any]:
    empty, found = report["scores"]["without_foreground"], report["detection"]
    return {
        "images_with_false_alarm": empty["images_with_false_alarm"],
        "images_without": empty["images"],
        "auroc": found and found["auroc"],
        "ece": report["calibration"]["after"]["ece"],
        "megapixels_per_second": number(report["time"]["megapixels_per_second"]),
        "training_seconds": report["training"]["seconds"],
        "model_bytes": report["training"]["model_bytes"],
        "architecture": report["model"]["architecture"],
        "tta": report["scores"]["prediction"]["tta"],
    }


def _same_images(reports: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    first = reports[0]
    problems = []
    for report, name in zip(reports[1:], names[1:], strict=True):
        for what, one, other in (
            ("split", first["split"], report["split"]),
            ("classes", ", ".join(first["classes"]), ", ".join(report["classes"])),
            ("images", _images(first), _images(report)),
        ):
            if one != other:
                cure = "Evaluate all of them on one dataset: --data FOLDER."
                problems.append(
                    Problem(f"other {what} than {names[0]}: {other}; not {one}", where=name, cure=cure)
                )
    if problems:
        raise DataError("these runs cannot be compared:", problems)


def _images(report: dict[str, Any]) -> str:
    """The images of a report, in words that tell them apart."""
    return f"{len(report['images'])} of fingerprint {report['data']['fingerprint'][:8]}"


def _disagreements(
    comparison: dict[str, Any], jobs: Sequence[Job], split: Split, tta: Sequence[bool], tell: Progress
) -> list[Shown]:
    """The images whose scores differ most between the first model and any other."""
    spread = []
    for place, row in enumerate(comparison["per_image"]):
        known = [score for score in row["scores"] if score is not None]
        if len(known) == len(jobs) and max(known) > min(known):
            spread.append((max(known) - min(known), place))
    places = [place for _, place in sorted(spread, reverse=True)[:_PICTURES]]
    labels: dict[int, list[NDArray[np.uint8]]] = {place: [] for place in places}
    seen: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    classes: Classes | None = None
    for number_, (job, eightfold) in enumerate(zip(jobs, tta, strict=True)):
        predictor = Predictor.from_file(job.model)
        store = open_split(predictor.record, job.data, split, tell)
        if store.fingerprint != comparison["fingerprint"]:
            raise DataError(
                f"{job.model}: its {split} split holds other images than those that are compared."
            )
        for place in places:
            picture = Picture(store.image(place), store.valid(place), Grid())
            (found,) = predictor.predict([picture], tta=eightfold)
            labels[place].append(found.labels)
            if not number_:
                truth = np.where(picture.valid, store.labels(place), np.uint8(IGNORE_INDEX))
                rgb = display_rgb(picture.pixels, picture.valid, band_names=predictor.record.bands.names)
                seen[place] = rgb, truth
        classes = classes or predictor.record.classes
        tell("where they disagree", number_ + 1, len(jobs))
    shown = []
    for place in places:
        assert classes is not None
        row = comparison["per_image"][place]
        scores = ", ".join(
            f"{name} {score:.2f}" for name, score in zip(comparison["names"], row["scores"], strict=True)
        )
        shown.append(Shown(compare_strip(*seen[place], labels[place], classes), f"{row['id']}: {scores}"))
    return shown
