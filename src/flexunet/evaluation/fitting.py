"""Temperature and thresholds of a model, fitted on a split that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..config.schema import DataConfig
from ..data import Store
from ..errors import DataError
from ..modelfile import Calibration, ModelRecord, learned_from, read_record, replace_record
from ..prediction import Predictor
from ..raster import Grid, Picture
from .applicability import fit_applicability
from .calibration_sample import CalibrationSample
from .groups import groups_of
from .leakage import trained_on
from .opening import Split, open_split

Progress = Callable[[str, int, int], None]


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
        DataError: the split cannot be used or has no labelled pixel, or the model was trained on it.
        ModelFileError: the model file cannot be used.
    """
    tell = progress or (lambda stage, done, images: None)
    predictor = Predictor.from_file(path, device=device)
    store = open_split(predictor.record, data, split, tell)
    doubt = _refuse_seen(predictor.record, data, store, split)
    found = fit_calibration(predictor, store, split, tta=tta, progress=tell)
    if doubt is not None:
        found = found.model_copy(update={"fitted_on": {**found.fitted_on, "doubt": doubt}})
    fitted: dict[str, Any] = {"calibration": found}
    with suppress(DataError):
        train = open_split(predictor.record, data, "train", tell)
        _require_own(predictor.record, train)
        groups = groups_of(store.pairs, data).names
        fitted["applicability"] = fit_applicability(
            predictor, train, store, groups, split=split, progress=tell
        )
    replace_record(path, read_record(path).model_copy(update=fitted))
    return found


def _refuse_seen(record: ModelRecord, data: DataConfig, store: Store, split: Split) -> str | None:
    """Refuse to fit where the model was trained; what is in doubt where nobody knows.

    Raises:
        DataError: it, members of it, or a model that it came of were trained on the split.
    """
    trained = trained_on(record, data)
    if split in trained.stores or store.fingerprint in (learned_from(record) or ()):
        who = "members of the ensemble were" if record.members else "the model was"
        raise DataError(
            f"{who} trained on the {split} split: temperature and threshold fitted there would be too sure. "
            f"Use it uncalibrated, or give images that it has not seen as {split}: --data FOLDER."
        )
    return trained.why_unknown or None


def _require_own(record: ModelRecord, train: Store) -> None:
    """Refuse training pictures that the model, or the member whose features count, was not trained on.

    Raises:
        DataError: they are others; a model of the reference does not say.
    """
    known = (record.members or (record,))[0].fingerprint
    if known and known != train.fingerprint:
        raise DataError("the training pictures are not those of the model.")


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

    The pixels are those of finished predictions (after flips, tiles, resizing) at the masks' resolution, of
    which a sample is kept. A threshold other than one half has to gain 0.002 of IoU.

    Raises:
        DataError: no labelled pixel.
    """
    eightfold = predictor.settings.tta if tta is None else tta
    sample = CalibrationSample(predictor.record.classes, len(store))
    pictures = (Picture(store.image(i), store.valid(i), Grid()) for i in range(len(store)))
    predictions = predictor.uncalibrated().predict(pictures, tta=eightfold, keep_probabilities=True)
    for index, found in enumerate(predictions):
        assert found.probabilities is not None
        sample.add(found.probabilities, store.labels(index), found.picture.valid)
        if progress is not None:
            progress("calibrating", index + 1, len(store))
    if sample.empty:
        raise DataError(f"the {split} split has no labelled pixel to calibrate on.")
    return sample.fit({"split": split, "images": len(store), "fingerprint": store.fingerprint}, tta=eightfold)


def describe_calibration(found: Calibration) -> str:
    """One line about what was fitted and what it changed."""
    about = found.fitted_on
    parts = [f"Calibrated on {about['images']} {about['split']} images: temperature {found.temperature:.2f}"]
    if found.threshold is not None:
        gain = f"IoU {about['iou_at_half']:.3f} to {about['iou_at_threshold']:.3f}"
        parts.append(f"threshold {found.threshold:.2f} ({gain} there)")
    parts.append(f"calibration error {about['ece_before']:.4f} to {about['ece_after']:.4f}")
    doubt = (
        f" Not known whether it was trained on these images: {about['doubt']}." if "doubt" in about else ""
    )
    return ", ".join(parts) + "." + doubt
