"""Objects counted strip by strip are those of the whole picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from flexunet.metrics import ObjectCounter


def counted(truth: np.ndarray, predicted: np.ndarray, strips: list[int], least: int = 1) -> dict[str, int]:
    counter = ObjectCounter(1, least)
    for top, bottom in zip([0, *strips], [*strips, len(truth)], strict=True):
        counter.add(truth[top:bottom], predicted[top:bottom])
    return counter.finish()


def by_scipy(truth: np.ndarray, predicted: np.ndarray, least: int) -> dict[str, int]:
    result: dict[str, int] = {}
    for name, one, two in (("true", truth == 1, predicted == 1), ("predicted", predicted == 1, truth == 1)):
        regions, count = ndimage.label(one, np.ones((3, 3)))
        sizes = [(regions == i).sum() for i in range(1, count + 1)]
        hits = [(two & (regions == i)).sum() for i in range(1, count + 1)]
        kept = [(int(s), int(h)) for s, h in zip(sizes, hits, strict=True) if s >= least]
        result[name] = len(kept)
        result[f"{name}_half"] = sum(2 * h >= s for s, h in kept)
        result[f"{name}_none"] = sum(h == 0 for _, h in kept)
        result[f"{name}_lost"] = sum(s for s, h in kept if h == 0)
    return result


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.data())
def test_strips_count_what_the_whole_picture_has(
    seed: int, height: int, width: int, least: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random((height, width)) < rng.uniform(0.2, 0.7)).astype(np.uint8)
    predicted = np.where(rng.random((height, width)) < 0.2, 1 - truth, truth).astype(np.uint8)
    cuts = sorted(data.draw(st.sets(st.integers(1, height - 1), max_size=6))) if height > 1 else []
    found, expected = counted(truth, predicted, cuts, least), by_scipy(truth, predicted, least)
    assert found["true_objects"] == expected["true"]
    assert found["found"] == expected["true_half"]
    assert found["missed"] == expected["true_none"]
    assert found["missed_pixels"] == expected["true_lost"]
    assert found["predicted_objects"] == expected["predicted"]
    assert found["confirmed"] == expected["predicted_half"]
    assert found["false_alarms"] == expected["predicted_none"]
    assert found["false_alarm_pixels"] == expected["predicted_lost"]


@pytest.mark.parametrize("strip", [1, 2, 7])
def test_a_u_shape_is_one_object_though_its_arms_meet_only_at_the_bottom(strip: int) -> None:
    truth = np.zeros((7, 7), np.uint8)
    truth[:, 0] = truth[:, 6] = truth[6] = 1
    predicted = np.zeros_like(truth)
    predicted[0, 0] = predicted[3, 3] = 1
    found = counted(truth, predicted, list(range(strip, 7, strip)))
    assert found["true_objects"] == 1
    assert (found["found"], found["touched"], found["missed"]) == (0, 1, 0)
    assert (found["predicted_objects"], found["confirmed"], found["false_alarms"]) == (2, 1, 1)
