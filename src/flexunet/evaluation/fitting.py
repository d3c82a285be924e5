"""Temperature and thresholds of a model, fitted on a split that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..config.schema import DataConfig
from ..data import Store
from ..errors import DataError
from ..metrics.calibration import (
    LEAST,
    ProbabilityHistogram,
    fit_temperature,
    negative_log_likelihood,
    scale_probabilities,
)
from ..metrics.detection import TOP_SHARE, best_image_threshold
from ..modelfile import Calibration, ModelRecord, read_record, replace_record
from ..prediction import Predictor
from ..raster import Grid, Picture
from .applicability import fit_applicability
from .groups import groups_of
from .leakage import members_prints, trained_on
from .opening import Split, open_split

SAMPLED = 2_000_000
"""Pixels in all that are kept for the fit."""
MOST_AN_IMAGE, LEAST_AN_IMAGE = 16_384, 64

Progress = Callable[[str, int, int], None]


@dataclass
class _Sample:
    """Pixels drawn from the images, each standing for `weights` pixels."""

    logs: list[NDArray[np.float32]] = field(default_factory=list)  # (n, K)
    truth: list[NDArray[np.uint8]] = field(default_factory=list)  # (n,)
    weights: list[NDArray[np.float64]] = field(default_factory=list)  # (n,)
    highest: list[NDArray[np.float32]] = field(default_factory=list)  # foreground, two classes only
    there: list[bool] = field(default_factory=list)


def calibrate_model(
    path: Path,
    data: DataConfig,
    split: Split = "valid",
    *,
    tta: bool | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Calibration:
    """Fit a model file's calibration on a split and store it in the file; the weights stay as they are.

    With the training pictures at hand and a network that features can be taken from, also what tells other
    pictures from them (`fit_applicability`); what the file says of that stays otherwise.

    Raises:
        DataError: the split cannot be used or has no labelled pixel, or members of an ensemble were trained
        on it.
        ModelFileError: the model file cannot be used.
    """
    tell = progress or (lambda stage, done, images: None)
    predictor = Predictor.from_file(path, device=device)
    store = open_split(predictor.record, data, split, tell)
    doubt = _refuse_seen(predictor.record, data, split)
    found = fit_calibration(predictor, store, split, tta=tta, progress=tell)
    if doubt is not None:
        found = found.model_copy(update={"fitted_on": {**found.fitted_on, "doubt": doubt}})
    fitted: dict[str, Any] = {"calibration": found}
    with suppress(DataError):
        train = open_split(predictor.record, data, "train", tell)
        groups = groups_of(store.pairs, data).names
        fitted["applicability"] = fit_applicability(
            predictor, train, store, groups, split=split, progress=tell
        )
    replace_record(path, read_record(path).model_copy(update=fitted))
    return found


def _refuse_seen(record: ModelRecord, data: DataConfig, split: Split) -> str | None:
    """Refuse to fit where members of an ensemble were trained; what is in doubt where nobody knows.

    Raises:
        DataError: members were trained on the split.
    """
    if len(members_prints(record)) < 2:
        return None
    trained = trained_on(record, data)
    if split in trained.stores:
        raise DataError(
            f"members of the ensemble were trained on the {split} split: temperature and threshold fitted "
            f"there would be too sure. Use it uncalibrated, or give images that no member has seen as "
            f"{split}: --data FOLDER."
        )
    return trained.why_unknown or None


def fit_calibration(
    predictor: Predictor,
    store: Store,
    split: str = "valid",
    *,
    tta: bool | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Temperature by the likelihood of all classes; with two classes also the threshold with the best pooled
    IoU, and the one for whole images with the best F1.

    The pixels are those of finished predictions (after flips, tiles, resizing) at the masks' resolution. At
    most `SAMPLED` are kept, drawn evenly from each image and weighed by its size: for two classes 26 MB, for
    K classes 4 K + 9 bytes a pixel. A threshold other than one half has to gain 0.002 of IoU.

    Raises:
        DataError: no labelled pixel.
    """
    eightfold = predictor.settings.tta if tta is None else tta
    classes = predictor.record.classes
    sample = _draw(predictor.uncalibrated(), store, eightfold, progress)
    if not sample.logs or not sum(map(len, sample.truth)):
        raise DataError(f"the {split} split has no labelled pixel to calibrate on.")
    logs, truth = np.concatenate(sample.logs), np.concatenate(sample.truth)
    weights = np.concatenate(sample.weights)
    temperature = fit_temperature(logs, truth, weights)
    fitted_on: dict[str, Any] = {
        "split": split,
        "images": len(store),
        "fingerprint": store.fingerprint,
        "pixels_sampled": len(truth),
        "nll_before": negative_log_likelihood(logs, truth, weights),
        "nll_after": negative_log_likelihood(logs, truth, weights, temperature),
    }
    before = np.exp(logs).T
    after = scale_probabilities(before, temperature)
    for name, p in (("before", before), ("after", after)):
        fitted_on[f"ece_{name}"] = _confidence(p, truth, weights).reliability().error
    threshold = image_threshold = None
    if len(classes) == 2 and classes.background is not None:
        threshold, image_threshold = _thresholds(sample, after, temperature, classes, fitted_on)
    return Calibration(
        temperature=temperature,
        threshold=threshold,
        image_threshold=image_threshold,
        tta=eightfold,
        fitted_on=fitted_on,
    )


