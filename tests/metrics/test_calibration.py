"""The fit finds the temperature that was put in; the histogram's numbers are those of the pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torchmetrics.functional.classification import (
    binary_average_precision,
    binary_calibration_error,
    binary_jaccard_index,
)

from flexunet.metrics.calibration import (
    ProbabilityHistogram,
    fit_temperature,
    negative_log_likelihood,
    scale_probabilities,
    threshold_before_scaling,
)


def sample(classes: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (N, K) too sure by `temperature`, and labels drawn from the honest ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (40_000, classes))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (honest.cumsum(1) < rng.random((len(honest), 1))).sum(1)
    stated = logits * temperature
    return stated - np.log(np.exp(stated).sum(1, keepdims=True)), labels


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_fit_finds_how_much_too_sure_the_network_was(classes: int, temperature: float) -> None:
    logs, labels = sample(classes, temperature)
    weights = np.ones(len(labels))
    fitted = fit_temperature(logs, labels, weights)
    assert fitted == pytest.approx(temperature, rel=0.03)
    best = negative_log_likelihood(logs, labels, weights, fitted)
    for other in (fitted * 0.9, fitted * 1.1, 1.0):
        assert best <= negative_log_likelihood(logs, labels, weights, other)


def test_weights_count_as_copies() -> None:
    logs, labels = sample(2, 1.7)
    logs, labels = logs[:500], labels[:500]
    times = np.random.default_rng(1).integers(0, 4, 500)
    repeated = fit_temperature(np.repeat(logs, times, 0), np.repeat(labels, times), np.ones(times.sum()))
    assert fit_temperature(logs, labels, times) == pytest.approx(repeated)
    with pytest.raises(ValueError, match="no pixels"):
        fit_temperature(logs[:0], labels[:0], [])


def test_scaling_is_the_softmax_of_divided_logits_and_survives_certainty() -> None:
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1))
    scaled = scale_probabilities(logits.softmax(0).numpy(), 1.8)
    assert_allclose(scaled, (logits / 1.8).softmax(0).numpy(), rtol=1e-5)
    sure = scale_probabilities(np.array([[[1.0]], [[0.0]]], np.float32), 2.0)
    assert np.isfinite(sure).all()
    assert sure.sum() == pytest.approx(1)
    p = np.array([[[0.8]], [[0.2]]], np.float32)
    assert scale_probabilities(p, 1.0) is p


@given(threshold=st.floats(0.01, 0.99), temperature=st.floats(0.2, 5))
def test_a_threshold_may_be_moved_before_the_scaling(threshold: float, temperature: float) -> None:
    p = threshold_before_scaling(threshold, temperature)
    scaled = p ** (1 / temperature) / (p ** (1 / temperature) + (1 - p) ** (1 / temperature))
    assert scaled == pytest.approx(threshold, abs=1e-6)


@given(seed=st.integers(0, 1000), base=st.floats(0.02, 0.9))
@settings(deadline=None, max_examples=15)
def test_calibration_error_and_curves_agree_with_torchmetrics(seed: int, base: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 2, 3000).astype(np.float32)
    truth = rng.random(3000) < base * p + 0.05
    ours = ProbabilityHistogram()
    ours.add(p[:1000], truth[:1000])
    ours.add(p[1000:], truth[1000:])
    theirs = torch.from_numpy(p), torch.from_numpy(truth.astype(np.int64))
    curve = ours.curve()
    assert curve.average_precision == pytest.approx(float(binary_average_precision(*theirs)), abs=0.01)
    assert ours.true_share == pytest.approx(truth.mean())
    for index in (300, 1500, 2400):
        expected = binary_jaccard_index(*theirs, threshold=float(curve.thresholds[index]) - 1e-6)
        assert curve.iou[index] == pytest.approx(float(expected), abs=2e-3)
    # torchmetrics' error is of the winning class; shown p >= 1/2 only it is the same
    sure = p >= 0.5
    top = ProbabilityHistogram()
    top.add(p[sure], truth[sure])
    second = binary_calibration_error(theirs[0][sure], theirs[1][sure], n_bins=15)
    assert top.reliability(15).error == pytest.approx(float(second), abs=2e-3)


def test_bins_by_hand_and_nothing_at_all() -> None:
    histogram = ProbabilityHistogram()
    assert np.isnan(histogram.reliability().error)
    assert np.isnan(histogram.true_share)
    p = np.array([0.05, 0.05, 0.95, 0.95, 1.0], np.float32)
    histogram.add(p, np.array([False, True, True, True, False]))
    diagram = histogram.reliability(10)
    assert diagram.counts.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert_allclose(diagram.found[[0, 9]], [0.5, 2 / 3])
    assert_allclose(diagram.said[[0, 9]], [0.05, 2.9 / 3], rtol=1e-6)
    assert diagram.error == pytest.approx((2 * 0.45 + 3 * abs(2 / 3 - 2.9 / 3)) / 5)
    with pytest.raises(ValueError, match="7 does not divide"):
        histogram.reliability(7)


def test_the_best_threshold_stays_at_one_half_unless_another_earns_it() -> None:
    flat = ProbabilityHistogram()
    flat.add(np.array([0.1, 0.9], np.float32), np.array([False, True]))
    assert flat.curve().best_threshold() == 0.5
    shy = ProbabilityHistogram()
    shy.add(np.array([0.1, 0.3, 0.35], np.float32), np.array([False, True, True]))
    assert 0.29 < shy.curve().best_threshold() <= 0.3
    nothing = ProbabilityHistogram()
    nothing.add(np.array([0.1], np.float32), np.array([False]))
    assert nothing.curve().best_threshold() == 0.5
