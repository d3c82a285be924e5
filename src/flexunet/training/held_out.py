"""What the members of folds make of the images they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..config import DataConfig
from ..data import Pair
from ..evaluation.calibration_sample import CalibrationSample
from ..evaluation.mask_grid import OwnMasks, planes_at
from ..evaluation.opening import open_split
from ..evaluation.scores import ImageScores
from ..metrics import ConfusionMatrix
from ..modelfile import Calibration
from ..prediction import Predictor, decide
from ..raster import Grid, Picture
from ..raster.writers import write_labels_png

Tell = Callable[[str, int, int], None]


class HeldOut:
    """Predictions of all images by the mean of those members that have not seen them.

    All are made with the likelier class: thresholds and temperatures of the members were fitted on these
    very images. folder: where they are kept as masks; None: they are not. folds: how many are to come.
    """

    def __init__(self, classes: Classes, folder: Path | None, folds: int = 1) -> None:
        self.classes, self.folder, self._expected = classes, folder, folds
        self._sample: CalibrationSample | None = None
        self._tta = False
        self._fingerprint: str | None = None
        """Of the images, where they are those of one split."""
        self.images: list[ImageScores] = []
        self.pairs: list[Pair] = []
        self.folds: list[int | None] = []
        self.by_member: list[ConfusionMatrix] = []
        """Of each member on the images it has not seen, in the order they were added."""

    def add_fold(self, models: Sequence[Path], data: DataConfig, fold: int | None, tell: Tell) -> None:
        """Predict the validation images of `data` with each model and with their mean.

        Memory: the models, and the probabilities of one image.

        Raises:
            ModelFileError, DataError: a model or an image that cannot be used.
        """
        predictors = [Predictor.from_file(path).uncalibrated() for path in models]
        store = open_split(predictors[0].record, data, "valid", tell)
        confusions = [ConfusionMatrix(len(self.classes)) for _ in models]
        masks = OwnMasks(store, data, predictors[0].record)
        self._tta = predictors[0].settings.tta
        self._fingerprint = store.fingerprint if fold is None else None
        self._sample = self._sample or CalibrationSample(self.classes, self._expected * len(store))
        for index, pair in enumerate(store.pairs):
            picture, truth = Picture(store.image(index), store.valid(index), Grid()), masks.labels(index)
            size = height, width = truth.shape
            total: NDArray[np.float32] | None = None
            for predictor, confusion in zip(predictors, confusions, strict=True):
                found = predictor.probabilities(picture)
                self._count(confusion, truth, *planes_at(size, found, picture.valid))
                total = found if total is None else total + found
            assert total is not None
            mean = total / np.float32(len(predictors))
            if self.folder is not None:
                labels = self._labels(mean, picture.valid)
                write_labels_png(self.folder / f"{pair.id}.png", labels, self.classes.colours)
            together = ConfusionMatrix(len(self.classes))
            planes, known = planes_at(size, mean, picture.valid)
            self._count(together, truth, planes, known)
            self._sample.add(planes, truth, known)
            ignored = truth.size - together.total
            self.images.append(ImageScores(pair.id, str(pair.image), height, width, ignored, together))
            self.pairs.append(pair)
            self.folds.append(fold)
            tell(f"predicting fold {fold}" if fold else "predicting", index + 1, len(store))
        self.by_member += confusions

    def calibration(self) -> Calibration | None:
        """Temperature and thresholds of the mean on all these images; None without a labelled pixel.

        Of folds: the mean of the members that have not seen an image, which are fewer than the ensemble has.
        """
        if self._sample is None or self._sample.empty:
            return None
        about = {
            "split": "valid" if self.folds[0] is None else "out-of-fold",
            "images": len(self.images),
            "fingerprint": self._fingerprint,
        }
        return self._sample.fit(about, tta=self._tta)

    def _count(
        self,
        confusion: ConfusionMatrix,
        truth: NDArray[np.uint8],
        planes: NDArray[np.float32],
        valid: NDArray[np.bool_],
    ) -> None:
        known = np.where(valid, truth, np.uint8(IGNORE_INDEX))
        confusion.add(known, self._labels(planes, valid))

    def _labels(self, probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        labels = decide(probabilities, None, self.classes)
        labels[~valid] = self.classes.background or 0
        return labels


def foreground_scores(confusion: ConfusionMatrix, classes: Classes) -> dict[str, Any]:
    """IoU, F1, precision and recall, means over the foreground classes; None where not measurable."""
    found = {}
    for measure in ("iou", "f1", "precision", "recall"):
        value = float(confusion.mean(getattr(confusion, measure), classes.foreground))
        found[measure] = value if np.isfinite(value) else None
    return found
