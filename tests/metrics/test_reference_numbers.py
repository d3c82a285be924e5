"""The reference's numbers by its definitions; its dice_coef_multiclass is a soft pixel accuracy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torchmetrics.functional.image import structural_similarity_index_measure

from flexunet.classes import IGNORE_INDEX
from flexunet.metrics import REFERENCE_LOSSES, REFERENCE_METRICS, reference_dice_multiclass


def softmax_case(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 3, 16, 14))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probabilities, rng.integers(0, 3, (2, 16, 14)).astype(np.uint8)


def test_dice_multiclass_is_the_mean_probability_of_the_true_class() -> None:
    probabilities, labels = softmax_case()
    of_truth = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), 1)[:, 0]
    assert_allclose(reference_dice_multiclass(probabilities, labels), of_truth.mean(), atol=2e-3)


def test_predicting_nothing_where_a_tenth_is_landslide_scores_nine_tenths() -> None:
    labels = np.zeros((1, 100, 100), np.uint8)
    labels[:, :10] = 1
    nothing = np.stack([np.ones((1, 100, 100)), np.zeros((1, 100, 100))], axis=1)
    assert reference_dice_multiclass(nothing, labels) == pytest.approx(0.9, abs=1e-4)


def test_dice_by_hand() -> None:
    probabilities = np.array([[[0.75, 0.5]], [[0.25, 0.5]]])
    labels = np.array([[0, 1]])
    assert reference_dice_multiclass(probabilities, labels) == pytest.approx((2 * 1.25 + 1) / (2 + 2 + 1))
    # one channel: the probability of class 1, sum(y p) = 0.5, sum(y) = 1, sum(p) = 0.75
    assert REFERENCE_METRICS["dice_coef"](probabilities[1:], labels) == pytest.approx(
        (1 + 1) / (1 + 0.75 + 1)
    )
    assert REFERENCE_METRICS["binary_accuracy"](probabilities[1:], labels) == 0.5
    assert REFERENCE_METRICS["accuracy"](probabilities, labels) == 0.5


def test_cross_entropies_agree_with_torch() -> None:
    probabilities, labels = softmax_case()
    p, y = torch.from_numpy(probabilities), torch.from_numpy(labels).long()
    expected = torch.nn.functional.nll_loss(p.log(), y).item()
    assert REFERENCE_LOSSES["categorical_crossentropy"](probabilities, labels) == pytest.approx(expected)
    truth = torch.nn.functional.one_hot(y, 3).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.binary_cross_entropy(p, truth).item()
    assert REFERENCE_LOSSES["binary_crossentropy"](probabilities, labels) == pytest.approx(expected)


def test_ssim_agrees_with_torchmetrics() -> None:
    probabilities, labels = softmax_case()
    truth = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 3).permute(0, 3, 1, 2).double()
    second = structural_similarity_index_measure(
        torch.from_numpy(probabilities), truth, data_range=1.0, return_full_image=True
    )
    window_fits = second[1][..., 5:-5, 5:-5]
    ours = REFERENCE_LOSSES["ssim_loss"](probabilities, labels)
    assert ours == pytest.approx(1 - window_fits.mean().item(), abs=1e-6)


@pytest.mark.parametrize("name", sorted({*REFERENCE_LOSSES, *REFERENCE_METRICS}))
def test_every_number_is_finite_and_does_not_see_ignored_pixels(name: str) -> None:
    measure = {**REFERENCE_LOSSES, **REFERENCE_METRICS}[name]
    probabilities, labels = softmax_case()
    labels[:, 5:] = IGNORE_INDEX
    other = probabilities.copy()
    other[:, :, 5:] = other[:, ::-1, 5:]
    assert measure(probabilities, labels) == pytest.approx(measure(other, labels))
    assert np.isfinite(measure(probabilities, np.full_like(labels, IGNORE_INDEX)))
    assert np.isfinite(measure(probabilities[:, :, :1, :1], labels[:, :1, :1]))


@pytest.mark.parametrize("name", sorted(REFERENCE_LOSSES))
def test_a_perfect_prediction_has_no_loss(name: str) -> None:
    _, labels = softmax_case()
    perfect = (labels[:, None] == np.arange(3)[:, None, None]).astype(np.float64)
    assert REFERENCE_LOSSES[name](perfect, labels) == pytest.approx(0, abs=1e-4)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(2, 3, 16, 14\) and \(2, 16, 13\)"):
        reference_dice_multiclass(np.zeros((2, 3, 16, 14)), np.zeros((2, 16, 13), np.uint8))
