"""Evaluation: every image of a split predicted as `flexunet predict` does it, against its mask."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..config.schema import Config, DataConfig, EvaluateConfig
from ..data import PlainSampler, Store
from ..errors import OutputExistsError
from ..metrics import ConfusionMatrix
from ..modelfile import ModelRecord
from ..prediction import Prediction, Predictor
from ..raster import Grid, Picture
from .opening import Progress, Split, open_split
from .reference import DEFAULT_LOSS, DEFAULT_METRIC, ReferenceNumbers, loss_name, metric_name
from .report import finished, write_report
from .scores import DEFINITIONS, ImageScores, all_scores, total
from .showcase import Showcase, Showcases


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    scores: dict[str, Any]
    """Everything in `scores.json`: JSON values, None for what cannot be measured."""
    per_image: tuple[ImageScores, ...]
    confusion: ConfusionMatrix
    """Pooled over all images."""
    out: Path | None
    """Folder of the report."""


def evaluate(
    model: Path | str | Predictor,
    data: DataConfig | Config,
    split: Split = "test",
    out: Path | None = None,
    *,
    settings: EvaluateConfig | None = None,
    tiling: Literal["auto", "whole", "tiled"] | None = None,
    loss: str | None = None,
    metric: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on a split, at the masks' own resolution.

    Images are decoded once into the data cache and predicted one after another. Memory: one image and its
    prediction, a confusion matrix an image and the few pictures of the gallery.

    Args:
        model: model file, or a predictor.
        data: where images and masks lie; of a whole config, its data and its evaluation settings.
        split: which split.
        out: folder for `scores.json`, `per_image.csv`, `confusion.png`, `worst.png`, `best.png`,
            `false_alarms.png` and `evaluation.csv`; left out: nothing is written.
        settings: batch size, test-time augmentation and size of the gallery.
        tiling: whole images or tiles; left out: as the model file says.
        loss, metric: names of the reference's two numbers; left out: as the config says, else its defaults.
        overwrite: whether a report that is there already may be replaced.
        progress: told about every image.

    Raises:
        DataError: everything wrong with the split's files in one report, or data that do not fit the model.
        ConfigError: the reference has no such loss or metric.
        ModelFileError: the model file cannot be used.
        OutputExistsError: `out` holds an evaluation and `overwrite` is False.
    """
    if isinstance(data, Config):
        loss = loss or loss_name(data.train.loss)
        metric = metric or metric_name((data.evaluate.metric, *data.output.metrics))
        settings, data = settings or data.evaluate, data.data
    settings = settings or EvaluateConfig()
    if out is not None and finished(out) and not overwrite:
        raise OutputExistsError(f"{out} holds an evaluation already. Use --overwrite, or another folder.")
    predictor = model if isinstance(model, Predictor) else Predictor.from_file(Path(model))
    tell: Progress = progress or (lambda stage, done, images: None)
    store = open_split(predictor.record, data, split, tell)
    showcases = Showcases(Showcase(settings.gallery), Showcase(settings.gallery))
    numbers = ReferenceNumbers(
        predictor.network_probabilities,
        loss=loss or DEFAULT_LOSS,
        metric=metric or DEFAULT_METRIC,
        batch_size=settings.batch_size,
        one_channel=bool(getattr(predictor.record.model, "sigmoid", False)),
    )
    pictures = (Picture(store.image(index), store.valid(index), Grid()) for index in range(len(store)))
    predictions = predictor.predict(pictures, tiling=tiling, tta=settings.tta)
    images = []
    for index, prediction in enumerate(predictions):
        images.append(_score_image(predictor.record, store, index, prediction, showcases, numbers))
        tell("evaluating", index + 1, len(store))
    classes = predictor.record.classes
    scores = {
        "split": split,
        **all_scores(images, classes),
        "reference": _reference_scores(predictor.record, numbers),
        "prediction": {
            "tta": settings.tta,
            "tiling": tiling or predictor.settings.tiling,
            "images_in_tiles": sum(
                len(predictor.framing((image.height, image.width), tiling).grid) > 1 for image in images
            ),
        },
        "model": _about_model(model, predictor.record),
        "data": {"fingerprint": store.fingerprint, "notes": list(store.notes)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "definitions": DEFINITIONS,
    }
    confusion = total(images, classes)
    if out is not None:
        write_report(out, scores, images, confusion, classes, showcases)
    return Evaluation(scores, tuple(images), confusion, out)


def _score_image(
    record: ModelRecord,
    store: Store,
    index: int,
    prediction: Prediction,
    showcases: Showcases,
    numbers: ReferenceNumbers,
) -> ImageScores:
    pair, pixels, valid = store.pairs[index], prediction.picture.pixels, prediction.picture.valid
    labels = store.labels(index)
    truth = np.where(valid, labels, np.uint8(IGNORE_INDEX))
    confusion = ConfusionMatrix(len(record.classes))
    confusion.add(truth, prediction.labels)
    height, width = truth.shape
    scores = ImageScores(pair.id, str(pair.image), height, width, truth.size - confusion.total, confusion)
    _show(showcases, scores, prediction, truth, record)
    sampler = PlainSampler(record.bands, record.data.size, _reference_sizing(record))
    numbers.add(*sampler(pixels, labels, valid, np.random.default_rng(0)))
    return scores


def _show(
    showcases: Showcases,
    scores: ImageScores,
    prediction: Prediction,
    truth: NDArray[np.uint8],
    record: ModelRecord,
) -> None:
    """Offer the image to the gallery it belongs to: of what is there, or of false alarms."""
    score, classes = scores.score(record.classes), record.classes
    if score is None:
        return
    seen = (prediction.picture, truth, prediction.labels, record.bands.names)
    if scores.has_foreground(classes):
        rank = (score, -float(scores.errors))
        showcases.found.offer(rank, f"{scores.id}   IoU {score:.2f}", *seen)
        return
    alarm = scores.confusion.predicted[list(classes.foreground)].sum() / scores.confusion.total
    if alarm:
        caption = f"{scores.id}   nothing there, {100 * alarm:.1f} % false alarm"
        showcases.false_alarms.offer((-float(alarm), 0.0), caption, *seen)


def _reference_sizing(record: ModelRecord) -> Literal["resize", "fit"]:
    """The reference squeezes; a model that was trained on padded pictures is shown padded ones."""
    return "fit" if record.data.sizing == "fit" else "resize"


def _reference_scores(record: ModelRecord, numbers: ReferenceNumbers) -> dict[str, Any]:
    return {**numbers.result(), "size": list(record.data.size), "sizing": _reference_sizing(record)}


def _about_model(model: Path | str | Predictor, record: ModelRecord) -> dict[str, Any]:
    path = None if isinstance(model, Predictor) else Path(model)
    return {
        "path": None if path is None else str(path),
        "sha256": None if path is None else _sha256(path),
        "architecture": record.model.architecture,
        "classes": list(record.classes.names),
        "created": record.created,
        "training_data": record.fingerprint,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