def describe_calibration(found: Calibration) -> str:
    """One line about what was fitted and what it changed."""
    about = found.fitted_on
    parts = [f"Calibrated on {about['images']} {about['split']} images: temperature {found.temperature:.2f}"]
    if found.threshold is not None:
        gain = f"IoU {about['iou_at_half']:.3f} to {about['iou_at_threshold']:.3f}"
        parts.append(f"threshold {found.threshold:.2f} ({gain} there)")
    parts.append(f"calibration error {about['ece_before']:.4f} to {about['ece_after']:.4f}")
    doubt = (
        f" Not known whether members were trained on these images: {about['doubt']}."
        if "doubt" in about
        else ""
    )
    return ", ".join(parts) + "." + doubt


def _draw(predictor: Predictor, store: Store, tta: bool, progress: Progress | None) -> _Sample:
    rng = np.random.default_rng(0)
    classes = predictor.record.classes
    two = len(classes) == 2 and classes.background is not None
    most = int(np.clip(SAMPLED // max(len(store), 1), LEAST_AN_IMAGE, MOST_AN_IMAGE))
    pictures = (Picture(store.image(i), store.valid(i), Grid()) for i in range(len(store)))
    sample = _Sample()
    for index, found in enumerate(predictor.predict(pictures, tta=tta, keep_probabilities=True)):
        assert found.probabilities is not None
        known = np.flatnonzero((store.labels(index) != IGNORE_INDEX) & found.picture.valid)
        if progress is not None:
            progress("calibrating", index + 1, len(store))
        if not len(known):
            continue
        p = found.probabilities.reshape(len(found.probabilities), -1)
        truth = np.asarray(store.labels(index)).ravel()
        drawn = known if len(known) <= most else rng.choice(known, most, replace=False)
        sample.logs.append(np.log(np.maximum(p[:, drawn].T, np.float32(LEAST))))
        sample.truth.append(truth[drawn])
        sample.weights.append(np.full(len(drawn), len(known) / len(drawn)))
        if two:
            (label,) = classes.foreground
            kept = max(1, int(len(known) * TOP_SHARE))
            sample.highest.append(np.partition(p[label, known], len(known) - kept)[-kept:])
            sample.there.append(bool((truth[known] == label).any()))
    return sample


def _confidence(
    p: NDArray[np.float32], truth: NDArray[np.uint8], weights: NDArray[np.float64]
) -> ProbabilityHistogram:
    """Pixels by the probability of the likeliest class, and whether it is the true one."""
    histogram = ProbabilityHistogram()
    histogram.add(p.max(0), p.argmax(0) == truth, weights)
    return histogram


def _thresholds(
    sample: _Sample,
    p: NDArray[np.float32],
    temperature: float,
    classes: Classes,
    fitted_on: dict[str, Any],
) -> tuple[float | None, float | None]:
    """For pixels and for images; None for pixels where none is in the truth."""
    (label,) = classes.foreground
    truth = np.concatenate(sample.truth)
    histogram = ProbabilityHistogram()
    histogram.add(p[label], truth == label, np.concatenate(sample.weights))
    curve = histogram.curve()
    threshold: float | None = None
    if (truth == label).any():
        threshold = curve.best_threshold()
        for name, value in (("at_half", 0.5), ("at_threshold", threshold)):
            fitted_on[f"iou_{name}"] = float(curve.iou[int(np.argmin(np.abs(curve.thresholds - value)))])
    means = []
    for top in sample.highest:
        scaled = scale_probabilities(np.stack([1 - top, top]), temperature)
        means.append(float(scaled[1].mean()))
    return threshold, best_image_threshold(np.array(means), np.array(sample.there, np.bool_))
