"""Crops of one scene are found with their exact shift; nothing else is."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from
from numpy.testing import assert_array_equal

from flexunet.check import Overlap, find_overlaps, join_groups
from flexunet.check.anchors import MOST_ANCHORS, NEIGHBOURHOOD_PX, WINDOW_PX, Anchors, find_anchors, refuted
from shared_data import SHARED, needs_shared

SURE_PX = WINDOW_PX + NEIGHBOURHOOD_PX - 1


def noise(seed: int, height: int, width: int, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return values.astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    dy=integers(-30, 30),
    dx=integers(-30, 30),
    size=integers(SURE_PX + 30, 60),
    channels=sampled_from([1, 3, 7]),
    dtype=sampled_from(["uint8", "int16", "float32", "float64"]),
)
def test_two_crops_of_a_scene_are_found_with_their_shift(
    dy: int, dx: int, size: int, channels: int, dtype: str
) -> None:
    scene = noise(1, 130, 130, channels, dtype)
    first, second = scene[35 : 35 + size, 35 : 35 + size], scene[35 + dy : 95 + dy, 35 + dx : 90 + dx]
    pairs = find_overlaps([noise(2, 40, 50, channels, dtype), first, second]).pairs
    assert [(pair.first, pair.second, pair.dy, pair.dx) for pair in pairs] == [(1, 2, dy, dx)]
    pair = pairs[0]
    top, left = max(dy, 0), max(dx, 0)
    assert_array_equal(
        first[top : top + pair.height, left : left + pair.width],
        second[top - dy : top - dy + pair.height, left - dx : left - dx + pair.width],
    )


def test_pictures_of_different_ground_do_not_overlap() -> None:
    assert find_overlaps([noise(seed, 50, 70) for seed in range(6)]).pairs == ()


@settings(max_examples=200, deadline=None)
@given(
    dy=integers(-60, 60),
    dx=integers(-60, 60),
    height=integers(WINDOW_PX, 60),
    width=integers(WINDOW_PX, 60),
    colours=sampled_from([2, 5, 256]),
    thinned=sampled_from([(1, 1), (4, 1), (1, 2), (4, 4)]),
)
def test_no_true_shift_is_refuted_by_anchors_alone(
    dy: int, dx: int, height: int, width: int, colours: int, thinned: tuple[int, int]
) -> None:
    scene = np.random.default_rng(7).integers(0, colours, (200, 200)).astype(np.uint8)
    first, second = (
        thin(find_anchors(scene[y : y + h, x : x + w]), every)
        for (y, x, h, w), every in zip(
            [(70, 70, 50, 50), (70 + dy, 70 + dx, height, width)], thinned, strict=True
        )
    )
    assert not refuted(first, second, dy, dx)
    assert not refuted(second, first, -dy, -dx)


def test_a_wrong_shift_between_textured_pictures_is_refuted_unread() -> None:
    scene = noise(8, 100, 100)
    first, second = find_anchors(scene[:60, :60]), find_anchors(scene[20:90, 30:95])
    assert not refuted(first, second, 20, 30)
    assert refuted(first, second, 20, 29)
    assert refuted(first, find_anchors(noise(9, 60, 60)), 3, -5)


def thin(anchors: Anchors, every: int) -> Anchors:
    """What is kept of the anchors of a larger picture."""
    few = anchors.hashes % np.uint64(every) == 0
    return Anchors(anchors.hashes[few], anchors.ys[few], anchors.xs[few], anchors.shape, every)


def test_one_differing_pixel_in_the_shared_rectangle_refutes() -> None:
    first = noise(3, 60, 60)
    second = first.copy()
    second[50, 3, 1] ^= 1
    assert find_overlaps([first, second]).pairs == ()


def test_equal_filled_margins_are_no_proof() -> None:
    first, second = noise(4, 60, 60), noise(5, 60, 60)
    first[:20], second[-20:] = 0, 0
    first[3:16, 4:55:3] = second[43:56, 4:55:3] = 4  # texture, but of two values only
    assert find_overlaps([first, second]).pairs == ()


def test_identical_pictures_overlap_as_a_whole_and_many_copies_form_one_group() -> None:
    copies = [noise(6, 30, 33)] * 40
    assert find_overlaps(copies[:2]).pairs == (Overlap(0, 1, 0, 0, 30, 33),)
    assert set(find_overlaps(copies).groups) == {0}


def test_pictures_smaller_than_a_window_and_no_pictures_at_all_are_fine() -> None:
    tiny = noise(7, WINDOW_PX - 1, 40)
    assert find_overlaps([tiny, tiny]).pairs == ()
    assert find_overlaps([]).groups == ()


def test_grey_and_colour_pictures_never_match() -> None:
    grey = noise(8, 30, 30, 1)
    assert find_overlaps([grey, np.repeat(grey, 3, axis=2), grey.astype(np.uint16)]).pairs == ()


def test_groups_join_what_is_connected_through_others() -> None:
    assert join_groups(7, [(5, 1), (2, 3), (1, 2)]) == (0, 1, 1, 1, 4, 1, 6)


def test_progress_counts_every_picture() -> None:
    calls: list[tuple[str, int, int]] = []
    find_overlaps([noise(9, 20, 20)] * 3, progress=lambda *told: calls.append(told))
    assert calls == [("comparing", 1, 3), ("comparing", 2, 3), ("comparing", 3, 3)]


class Decoded:
    """Pictures read when asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        picture = cv2.imread(str(self.paths[index]))
        assert picture is not None
        return picture


@needs_shared
@pytest.mark.slow
def test_all_131_pairs_of_the_bijie_pictures_are_found() -> None:
    folder = SHARED / "data" / "bijie"
    images = Decoded([*sorted(folder.glob("*landslide/image/*.png"))])
    overlaps = find_overlaps(images)  # type: ignore[arg-type]
    groups = np.array(overlaps.groups)
    sizes = np.unique_counts(groups).counts
    assert (len(overlaps.pairs), int((sizes > 1).sum()), int(sizes[sizes > 1].sum())) == (131, 75, 184)


def test_of_large_pictures_the_same_few_anchors_are_kept() -> None:
    scene = noise(10, 500, 560)
    large, small = scene[:, :500], scene[200:260, 300:390]
    assert len(find_anchors(large).hashes) <= MOST_ANCHORS < len(find_anchors(scene).hashes) * 4
    assert find_overlaps([large, small]).pairs == (Overlap(0, 1, 200, 300, 60, 90),)
