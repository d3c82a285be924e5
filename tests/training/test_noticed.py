"""What is noticed about the data is said when a run begins, and listed file by file in its folder."""

import csv
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blob_dataset import write_pairs, write_picture
from flexunet.training import train


def jpeg_masks(folder: Path) -> None:
    """Turn the masks of a split into JPEGs."""
    for path in (folder / "masks").glob("*.png"):
        mask = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        path.with_suffix(".jpg").write_bytes(cv2.imencode(".jpg", mask)[1].tobytes())
        path.unlink()


def test_notes_of_both_splits_are_said_and_every_file_is_listed(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flexunet")
    root = tmp_path / "data"
    write_pairs(root / "train", 5, seed=3)
    write_pairs(root / "valid", 2, seed=4)
    jpeg_masks(root / "train")
    jpeg_masks(root / "valid")
    for index in range(30):
        write_picture(root / f"train/images/alone{index}.png", np.zeros((32, 32, 3), np.uint8))
    config = make_config(data={"root": root, "on_orphan": "skip", "on_damaged": "skip"}, train={"epochs": 1})
    (root / "train/images/p0.png").write_bytes(b"torn")
    result = train(config)
    assert "train: 4 files: lossy JPEG mask: p1, p2, p3 ..." in caplog.text
    assert "valid: 2 files: lossy JPEG mask: p0, p1" in caplog.text
    assert "train: left out: " in caplog.text
    assert "more: see data_notes.csv" in caplog.text
    with (result.dir / "data_notes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lossy = {(row["split"], Path(row["image"]).name) for row in rows if row["note"] == "lossy JPEG mask"}
    assert lossy == {("train", f"p{index}.png") for index in (1, 2, 3, 4)} | {
        ("valid", "p0.png"),
        ("valid", "p1.png"),
    }
    left_out = [row["note"] for row in rows if row["note"].startswith("left out")]
    assert sum("alone" in note for note in left_out) == 30
    assert sum("p0.png" in note for note in left_out) == 1
    assert len(train(config, overwrite=True).rows) == 1


def test_where_nothing_is_noticed_there_is_no_list(make_config: Any) -> None:
    config = make_config(train={"epochs": 1})
    assert not (train(config).dir / "data_notes.csv").exists()
