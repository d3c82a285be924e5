"""Masks of another size than their pictures are scored pixel by pixel of the mask."""

from pathlib import Path

import numpy as np
import pytest

from flexunet.config.schema import DataConfig
from flexunet.evaluation import evaluate
from flexunet.evaluation.evaluate import pixel_area_m2
from flexunet.evaluation.mask_grid import brought_to
from flexunet.evaluation.opening import open_split
from flexunet.modelfile import read_record
from flexunet.prediction import Prediction
from flexunet.raster import Grid, Picture
from flexunet.training.held_out import HeldOut
from painted_dataset import CLASSES, paint, painted_data, painted_model

PREDICTED = np.zeros((20, 32), np.uint8)
PREDICTED[:10] = 1
"""What the model says of the picture: its upper half."""
FINER = np.zeros((80, 128), np.uint8)
FINER[:40:2] = 1
"""Every second row of the upper half: gone, or everything, at the picture's size."""


def painted(root: Path, truth: np.ndarray, split: str = "test") -> tuple[Path, DataConfig]:
    data = painted_data(root).model_copy(update={"mask_size": "resize"})
    paint(root / split, {"scene": (PREDICTED, truth), "quiet": (np.zeros((6, 9), np.uint8), None)})
    painted_model(root / "model.safetensors", data)
    return root / "model.safetensors", data


def scores_of(root: Path, truth: np.ndarray, out: Path | None = None) -> dict[str, float]:
    found = evaluate(*painted(root, truth), out=out)
    landslide = found.scores["classes"][1]
    return {"pixels": found.confusion.total - 54, "iou": landslide["iou"], "recall": landslide["recall"]}


def test_a_finer_mask_counts_with_every_pixel_it_has(tmp_path: Path) -> None:
    found = scores_of(tmp_path, FINER, tmp_path / "evaluation")
    assert found["pixels"] == FINER.size
    assert found["recall"] == 1.0
    assert found["iou"] == pytest.approx(0.5, abs=0.03)  # the border lies within a pixel of the picture


def test_a_coarser_mask_is_met_by_a_coarser_prediction(tmp_path: Path) -> None:
    truth = np.zeros((10, 16), np.uint8)
    truth[:5] = 1
    assert scores_of(tmp_path, truth) == {"pixels": 160, "iou": 1.0, "recall": 1.0}


def test_a_mask_of_the_picture_s_size_changes_nothing(tmp_path: Path) -> None:
    assert scores_of(tmp_path, PREDICTED) == {"pixels": 640, "iou": 1.0, "recall": 1.0}


def test_members_of_folds_are_scored_at_the_same_size(tmp_path: Path) -> None:
    model, data = painted(tmp_path, FINER, "valid")
    (tmp_path / "kept").mkdir()
    held_out = HeldOut(CLASSES, tmp_path / "kept")
    held_out.add_fold([model], data, None, lambda stage, done, total: None)
    (matrix,) = held_out.by_member
    assert matrix.total == FINER.size + 54
    assert matrix.counts[1, 1] == FINER.sum()


def test_a_finer_mask_has_smaller_pixels_on_the_ground(tmp_path: Path) -> None:
    model, data = painted(tmp_path, FINER)
    store = open_split(read_record(model), data, "test", lambda stage, done, total: None)
    index = store.ids.index("scene")
    assert pixel_area_m2(store, index, FINER.shape, 2.0) == pytest.approx(0.25)
    assert pixel_area_m2(store, index, PREDICTED.shape, 2.0) == pytest.approx(4.0)


def test_what_is_missing_has_no_say_in_the_pixels_beside_it() -> None:
    valid = np.ones((8, 8), np.bool_)
    valid[:, 4:] = False
    sure = np.where(valid, 0.9, 0.0).astype(np.float32)
    pixels = np.where(valid, 200, 0).astype(np.uint8)[None]
    there = Prediction(Picture(pixels, valid, Grid()), valid.astype(np.uint8), np.stack([1 - sure, sure]))
    finer = brought_to((32, 32), there)
    assert finer.probabilities is not None
    assert finer.picture.valid.sum() == 512
    assert finer.probabilities[1][finer.picture.valid] == pytest.approx(0.9, abs=1e-5)
    assert (finer.picture.pixels[0][finer.picture.valid] == 200).all()
