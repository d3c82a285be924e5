"""Masks of another size than their pictures are scored pixel by pixel of the mask."""

from pathlib import Path

import numpy as np
import pytest

from flexunet.evaluation import evaluate
from painted_dataset import paint, painted_data, painted_model

PREDICTED = np.zeros((20, 32), np.uint8)
PREDICTED[:10] = 1
"""What the model says of the picture: its upper half."""


def scores_of(root: Path, truth: np.ndarray, out: Path | None = None) -> dict[str, float]:
    data = painted_data(root).model_copy(update={"mask_size": "resize"})
    paint(root / "test", {"scene": (PREDICTED, truth)})
    painted_model(root / "model.safetensors", data)
    found = evaluate(root / "model.safetensors", data, out=out)
    landslide = found.scores["classes"][1]
    return {"pixels": found.confusion.total, "iou": landslide["iou"], "recall": landslide["recall"]}


def test_a_finer_mask_counts_with_every_pixel_it_has(tmp_path: Path) -> None:
    truth = np.zeros((80, 128), np.uint8)
    truth[:40:2] = 1  # every second row of the upper half: gone, or everything, at the picture's size
    found = scores_of(tmp_path, truth, tmp_path / "evaluation")
    assert found["pixels"] == truth.size
    assert found["recall"] == 1.0
    assert found["iou"] == pytest.approx(0.5, abs=0.03)  # the border lies within a pixel of the picture


def test_a_coarser_mask_is_met_by_a_coarser_prediction(tmp_path: Path) -> None:
    truth = np.zeros((10, 16), np.uint8)
    truth[:5] = 1
    assert scores_of(tmp_path, truth) == {"pixels": 160, "iou": 1.0, "recall": 1.0}


def test_a_mask_of_the_picture_s_size_changes_nothing(tmp_path: Path) -> None:
    assert scores_of(tmp_path, PREDICTED) == {"pixels": 640, "iou": 1.0, "recall": 1.0}
