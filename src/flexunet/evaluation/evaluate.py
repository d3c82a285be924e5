"""Evaluation: every image of a split predicted as `flexunet predict` does it, against its mask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..check.verdict import label_conflicts
from ..classes import IGNORE_INDEX, Classes
from ..config.schema import Config, DataConfig, EvaluateConfig
from ..data import PlainSampler, Store
from ..files import sha256_of
from ..metrics import ConfusionMatrix
from ..modelfile import ModelRecord
from ..prediction import Prediction, Predictor, decide
from ..raster import Grid, Picture, open_raster
from ..raster.ground import metres_per_pixel
from ..views import Card
from .applicability import applicability_of
from .compose import Material, compose, page_pictures, write_page
from .evidence import Evidence
from .leakage import Trained, leakage_of, trained_on
from .mask_grid import OwnMasks, brought_to
from .opening import Progress, Split, open_split
from .reference import DEFAULT_LOSS, DEFAULT_METRIC, ReferenceNumbers, loss_name, metric_name
from .report import refuse_finished, write_report
from .scores import DEFINITIONS, ImageScores, all_scores, total
from .showcase import Showcase, Showcases

_ON_PAGE = 3
_WITH_GRID = (".tif", ".tiff")


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
    pixel_size_m: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on a split, at the masks' own resolution.

    Images are decoded once into the data cache and predicted one after another. Memory: one image and its
    prediction (with `out` its probabilities too, and what `Evidence` says), a confusion matrix an image and
    the few pictures of the gallery.

    Args:
        model: model file, or a predictor.
        data: where images and masks lie; of a whole config, its data and its evaluation settings.
        split: which split.
        out: folder for `report.html`, `report.json`, `scores.json`, `per_image.csv`,
            `confusion.png`, `worst.png`, `best.png`,
            `false_alarms.png` and `evaluation.csv`; left out: nothing is written.
        settings: batch size, test-time augmentation and size of the gallery.
        tiling: whole images or tiles; left out: as the model file says.
        loss, metric: names of the reference's two numbers; left out: as the config says, else its defaults.
        pixel_size_m: edge of an image's pixel on the ground, where its file does not say it.
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
    if out is not None:
        refuse_finished(out, overwrite=overwrite)
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
    classes = predictor.record.classes
    evidence = None if out is None else Evidence(classes, predictor.calibration)
    started = time.monotonic()
    pictures = (Picture(store.image(index), store.valid(index), Grid()) for index in range(len(store)))
    predictions = predictor.uncalibrated().predict(
        pictures, tiling=tiling, tta=settings.tta, keep_probabilities=True
    )
    masks = OwnMasks(store, data, predictor.record)
    images = []
    for index, predicted in enumerate(predictions):
        labels = masks.labels(index)
        raw = brought_to(labels.shape, predicted)
        prediction = _decided(raw, predictor)
        truth = np.where(raw.picture.valid, labels, np.uint8(IGNORE_INDEX))
        images.append(_score_image(store, index, prediction, truth, classes))
        _show(showcases, images[-1], prediction, truth, predictor.record)
        numbers.add(*_as_trained(predictor.record, store, index))
        if evidence is not None:
            assert raw.probabilities is not None
            ground = pixel_area_m2(store, index, labels.shape, pixel_size_m)
            evidence.add(raw.probabilities, truth, prediction.labels, ground)
        tell("evaluating", index + 1, len(store))
    seconds = time.monotonic() - started
    trained = Trained() if split == "train" else trained_on(predictor.record, data)
    scores = {
        "split": split,
        **all_scores(images, classes),
        "reference": _reference_scores(predictor.record, numbers),
        "prediction": {
            "tta": settings.tta,
            "tiling": tiling or predictor.settings.tiling,
            "images_in_tiles": sum(
                len(predictor.framing(store.native_size(index), tiling).grid) > 1
                for index in range(len(store))
            ),
        },
        "model": _about_model(model, predictor.record),
        "applicability": applicability_of(images),
        "leakage": leakage_of(predictor.record, trained, data, split, store).for_scores(),
        "data": {"fingerprint": store.fingerprint, "notes": list(store.notes)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "definitions": DEFINITIONS,
    }
    confusion = total(images, classes)
    if out is not None and evidence is not None:
        path = None if isinstance(model, Predictor) else Path(model)
        conflicts = label_conflicts({**trained.stores, split: store}, data)
        asked = {"pixel_size_m": pixel_size_m, "gallery": settings.gallery, "tiling": tiling}
        report = compose(
            Material(predictor, path, data, store, scores, images, evidence, seconds, conflicts, asked)
        )
        cards = _cards(predictor, store, masks, images, showcases, tiling, settings)
        write_page(out, report, page_pictures(cards, classes))
        write_report(out, scores, images, confusion, classes, showcases)
    return Evaluation(scores, tuple(images), confusion, out)


def _decided(raw: Prediction, predictor: Predictor) -> Prediction:
    """The prediction that `predictor` itself makes, from its uncalibrated twin's."""
    assert raw.probabilities is not None
    classes = predictor.record.classes
    labels = decide(raw.probabilities, predictor.calibration, classes)
    labels[~raw.picture.valid] = classes.background or 0
    return Prediction(raw.picture, labels, None, raw.distance, raw.applicability)


