"""The confusion matrix agrees with an independent one, adds up, and is NaN about what is absent."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
    multiclass_recall,
)

from flexunet.classes import IGNORE_INDEX
from flexunet.metrics import ConfusionMatrix

CLASSES = 4
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


def labelled(shape: tuple[int, int]) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, IGNORE_INDEX]))


pairs = shapes.flatmap(
    lambda shape: st.tuples(labelled(shape), arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1)))
)


def matrix(truth: object, predicted: object, num_classes: int) -> ConfusionMatrix:
    confusion = ConfusionMatrix(num_classes)
    confusion.add(np.asarray(truth), np.asarray(predicted))
    return confusion


@given(pair=pairs)
@settings(deadline=None, max_examples=40)
def test_counts_and_scores_agree_with_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = pair
    ours = matrix(truth, predicted, CLASSES)
    arguments = torch.from_numpy(predicted.astype(np.int64)), torch.from_numpy(truth.astype(np.int64))
    theirs = multiclass_confusion_matrix(*arguments, CLASSES, ignore_index=IGNORE_INDEX)
    assert_array_equal(ours.counts, theirs.numpy())
    for score, function in (
        (ours.iou, multiclass_jaccard_index),
        (ours.f1, multiclass_f1_score),
        (ours.precision, multiclass_precision),
        (ours.recall, multiclass_recall),
    ):
        second = function(*arguments, CLASSES, average="none", ignore_index=IGNORE_INDEX)
        assert_allclose(np.nan_to_num(score), second.numpy(), atol=1e-6)


@given(pair=pairs, cut=st.integers(0, 9))
def test_counting_in_two_parts_and_adding_up_changes_nothing(
    pair: tuple[np.ndarray, np.ndarray], cut: int
) -> None:
    truth, predicted = pair
    parts = matrix(truth[:cut], predicted[:cut], CLASSES) + matrix(truth[cut:], predicted[cut:], CLASSES)
    assert parts == matrix(truth, predicted, CLASSES)


def test_each_cell_and_score_by_hand() -> None:
    # one false positive, two false negatives: a swap of truth and prediction shows
    ours = matrix([[0, 0, 0], [1, 1, 1]], [[0, 1, 0], [0, 0, 1]], 2)
    assert ours.counts.tolist() == [[2, 1], [2, 1]]
    assert_allclose(ours.iou, [2 / 5, 1 / 4])
    assert_allclose(ours.f1, [4 / 7, 2 / 5])
    assert_allclose(ours.precision, [2 / 4, 1 / 2])
    assert_allclose(ours.recall, [2 / 3, 1 / 3])
    assert ours.pixel_accuracy == 0.5
    assert ours.mean_iou() == pytest.approx((2 / 5 + 1 / 4) / 2)
    assert ours.mean_iou([1]) == 0.25


def test_an_absent_class_is_nan_and_never_averaged() -> None:
    ours = matrix([[0, 1]], [[0, 1]], 3)
    assert np.isnan(ours.iou[2])
    assert np.isnan(ours.f1[2])
    assert ours.mean_iou([1, 2]) == 1.0
    assert np.isnan(ours.mean_iou([2]))


def test_a_class_that_is_there_and_never_found_counts_as_zero() -> None:
    ours = matrix([[0, 2]], [[0, 0]], 3)
    assert ours.iou[2] == 0
    assert ours.recall[2] == 0
    assert np.isnan(ours.precision[2])
    assert ours.mean_iou([1, 2]) == 0


def test_nothing_but_ignored_pixels_leaves_nothing_to_say() -> None:
    ours = matrix(np.full((3, 3), IGNORE_INDEX, np.uint8), np.zeros((3, 3), np.uint8), 2)
    assert ours.total == 0
    assert np.isnan(ours.pixel_accuracy)
    assert np.isnan(ours.iou).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.bool_])
def test_every_integer_dtype_and_memory_order_counts_alike(dtype: type) -> None:
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 2, (2, 1300, 1400))
    expected = [[((truth == t) & (predicted == p)).sum() for p in (0, 1)] for t in (0, 1)]
    ours = matrix(np.asfortranarray(truth.astype(dtype)), predicted.astype(dtype)[:], 2)
    assert ours.counts.tolist() == expected


def test_labels_beyond_the_classes_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"labels lie in 0 \.\. 1 .*the prediction has \[3\]"):
        matrix([[0, 1]], [[0, 3]], 2)
    with pytest.raises(ValueError, match=r"truth has \[2\]"):
        matrix([[0, 2]], [[0, 0]], 2)
    with pytest.raises(ValueError, match="found -1 to 0"):
        matrix([[0, -1]], [[0, 0]], 2)
    with pytest.raises(ValueError, match=r"shape \(1, 2\), the prediction \(2, 1\)"):
        matrix([[0, 1]], [[0], [1]], 2)
    with pytest.raises(ValueError, match="integers, not float64"):
        matrix([[0.0, 1.0]], [[0, 1]], 2)
