"""The intervals hold the truth as often as they say, on samples whose truth is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from flexunet.metrics.bootstrap import bootstrap_interval, effective_number, sum_by_group, t_quantile

Counts = np.ndarray


def draw_groups(number: int, rng: np.random.Generator) -> Counts:
    """Hits, false alarms and misses of `number` groups (G, 3), as a set of landslide crops has them.

    A group is one to a few images of very different size; the share of landslide, how much of it is found
    and how much is found beside it belong to the group, so its pixels are right and wrong together; in one of
    seven there is no landslide and false alarm only.
    """
    pixels = rng.lognormal(8, 0.5, number) * rng.geometric(0.7, number)
    share = np.where(rng.random(number) < 0.15, 0, rng.beta(1.2, 8, number))
    found = rng.beta(6, 1.2, number)
    beside = share * rng.beta(1.5, 6, number) + (1 - share) * rng.gamma(0.5, 0.03, number)
    return np.stack([pixels * share * found, pixels * beside, pixels * share * (1 - found)], 1)


def iou(sums: Counts) -> Counts:
    return np.asarray(sums[:, 0] / sums.sum(1))


@pytest.fixture(scope="module")
def truth() -> float:
    rng = np.random.default_rng(99)
    return float(iou(draw_groups(2_000_000, rng).sum(0, keepdims=True))[0])


@pytest.mark.parametrize("groups", [15, 30, 87])
def test_the_95_percent_interval_holds_the_truth_in_93_to_97_of_100_samples(
    groups: int, truth: float
) -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(1200):
        interval = bootstrap_interval(draw_groups(groups, rng), iou, draws=500)
        held.append(interval is not None and interval.low <= truth <= interval.high)
    # 1200, not 200: the share of 200 would itself be uncertain by 3 points
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_difference_of_two_systems_is_drawn_in_pairs() -> None:
    rng = np.random.default_rng(3)
    one = draw_groups(60, rng)
    better = one + np.stack([one[:, 2] * 0.3, -one[:, 1] * 0.1, -one[:, 2] * 0.3], 1)

    def gain(sums: Counts) -> Counts:
        return np.asarray(iou(sums[:, 3:]) - iou(sums[:, :3]))

    paired = bootstrap_interval(np.hstack([one, better]), gain)
    alone = bootstrap_interval(one, iou)
    assert paired is not None
    assert alone is not None
    assert paired.low > 0
    assert paired.above_zero == 1
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_images_of_a_group_count_as_one() -> None:
    counts = np.arange(12).reshape(4, 3)
    summed = sum_by_group(counts, ["a", "b", "a", "c"])
    assert summed.tolist() == [[6, 8, 10], [3, 4, 5], [9, 10, 11]]
    copies = np.repeat(draw_groups(40, np.random.default_rng(0)), 4, axis=0)
    groups = np.repeat(np.arange(40), 4).tolist()
    by_image, by_group = (
        bootstrap_interval(copies, iou),
        bootstrap_interval(sum_by_group(copies, groups), iou),
    )
    assert by_image is not None
    assert by_group is not None
    assert by_group.high - by_group.low > 1.8 * (by_image.high - by_image.low)


def test_too_few_groups_get_no_interval() -> None:
    counts = draw_groups(20, np.random.default_rng(1))
    assert bootstrap_interval(counts[:2], iou) is None
    counts[0] *= 1e6  # one group is all there is
    assert bootstrap_interval(counts, iou) is None
    assert bootstrap_interval(np.zeros((20, 3)), lambda sums: sums[:, 0] / np.nan) is None


def test_the_effective_number_of_groups_and_students_t_are_those_of_the_books() -> None:
    assert effective_number(np.ones(7)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0, 0])) == pytest.approx(1)
    assert effective_number(np.array([3.0, 1.0])) == pytest.approx(1.6)
    for freedom in (1.5, 2, 6.3, 30, 1000):
        assert_allclose(t_quantile(0.025, freedom), stats.t.ppf(0.025, freedom), rtol=2e-4)
