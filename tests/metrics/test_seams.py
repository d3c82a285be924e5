"""The seam ratio is 1 where borders are like any other line, and large where tiles disagree."""

import numpy as np
import pytest

from flexunet.metrics import line_changes


def test_changes_and_pairs_of_each_line_by_hand() -> None:
    labels = np.array([[0, 0, 1], [0, 1, 1], [255, 1, 0]], np.uint8)
    changes = line_changes(labels)
    assert changes.row_changes.tolist() == [0, 1, 1]
    assert changes.row_pairs.tolist() == [0, 3, 2]
    assert changes.col_changes.tolist() == [0, 1, 2]
    assert changes.col_pairs.tolist() == [0, 2, 3]
    # at row line 1 and column line 2: 3 changes of 6 pairs; elsewhere 2 of 4
    assert changes.seam_ratio([1], [2]) == pytest.approx(1.0)
    # at row line 1 alone: 1 of 3; elsewhere 4 of 7
    assert changes.seam_ratio([1, 99], [0]) == pytest.approx((1 / 3) / (4 / 7))


def test_noise_has_no_seams_and_tiles_with_classes_of_their_own_have() -> None:
    rng = np.random.default_rng(0)
    noise = (rng.random((256, 256)) < 0.5).astype(np.uint8)
    lines = range(32, 256, 32)
    assert line_changes(noise).seam_ratio(lines, lines) == pytest.approx(1.0, abs=0.04)
    tiled = noise * (rng.random((256, 256)) < 0.02)
    tiled[np.add.outer(np.arange(256) // 32, np.arange(256) // 32) % 2 == 1] ^= 1
    measured = line_changes(tiled)
    assert measured.seam_ratio(lines, lines) > 20
    assert max(measured.shifted_ratios(lines, lines, range(3, 20))) < 1


def test_without_changes_nothing_is_measured() -> None:
    assert np.isnan(line_changes(np.zeros((8, 8), np.uint8)).seam_ratio([4], [4]))
    assert np.isnan(line_changes(np.full((8, 8), 255, np.uint8)).seam_ratio([4], [4]))
