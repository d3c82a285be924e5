"""Objects, outlines, areas, detection and consistency: worked by hand, or as the source prints it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torchmetrics.functional.classification import binary_auroc

from flexunet.classes import IGNORE_INDEX
from flexunet.errors import DataError
from flexunet.metrics import ConfusionMatrix
from flexunet.metrics.area import stratified_area
from flexunet.metrics.boundary import BoundaryCounts
from flexunet.metrics.consistency import impossible_pairs, refuse_impossible
from flexunet.metrics.detection import Detection, area_under_roc, best_image_threshold, image_score
from flexunet.metrics.patches import by_size, compare_patches, size_edges


def blocks(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Label 1 in (top, left, height, width) of a 40 x 60 image."""
    labels = np.zeros((40, 60), np.uint8)
    for top, left, height, width in places:
        labels[top : top + height, left : left + width] = 1
    return labels


def test_patches_are_found_by_half_their_area_and_grouped_by_size() -> None:
    truth = blocks((0, 0, 10, 10), (20, 0, 4, 5), (20, 30, 2, 2))
    predicted = blocks((0, 0, 10, 6), (20, 0, 4, 2), (0, 40, 3, 3))
    wanted, found = compare_patches(truth, predicted, 1)
    assert wanted.areas_px.tolist() == [100, 20, 4]
    assert wanted.covered.tolist() == [0.6, 0.4, 0.0]
    assert sorted(zip(found.areas_px.tolist(), found.covered.tolist(), strict=True)) == [
        (8, 1.0), (9, 0.0), (60, 1.0),
    ]  # fmt: skip
    bins = by_size(
        (wanted.areas_px.astype(float), wanted.covered), (found.areas_px.astype(float), found.covered), [10.0]
    )
    assert [(b.truth, b.found, b.touched, b.predicted, b.right) for b in bins] == [
        (1, 0, 0, 2, 1), (2, 1, 2, 1, 1),
    ]  # fmt: skip
    assert (bins[0].recall, bins[0].precision, bins[1].recall) == (0, 0.5, 0.5)
    truth[20:24, :5] = IGNORE_INDEX
    wanted, found = compare_patches(truth, predicted, 1)
    assert wanted.areas_px.tolist() == [100, 4]
    assert sorted(found.areas_px.tolist()) == [9, 60]


def test_size_classes_hold_enough_patches_each() -> None:
    areas = np.array([2, 2, 2, 2, 2, 15, 15, 15, 15, 15, 15, 500, 500, 500, 500, 500.0])
    assert size_edges(areas) == [3, 30]
    assert size_edges(areas[:6]) == []
    assert size_edges(np.zeros(0)) == []


def test_an_outline_counts_as_found_within_the_distance() -> None:
    counts = BoundaryCounts()
    counts.add(blocks((10, 10, 10, 20)), blocks((10, 12, 10, 20)), 1)  # moved by two pixels
    assert counts.truth == counts.predicted == 2 * 20 + 2 * 8
    assert counts.f1[0] < counts.f1[1] == counts.f1[4] == 1
    assert (np.diff(counts.f1) >= 0).all()
    alone = BoundaryCounts()
    alone.add(blocks(), blocks(), 1)
    assert np.isnan(alone.f1).all()
    alone.add(blocks(), blocks((5, 5, 5, 5)), 1)
    assert (alone.f1 == 0).all()
    edge = BoundaryCounts()
    edge.add(blocks((0, 0, 40, 30)), blocks((0, 0, 40, 30)), 1)
    assert edge.truth == 40  # the image's own edge is no outline
    ignored = blocks((0, 0, 40, 30))
    ignored[:, 25:35] = IGNORE_INDEX
    cut = BoundaryCounts()
    cut.add(ignored, blocks((0, 0, 40, 30)), 1)
    assert cut.truth == cut.predicted == 0


def test_the_area_estimator_gives_the_numbers_of_olofsson_and_others() -> None:
    # their example, section 5: deforestation, forest gain, stable forest, stable non-forest
    by_map = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    found = stratified_area(np.transpose(by_map), pixels * 0.09)  # hectares of 30 m pixels
    assert_allclose(found.estimated, [21_158, 11_686, 285_770, 581_386], atol=1)
    low, high = found.interval
    assert_allclose((high - low) / 2, [6158, 3756, 15_510, 16_282], atol=2)


