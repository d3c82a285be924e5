"""Samples made of two: labels come from where the pixels come from, and ignored ones stay ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import SampleMixer
from flexunet.augment.mix import draw_classes, draw_objects, draw_rectangle, mixup, pasted
from flexunet.classes import IGNORE_INDEX
from flexunet.config import AugmentConfig, MixConfig

SIZE = (40, 48)


def sample(seed: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    """An image of one value, with three classes, an ignored corner and a missing one."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint8)
    for label in (1, 2):
        row, column = rng.integers(5, 25, 2)
        labels[row : row + 8, column : column + 9] = label
    image = np.full((2, *SIZE), value, np.float32)
    labels[:4, :4] = IGNORE_INDEX
    labels[-4:, -4:] = IGNORE_INDEX
    image[:, -4:, -4:] = 0
    return image, labels


FIRST, SECOND = sample(1, 1.0), sample(2, 2.0)


@pytest.mark.parametrize("kind", ["cutmix", "classmix", "copy_paste"])
def test_labels_come_from_where_the_pixels_come_from(kind: str) -> None:
    mixer = SampleMixer(MixConfig.model_validate({kind: 1.0}))
    shares = []
    for seed in range(30):
        mixed = mixer(*FIRST, lambda: SECOND, np.random.default_rng(seed))
        assert mixed.others is None
        theirs = mixed.image[0] > 1.5
        here = mixed.image[0] != 0
        hard = np.where(theirs, SECOND[1], FIRST[1])[here]
        # a soft edge of Copy-Paste may lean to either side; nothing else may differ
        assert (mixed.labels[here] != hard).mean() <= (0.01 if kind == "copy_paste" else 0)
        assert (mixed.image[:, mixed.labels != IGNORE_INDEX] != 0).all()
        shares.append(theirs.mean())
    assert max(shares) > 0.05
    assert len(set(shares)) > 1
    assert_array_equal(FIRST[0], sample(1, 1.0)[0])


def test_mixup_by_hand() -> None:
    mixed = mixup(*FIRST, *SECOND, 0.25)
    assert mixed.share == 0.75
    middle = np.s_[:, 10:30, 10:30]
    assert_allclose(mixed.image[middle], 0.25 * FIRST[0][middle] + 0.75 * SECOND[0][middle])
    assert mixed.others is not None
    ignored = (FIRST[1] == IGNORE_INDEX) | (SECOND[1] == IGNORE_INDEX)
    assert_array_equal(mixed.labels, np.where(ignored, IGNORE_INDEX, SECOND[1]))
    assert_array_equal(mixed.others, np.where(ignored, IGNORE_INDEX, FIRST[1]))
    assert (mixed.image[:, -4:, -4:] == 0).all()


def test_as_often_as_the_probabilities_say() -> None:
    mixer = SampleMixer(MixConfig(mixup=0.2, cutmix=0.3))
    rng = np.random.default_rng(0)
    kinds = {"mixup": 0, "cutmix": 0, "none": 0}
    for _ in range(400):
        mixed = mixer(*FIRST, lambda: SECOND, rng)
        kinds["mixup" if mixed.others is not None else "none" if mixed.image is FIRST[0] else "cutmix"] += 1
    assert kinds["mixup"] == pytest.approx(80, abs=30)
    assert kinds["cutmix"] == pytest.approx(120, abs=35)


def test_the_other_sample_is_not_drawn_where_nothing_happens() -> None:
    def never() -> Any:
        raise AssertionError

    assert SampleMixer(MixConfig())(*FIRST, never, np.random.default_rng(0)).image is FIRST[0]


def test_rectangles_have_every_size() -> None:
    shares = [draw_rectangle(SIZE, np.random.default_rng(seed)).mean() for seed in range(300)]
    assert min(shares) < 0.05
    assert max(shares) > 0.8
    assert np.mean(shares) == pytest.approx(0.37, abs=0.06)  # 0.5 before the edge cuts off


def test_classmix_takes_half_of_the_classes() -> None:
    mask = draw_classes(SECOND[1], np.random.default_rng(0))
    assert mask is not None
    assert len(set(SECOND[1][mask])) == 1
    assert IGNORE_INDEX not in SECOND[1][mask]
    assert draw_classes(np.zeros(SIZE, np.uint8), np.random.default_rng(0)) is None


def test_copy_paste_takes_whole_objects_and_no_background() -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[2:8, 2:8], labels[20:30, 20:30], labels[35:, 40:] = 1, 2, IGNORE_INDEX
    seen = set()
    for seed in range(20):
        mask = draw_objects(labels, 0, np.random.default_rng(seed))
        assert mask is not None
        assert mask[2:8, 2:8].all() == mask[2:8, 2:8].any()
        assert mask[20:30, 20:30].all() == mask[20:30, 20:30].any()
        seen.add((mask[3, 3], mask[25, 25]))
        assert not mask[labels == 0].any()
        assert not mask[labels == IGNORE_INDEX].any()
    assert seen == {(True, False), (False, True), (True, True)}
    assert draw_objects(np.zeros(SIZE, np.uint8), 0, np.random.default_rng(0)) is None


def test_a_soft_edge_is_soft() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[10:30, 10:30] = True
    mixed = pasted(*FIRST, *SECOND, mask, soft=True)
    profile = mixed.image[0, 20, 5:20]
    assert (np.diff(profile) >= 0).all()
    assert 1.2 < profile[4] < profile[5] < 1.8  # the edge lies between columns 9 and 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mix": {"mixup": 0.6, "cutmix": 0.6}}, "together they are 1.2"),
        ({"haze": {"strength": [0.5, 0.2]}}, "smallest, largest"),
        ({"jpeg": {"quality": [90, 30]}}, "smallest, largest"),
        ({"blur": {"sigma": [0, 1]}}, "greater than 0"),
        ({"perspective": {"strength": 0.5}}, "less than or equal to 0.2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AugmentConfig.model_validate(settings)
