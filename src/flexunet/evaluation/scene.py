"""The class map of a scene against its truth: scores, objects, and a map of the errors."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import DataError, OutputExistsError
from ..files import write_text
from ..machine import give_back_memory
from ..metrics import ConfusionMatrix, ObjectCounter
from ..raster import Grid, RasterReader, Window, open_raster
from ..raster.cog import Layer, create_part, write_cog
from ..raster.ground import metres_per_pixel
from ..raster.session import gdal_session
from ..views import draw_confusion, draw_error_map
from .scores import DEFINITIONS, pooled
from .table import aligned, percent, three
from .truth import Truth, open_truth, strips

SCORES, ERROR_MAP, ERROR_PICTURE, CONFUSION = "scores.json", "error_map.tif", "error_map.png", "confusion.png"

ERRORS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("background, right", (236, 236, 236)),
    ("found (true positive)", (38, 150, 80)),
    ("false alarm (false positive)", (214, 48, 49)),
    ("missed (false negative)", (31, 97, 214)),
    ("wrong class", (240, 160, 30)),
)
"""What the values of the error map mean, and their colours; 255 is not counted."""

CACHE_BYTES = 256 << 20
"""Of GDAL: a row of blocks of all three files, 40 000 pixels wide, and room to spare."""
_COPIED = ("iou", "f1", "precision", "recall", "foreground", "pixel_accuracy")
_DEFINITIONS = {
    **{name: DEFINITIONS[name] for name in _COPIED},
    "pixels": "Pixels with both a predicted class and a truth; only these are counted.",
    "unsure": "Pixels with a truth whose class was left open (predict --unsure); not counted.",
    "not_predicted": "Pixels with a truth but without a predicted class: no data, or outside the area of "
    "interest.",
    "objects": "Connected regions (8 neighbours) of one class. Of the true ones: found, at least half of the "
    "pixels are predicted; touched, at least one is; missed, none is. Of the predicted ones: confirmed, at "
    "least half of the pixels are true; false_alarms, none is.",
}


@dataclass(frozen=True)
class SceneEvaluation:
    """What the comparison of a class map with its truth found."""

    scores: dict[str, Any]
    """Everything in `scores.json`: JSON values, None for what cannot be measured."""
    confusion: ConfusionMatrix
    notes: tuple[str, ...]
    """How the truth was understood."""
    out: Path


def evaluate_scene(
    class_map: Path,
    truth: Path,
    classes: Classes,
    out: Path,
    *,
    scene: Path | str | None = None,
    attribute: str | None = None,
    open_label: int | None = None,
    least_object_px: int = 1,
    overwrite: bool = False,
    cache_bytes: int = CACHE_BYTES,
    progress: Callable[[str, int, int], None] | None = None,
) -> SceneEvaluation:
    """Score a class map against a raster of labels or polygons, strip by strip.

    Writes `scores.json`, `confusion.png`, `error_map.tif` (a COG: see `ERRORS`) and `error_map.png` to the
    folder `out`. Pixels without a predicted class (nodata, outside the area of interest) and those the truth
    leaves open are not counted. Memory: strips of 2 million pixels (at least 128 rows), GDAL's block cache,
    polygons of the truth.

    Args:
        class_map: one band of labels, 255 where nothing was predicted.
        truth: see `open_truth`.
        scene: shown below the error picture; left out: the errors on white.
        attribute: of truth polygons, the one that says the class.
        open_label: of pixels that `predict --unsure` left open; they are not counted.
        least_object_px: smaller objects are not counted as objects.
        overwrite: whether an evaluation in `out` may be replaced.
        cache_bytes: the block cache; a smaller one decodes blocks of files as wide as the scene again.
        progress: told ("evaluating", pixels done, pixels in all).

    Raises:
        RasterError: a raster cannot be read or written.
        DataError: a truth that does not fit; no pixel with both a prediction and a truth.
        OutputExistsError: `out` holds an evaluation and `overwrite` is False.
    """
    give_back_memory()
    if (out / SCORES).exists() and not overwrite:
        raise OutputExistsError(f"{out} holds an evaluation already. Use --overwrite, or another folder.")
    confusion = ConfusionMatrix(len(classes))
    objects = {label: ObjectCounter(label, least_object_px) for label in classes.foreground}
    left_out = {"not_predicted": 0, "not_predicted_foreground": 0, "no_truth": 0, "unsure": 0}
    with gdal_session(cache_bytes), open_raster(class_map) as predicted:
        count, height, width = predicted.shape
        if count != 1:
            raise DataError(f"{class_map}: a class map has one band, this has {count}.")
        shape, grid = (height, width), predicted.grid
        with open_truth(truth, grid, shape, classes, attribute) as known:
            notes = known.notes
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".error_map.", dir=out) as work:
                part = Path(work) / "errors.tif"
                with create_part(part, _error_layer(), shape) as write:
                    for window in strips(shape):
                        labels, found = _both(predicted, known, window, classes, left_out, open_label)
                        confusion.add(labels, found)
                        for counter in objects.values():
                            counter.add(labels, found)
                        write(error_codes(labels, found, classes)[None], window)
                        if progress is not None:
                            progress("evaluating", (window.row + window.height) * width, height * width)
                if not confusion.total:
                    raise DataError(
                        f"{truth}: no pixel of {class_map} has both a predicted class and a truth; "
                        "do they lie in the same place?"
                    )
                write_cog(out / ERROR_MAP, _error_layer(), [(part, Window(0, 0, height, width))], shape, grid)
    scores = {
        "class_map": str(class_map),
        "truth": str(truth),
        "height": height,
        "width": width,
        "metres_per_pixel": metres_per_pixel(grid, shape),
        **pooled(confusion, classes),
        "confusion": {"rows": "truth", "columns": "prediction", "counts": confusion.counts.tolist()},
        "objects": {
            "least_pixels": least_object_px,
            "classes": [
                {"name": classes.names[label], **counter.finish()} for label, counter in objects.items()
            ],
        },
        "not_counted": left_out,
        "notes": list(notes),
        "definitions": _DEFINITIONS,
    }
    draw_confusion(confusion.counts, classes, out / CONFUSION, f"{class_map.name}, share of true pixels")
    with gdal_session(cache_bytes):
        draw_error_map(out / ERROR_MAP, out / ERROR_PICTURE, ERRORS, scene=scene, title=class_map.name)
    write_text(out / SCORES, json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return SceneEvaluation(scores, confusion, notes, out)


def check_truth(
    truth: Path,
    grid: Grid,
    shape: tuple[int, int],
    classes: Classes,
    attribute: str | None = None,
    *,
    cache_bytes: int = CACHE_BYTES,
) -> None:
    """Refuse a truth that `evaluate_scene` would refuse for a class map of `shape` (height, width) on `grid`.

    Costs reading it once, in strips, with GDAL's block cache of `cache_bytes`.

    Raises:
        RasterError, DataError, MissingExtraError: see `open_truth`.
    """
    with gdal_session(cache_bytes), open_truth(truth, grid, shape, classes, attribute):
        pass


def error_codes(
    truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: Classes
) -> NDArray[np.uint8]:
    """Places in `ERRORS`, uint8 (H, W), for labels (H, W) of both; 255 where the truth is ignored."""
    right = truth == predicted
    background = -1 if classes.background is None else classes.background
    empty, quiet = truth == background, predicted == background
    codes = np.full(truth.shape, 4, np.uint8)
    codes[right] = 1
    codes[right & empty] = 0
    codes[empty & ~quiet] = 2
    codes[~empty & quiet] = 3
    codes[truth == IGNORE_INDEX] = IGNORE_INDEX
    return codes


def scene_table(scores: dict[str, Any]) -> str:
    """The scores of `SceneEvaluation.scores` for a terminal."""
    rows = [["class", "IoU", "F1", "precision", "recall", "true pixels", "found objects", "false alarms"]]
    objects = {item["name"]: item for item in scores["objects"]["classes"]}
    for item in scores["classes"]:
        seen = objects.get(item["name"])
        row = [item["name"], *(three(item[name]) for name in ("iou", "f1", "precision", "recall"))]
        row.append(f"{item['truth_pixels']:,}")
        row.append(f"{seen['found']} of {seen['true_objects']}" if seen else "")
        row.append(f"{seen['false_alarms']} of {seen['predicted_objects']}" if seen else "")
        rows.append(row)
    lines = [f"{scores['pixels']:,} pixels counted", "", *aligned(rows)]
    lines += ["", f"pixel accuracy {three(scores['pixel_accuracy'])}"]
    left_out = scores["not_counted"]
    if left_out["not_predicted_foreground"]:
        pixels = left_out["not_predicted"]
        share = percent(left_out["not_predicted_foreground"] / pixels)
        lines.append(f"{pixels:,} pixels with a truth were not predicted, {share} of them foreground")
    if left_out["unsure"]:
        share = percent(left_out["unsure"] / (left_out["unsure"] + scores["pixels"]))
        lines.append(
            f"{left_out['unsure']:,} pixels with a truth, {share}, were left open and are not counted"
        )
    return "\n".join(lines)


def _both(
    predicted: RasterReader,
    known: Truth,
    window: Window,
    classes: Classes,
    left_out: dict[str, int],
    open_label: int | None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truth and prediction of a window, IGNORE_INDEX in both where either says nothing."""
    band, valid = predicted.read_valid(window)
    labels = known.labels(window)
    open_ = np.zeros_like(valid) if open_label is None else valid & (band[0] == open_label)
    if bool(((band[0] >= len(classes)) & (band[0] != IGNORE_INDEX) & valid & ~open_).any()):
        highest = band[0][valid & (band[0] != IGNORE_INDEX)].max()
        raise DataError(
            f"{predicted.path}: has label {highest}; labels are 0 to {len(classes) - 1} "
            f"({', '.join(classes.names)})."
        )
    missing = ~valid | (band[0] == IGNORE_INDEX) | open_
    said = labels != IGNORE_INDEX
    background = -1 if classes.background is None else classes.background
    left_out["unsure"] += int((open_ & said).sum())
    missed = missing & said & ~open_
    left_out["not_predicted"] += int(missed.sum())
    left_out["not_predicted_foreground"] += int((missed & (labels != background)).sum())
    left_out["no_truth"] += int((~missing & ~said).sum())
    unknown = missing | ~said
    ignored = np.uint8(IGNORE_INDEX)
    return np.where(unknown, ignored, labels), np.where(unknown, ignored, band[0]).astype(np.uint8)


def _error_layer() -> Layer:
    names, colours = tuple(name for name, _ in ERRORS), tuple(colour for _, colour in ERRORS)
    return Layer(1, "uint8", IGNORE_INDEX, ("error",), colours=colours, class_names=names)
