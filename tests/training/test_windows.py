"""Validation on crops looks at whole pictures: every pixel counts once, and their number is bounded."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers, tuples

from blob_dataset import write_pairs, write_picture
from flexunet.data import open_store
from flexunet.training import train
from flexunet.training.windows import Windows, windows_over

edges = tuples(integers(1, 70), integers(1, 70))


@given(shape=edges, size=tuples(integers(8, 40), integers(8, 40)))
def test_every_pixel_counts_in_one_window(shape: tuple[int, int], size: tuple[int, int]) -> None:
    counted = np.zeros(shape, np.int64)
    for place in windows_over(shape, size, most=10_000):
        window, own = place.window, place.counts
        assert window.row >= 0 <= window.col
        assert window.height == min(size[0], shape[0])
        assert window.width == min(size[1], shape[1])
        assert window.row + window.height <= shape[0]
        assert window.col + window.width <= shape[1]
        counted[window.rows, window.cols][own.rows, own.cols] += 1
    assert (counted == 1).all()


@given(shape=tuples(integers(1, 400), integers(1, 400)), most=integers(1, 30))
def test_a_huge_picture_is_sampled_evenly(shape: tuple[int, int], most: int) -> None:
    places = windows_over(shape, (8, 8), most)
    assert 1 <= len(places) <= most
    assert len({(place.window.row, place.window.col) for place in places}) == len(places)
    if len(places) > 1:
        rows = {place.window.row for place in places}
        cols = {place.window.col for place in places}
        assert len(rows) == 1 or (min(rows), max(rows)) == (0, max(shape[0] - 8, 0))
        assert len(cols) == 1 or (min(cols), max(cols)) == (0, max(shape[1] - 8, 0))


def data_of(root: Path, make_config: Any) -> Any:
    return make_config(data={"root": root, "sizing": "crop"}).data


def test_windows_are_parts_of_their_pictures(make_config: Any, tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", 3, seed=3, size=80)
    store = open_store(data_of(tmp_path, make_config), "train")
    windows = Windows(store, (32, 32))
    assert len(windows) == 27
    assert [pair.id for pair in windows.pairs[:4]] == ["p0", "p1", "p2", "p0"]
    assert windows.image(0).shape == (3, 32, 32)
    assert windows.valid(0).all()
    # the window in the middle comes first
    assert np.array_equal(windows.image(0), store.image(0)[:, 24:56, 24:56])
    labelled = sum(int((windows.labels(index) != 255).sum()) for index in range(len(windows)))
    assert labelled == 3 * 80 * 80


def test_a_picture_of_the_networks_size_or_smaller_is_one_window(make_config: Any, tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", 2, seed=3, size=24)
    store = open_store(data_of(tmp_path, make_config), "train")
    windows = Windows(store, (32, 24))
    assert len(windows) == 2
    for index in (0, 1):
        assert np.array_equal(windows.image(index), store.image(index))
        assert np.array_equal(windows.labels(index), store.labels(index))


def test_what_lies_beside_the_centre_counts(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "flexunet")
    write_pairs(tmp_path / "train", 4, seed=3)
    corner = np.zeros((96, 96), np.uint8)
    cv2.circle(corner, (8, 8), 7, 255, -1)
    write_picture(tmp_path / "valid/images/v.png", np.repeat(corner[..., None], 3, 2))
    write_picture(tmp_path / "valid/masks/v.png", corner)
    config = make_config(data={"root": tmp_path, "sizing": "crop"}, train={"epochs": 1})
    row = train(config).rows[0]
    assert row["val_iou"] is not None
    assert "Validation looks at 9 windows of 32 x 32 pixels in 1 picture: every pixel once." in caplog.text
