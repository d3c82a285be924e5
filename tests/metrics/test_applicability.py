"""Distances grow away from training, shares mean what they say, and leaving out goes from the worst on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import integers
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.metrics.applicability import (
    FARTHEST,
    distance_at,
    fit_cloud,
    kept_scores,
    share_at_least_as_far,
    shares_at_least_as_far,
)

RNG = np.random.default_rng(3)
MIXING = RNG.normal(size=(3, 12))


def features(count: int, seed: int) -> np.ndarray:
    """A cloud long in three of twelve directions."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)) @ MIXING * 5 + rng.normal(size=(count, 12)) + 7


def test_training_lies_at_about_one_and_distance_grows_along_every_direction() -> None:
    cloud = fit_cloud(features(400, 0))
    assert np.sqrt(np.mean(cloud.distance(features(400, 1)) ** 2)) == pytest.approx(0.8, abs=0.2)
    for direction in np.eye(12):
        line = cloud.distance(cloud.centre + np.outer([0, 1, 10, 100], direction))
        assert line[0] == pytest.approx(0, abs=1e-9)
        assert (np.diff(line) > 0).all()


def test_with_all_directions_it_is_the_mahalanobis_distance_of_the_shrunk_covariance() -> None:
    values = features(800, 2)[:, :5]
    cloud = fit_cloud(values)
    others = features(20, 4)[:, :5]
    moved = (others - values.mean(0)) / values.std(0)
    scaled = (values - values.mean(0)) / values.std(0)
    shrunk = 0.5 * np.cov(scaled.T) + 0.5 * np.eye(5)
    exact = np.einsum("ni,ij,nj->n", moved, np.linalg.inv(shrunk), moved)
    assert_allclose(cloud.distance(others), np.sqrt(exact / 5), rtol=1e-6)


def test_a_dead_channel_does_not_decide_and_nonsense_is_as_far_as_can_be() -> None:
    values = features(100, 5)
    values[:, 4] = 2.0
    cloud = fit_cloud(values)
    near = values[:1].copy()
    near[0, 4] += 1e-3
    assert cloud.distance(near)[0] == pytest.approx(cloud.distance(values[:1])[0], rel=0.01)
    near[0, 4] = np.nan
    assert cloud.distance(near)[0] == FARTHEST


@pytest.mark.parametrize(("count", "channels"), [(2, 1), (3, 40), (20, 2), (50, 112)])
def test_any_number_of_pictures_and_channels_will_do(count: int, channels: int) -> None:
    values = np.random.default_rng(0).normal(size=(count, channels))
    found = fit_cloud(values).distance(values)
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="at least 2"):
        fit_cloud(values[:1])


def test_the_share_counts_groups_not_pictures() -> None:
    known, shares = shares_at_least_as_far([1, 2, 3, 4], ["a", "a", "a", "b"])
    assert_array_equal(known, [1, 2, 3, 4])
    assert_allclose(shares, [1, 5 / 6, 4 / 6, 0.5])
    assert_allclose(share_at_least_as_far([0, 1, 1.5, 4, 4.1], known, shares), [1, 1, 5 / 6, 0.5, 0])
    assert distance_at(0.7, known, shares) == 3
    assert distance_at(0.1, known, shares) == 4


@given(integers(1, 40), integers(0, 99))
def test_the_share_is_the_one_counted_by_hand(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    held_out = rng.integers(0, 9, count).astype(float)
    known, shares = shares_at_least_as_far(held_out, [str(i) for i in range(count)])
    for distance in np.arange(-0.5, 9.5, 0.5):
        by_hand = (held_out >= distance).mean()
        assert share_at_least_as_far(distance, known, shares) == pytest.approx(by_hand)


def test_leaving_out_goes_from_the_lowest_on_and_scores_what_is_kept() -> None:
    bad, good = [[50, 40], [10, 0]], [[60, 0], [0, 40]]
    left_out, scores = kept_scores(np.array([good, bad, good]), [3, 1, 2], [1], steps=4)
    assert_allclose(left_out, [0, 1 / 3, 2 / 3])
    assert_allclose(scores, [80 / 130, 1, 1])
    empty, nothing = kept_scores(np.zeros((0, 2, 2)), [], [1])
    assert not len(empty)
    assert not len(nothing)