def pixel_area_m2(
    store: Store, index: int, mask_hw: tuple[int, int], pixel_size_m: float | None
) -> float | None:
    """Ground area of a pixel of an image's mask, which has `mask_hw` of them: as the image file's grid says,
    else by `pixel_size_m`, the edge of a pixel of the image; else None.
    """
    path, (height, width) = store.pairs[index].image, store.native_size(index)
    finer = height * width / (mask_hw[0] * mask_hw[1])
    if path.suffix.lower() in _WITH_GRID:
        with open_raster(path) as raster:
            ground = metres_per_pixel(raster.grid, (height, width))
        if ground is not None:
            return ground[0] * ground[1] * finer
    return None if pixel_size_m is None else pixel_size_m**2 * finer


def _cards(
    predictor: Predictor,
    store: Store,
    masks: OwnMasks,
    images: list[ImageScores],
    showcases: Showcases,
    tiling: Literal["auto", "whole", "tiled"] | None,
    settings: EvaluateConfig,
) -> dict[str, list[Card]]:
    """The pictures of the page. Those in the middle are known at the end only and predicted once more."""
    record, most, plain = predictor.record, min(settings.gallery, _ON_PAGE), predictor.uncalibrated()
    scored = [
        (score, index)
        for index, image in enumerate(images)
        if image.has_foreground(record.classes) and (score := image.score(record.classes)) is not None
    ]
    first = max((len(scored) - most) // 2, 0)
    middle = Showcase(most)
    for score, index in sorted(scored)[first : first + most]:
        picture = Picture(store.image(index), store.valid(index), Grid())
        (raw,) = plain.predict([picture], tiling=tiling, tta=settings.tta, keep_probabilities=True)
        labels = masks.labels(index)
        shown = _decided(brought_to(labels.shape, raw), predictor)
        truth = np.where(shown.picture.valid, labels, np.uint8(IGNORE_INDEX))
        caption = f"{images[index].id}   IoU {score:.2f}"
        middle.offer((score, index), caption, shown.picture, truth, shown.labels, record.bands.names)
    return {
        "Worst of those with an object": showcases.found.worst[:most],
        "In the middle": middle.worst,
        "Best": showcases.found.best[:most],
        "Largest false alarms on images without any": showcases.false_alarms.worst[:most],
    }


def _score_image(
    store: Store, index: int, prediction: Prediction, truth: NDArray[np.uint8], classes: Classes
) -> ImageScores:
    pair, (height, width) = store.pairs[index], truth.shape
    confusion = ConfusionMatrix(len(classes))
    confusion.add(truth, prediction.labels)
    ignored = truth.size - confusion.total
    return ImageScores(pair.id, str(pair.image), height, width, ignored, confusion, prediction.applicability)


def _as_trained(
    record: ModelRecord, store: Store, index: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The image as the networks see it in training, (C, h, w) with the bands of all of them, and labels."""
    seen = [
        PlainSampler(bands, record.data.size, _reference_sizing(record))(
            store.image(index), store.labels(index), store.valid(index), np.random.default_rng(0)
        )
        for bands in record.inputs
    ]
    return np.concatenate([pixels for pixels, _ in seen]), seen[0][1]


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
        "sha256": None if path is None else sha256_of(path),
        "architecture": record.model.architecture,
        "classes": list(record.classes.names),
        "created": record.created,
        "training_data": record.fingerprint,
    }