def test_an_area_estimate_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="mapped class 1 has 0 sample units"):
        stratified_area([[5, 0], [1, 0]], [10, 20])
    with pytest.raises(ValueError, match="do not fit"):
        stratified_area([[5, 0], [1, 0]], [10, 20, 30])
    perfect = stratified_area([[50, 0], [0, 9]], [10, 20])
    assert perfect.estimated.tolist() == [10, 20]
    assert perfect.standard_error.tolist() == [0, 0]


@given(tp=st.integers(0, 5000), fp=st.integers(0, 5000), fn=st.integers(0, 5000), decimals=st.integers(2, 6))
def test_scores_of_any_counts_agree_as_printed(tp: int, fp: int, fn: int, decimals: int) -> None:
    confusion = ConfusionMatrix(2, [[7, fp], [fn, tp]])
    exact = {name: float(getattr(confusion, name)[1]) for name in ("iou", "f1", "precision", "recall")}
    known = {name: value for name, value in exact.items() if not np.isnan(value)}
    assert impossible_pairs(known) == []
    assert impossible_pairs({n: round(v, decimals) for n, v in known.items()}, decimals) == []


def test_numbers_that_exclude_each_other_are_named() -> None:
    (problem,) = impossible_pairs({"iou": 0.74, "f1": 0.80}, 2)
    assert "IoU 0.74, F1 0.8 exclude each other: IoU = F1 / (2 - F1) would be 0.6667" in str(problem)
    assert impossible_pairs({"iou": 0.67, "f1": 0.80}, 2) == []
    assert impossible_pairs({"precision": 0.9, "recall": 0.5, "f1": 0.7}, 2)
    assert impossible_pairs({"precision": 0.9, "recall": 0.5, "iou": 0.47}, 2) == []
    assert "between 0 and 1" in str(impossible_pairs({"f1": 1.2})[0])
    with pytest.raises(DataError, match=r"landslide: IoU 0\.9, F1 0\.9 exclude"):
        refuse_impossible({"landslide": {"iou": 0.9, "f1": 0.9}, "ground": {"iou": 1.0, "f1": 1.0}}, 2)


def test_each_score_has_the_decimals_it_is_printed_with() -> None:
    """F1 0.9 may be 0.8506, and then IoU is 0.7401."""
    assert impossible_pairs({"iou": 0.74, "f1": 0.9}, {"iou": 2, "f1": 1}) == []
    assert impossible_pairs({"iou": 0.73, "f1": 0.9}, {"iou": 2, "f1": 1})
    assert impossible_pairs({"iou": 0.74, "f1": 0.9}, {"iou": 2, "f1": 2})


def test_precision_or_recall_alone_bounds_iou_and_f1() -> None:
    (problem,) = impossible_pairs({"iou": 0.9, "precision": 0.5}, 2)
    assert "IoU = P R / (P + R - P R) would not exceed 0.5050" in str(problem)
    assert impossible_pairs({"f1": 0.7, "recall": 0.5}, 2)
    assert impossible_pairs({"f1": 0.66, "iou": 0.49, "recall": 0.5}, 2) == []


def test_the_image_score_is_a_mean_of_the_highest_hundredth() -> None:
    p = np.zeros(1000, np.float32)
    p[:20] = np.linspace(0.8, 0.99, 20)
    assert image_score(p) == pytest.approx(np.linspace(0.8, 0.99, 20)[10:].mean())
    assert image_score(p[:1]) == pytest.approx(0.8)
    assert image_score(p[:0]) == 0


@given(seed=st.integers(0, 100))
def test_area_under_roc_agrees_with_torchmetrics_ties_included(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 80) / 12
    there = rng.random(80) < 0.2 + 0.5 * scores
    ours = area_under_roc(scores, there)
    theirs = binary_auroc(torch.from_numpy(scores), torch.from_numpy(there.astype(np.int64)))
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_detection_by_hand() -> None:
    there = np.array([True, True, True, False, False])
    found = Detection.of(np.array([True, True, False, True, False]), there)
    assert (found.hits, found.false_alarms, found.misses, found.rejections) == (2, 1, 1, 1)
    assert (found.f1, found.precision, found.recall) == (2 / 3, 2 / 3, 2 / 3)
    assert area_under_roc(np.ones(3), there[:3]) is None
    scores = np.array([0.9, 0.8, 0.6, 0.4, 0.1])
    assert best_image_threshold(scores, there) == pytest.approx(0.5)
    assert best_image_threshold(scores[:3], there[:3]) is None
    assert Detection.of(there[:0], there[:0]).f1 is None
