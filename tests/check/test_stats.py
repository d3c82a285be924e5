"""Counts of a dataset whose numbers are known."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from command_line import flexunet
from flexunet.check.stats import stats, write_stats
from flexunet.errors import OutputExistsError


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def paint(root: Path) -> None:
    """Training: 3 masks with 2 objects of 20 and 100 pixels, 1 negative; test: 1 mask with none."""
    rng = np.random.default_rng(0)
    for number in range(3):
        write(root / "train" / "images" / f"a{number}.png", rng.integers(0, 255, (40, 50, 3), np.uint8))
        labels = np.zeros((40, 50), np.uint8)
        labels[2:6, 2:7], labels[20:30, 20:30] = 255, 255
        write(root / "train" / "masks" / f"a{number}.png", labels)
    write(root / "train" / "negatives" / "n.png", np.full((30, 30, 3), 100, np.uint8))
    write(root / "test" / "images" / "t.png", rng.integers(0, 255, (40, 50, 3), np.uint8))
    write(root / "test" / "masks" / "t.png", np.zeros((40, 50), np.uint8))


def test_numbers_are_those_that_were_painted(tmp_path: Path) -> None:
    paint(tmp_path)
    train, test = stats(tmp_path).numbers
    assert (train.images, train.negatives, train.empty) == (4, 1, 0)
    assert (test.images, test.negatives, test.empty) == (1, 0, 1)
    assert train.class_pixels.tolist() == [3 * 2000 + 900 - 360, 360]
    assert sorted(train.objects[1].tolist()) == [20] * 3 + [100] * 3
    assert train.object_counts.tolist() == [2, 2, 2]
    assert train.together.tolist() == [[4, 3], [3, 3]]


def test_band_statistics_are_those_of_all_pixels_together(tmp_path: Path) -> None:
    paint(tmp_path)
    train = stats(tmp_path).numbers[0]
    pixels = [
        np.asarray(cv2.imread(str(path))).reshape(-1, 3)[:, ::-1]
        for path in sorted((tmp_path / "train").glob("[in]*/*.png"))
    ]
    everything = np.concatenate(pixels).astype(np.float64)
    assert train.band_mean == pytest.approx(everything.mean(0))
    assert train.band_std == pytest.approx(everything.std(0))


def test_the_page_is_written_once(tmp_path: Path) -> None:
    paint(tmp_path / "data")
    done = flexunet("stats", "data", cwd=tmp_path, code=0)
    assert done.stdout.splitlines()[1].split()[:3] == ["train", "4", "1"]
    out = tmp_path / "data_stats"
    assert {path.name for path in out.iterdir()} == {
        "stats.png", "stats.json", "train_sample.png", "test_sample.png"
    }  # fmt: skip
    content = json.loads((out / "stats.json").read_text(encoding="utf-8"))
    assert content["splits"]["train"]["classes"]["object"]["objects"] == 6
    with pytest.raises(OutputExistsError):
        write_stats(stats(tmp_path / "data"), out)
