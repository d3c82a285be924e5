"""Labels stay on their pixels whatever is drawn; what is missing stays missing; draws are repeatable."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from flexunet.augment import Augmenter, Sizing
from flexunet.bands import Bands
from flexunet.classes import IGNORE_INDEX
from flexunet.config import AugmentConfig, ResizedCropConfig

NO_COLOUR = {"brightness": 0.0, "contrast": 0.0, "colour": 0.0}
ONLY_FLIPS = AugmentConfig(
    rotation=0, turns=False, scale=(1, 1), aspect=1, shift=0, **NO_COLOUR  # type: ignore[arg-type]
)  # fmt: skip
SIZINGS: tuple[Sizing, ...] = ("resize", "fit", "crop")


def raw(count: int = 1, **values: Any) -> Bands:
    """Bands that leave values as they are."""
    names = tuple(f"b{index}" for index in range(count))
    return Bands(names=names, mean=(0.0,) * count, std=(1.0,) * count, **values)


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth two-class mask without anything thin."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), max(height, width) / 9)
    return (smooth > 0).astype(np.uint8)


def all_valid(labels: np.ndarray) -> np.ndarray:
    return np.ones(labels.shape, np.bool_)


@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    size=st.tuples(st.integers(16, 64), st.integers(16, 64)),
    sizing=st.sampled_from(SIZINGS),
    border=st.sampled_from(["reflect", "ignore"]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64, np.int32]),
    seed=st.integers(0, 10_000),
)
@settings(deadline=None, max_examples=120)
def test_labels_stay_within_one_pixel_of_the_image(
    shape: tuple[int, int], size: tuple[int, int], sizing: Sizing, border: Any, dtype: type, seed: int
) -> None:
    labels = blobs(*shape, seed)
    pixels: np.ndarray = (labels[None] * 100).astype(dtype)
    config = AugmentConfig(border=border, shear=0.2, **NO_COLOUR)  # type: ignore[arg-type]
    image, warped = Augmenter(config, raw(), size, sizing)(
        pixels, labels, all_valid(labels), np.random.default_rng(seed)
    )
    assert image.shape == (1, *size)
    assert warped.shape == size
    known = warped != IGNORE_INDEX
    assert (image[0][~known] == 0).all()
    # where all labels within a pixel (of the sample or of the source) agree, the image must agree with them
    reach = 1 + int(max(edge / source for edge, source in zip(size, shape, strict=True)))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    certain = cv2.erode(warped, kernel) == cv2.dilate(warped, kernel)
    differs = ((image[0] > 50) != (warped == 1)) & certain & known
    assert differs.sum() <= 2  # a sharp corner or a neck of one pixel, which averaging rounds off


def test_flips_and_quarter_turns_move_pixels_without_touching_them() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 2, (32, 32)).astype(np.uint8)
    config = ONLY_FLIPS.model_copy(update={"turns": True})
    augmenter = Augmenter(config, raw(3), (32, 32), "resize")
    turned = {
        np.rot90(flipped, k).tobytes(): (flip, k)
        for flip, flipped in enumerate((labels, labels[:, ::-1]))
        for k in range(4)
    }
    seen = set()
    for seed in range(60):
        image, warped = augmenter(pixels, labels, all_valid(labels), np.random.default_rng(seed))
        flip, k = turned[warped.tobytes()]
        expected = pixels[:, :, ::-1] if flip else pixels
        assert_array_equal(image, np.rot90(expected, k, (1, 2)))
        seen.add((flip, k))
    assert len(seen) == 8


def test_frames_are_kept_as_often_as_nothing_affine_is_drawn() -> None:
    labels = np.random.default_rng(2).integers(0, 2, (32, 32)).astype(np.uint8)
    free = ONLY_FLIPS.model_copy(
        update={"hflip": 0.0, "vflip": 0.0, "rotation": 180.0, "scale": (0.7, 1.4), "shift": 0.1}
    )

    def kept(affine: float) -> int:
        augmenter = Augmenter(free.model_copy(update={"affine": affine}), raw(), (32, 32), "resize")
        drawn = (
            augmenter(labels[None], labels, all_valid(labels), np.random.default_rng(seed))[1]
            for seed in range(400)
        )
        return sum(np.array_equal(sample, labels) for sample in drawn)

    assert kept(0.0) == 400
    assert kept(1.0) == 0
    assert 240 <= kept(0.3) <= 320


def test_a_resized_crop_is_a_part_of_the_picture_from_anywhere_in_it_and_never_beyond() -> None:
    rows, columns = np.mgrid[:64, :64].astype(np.float32)
    config = ONLY_FLIPS.model_copy(
        update={
            "hflip": 0.0,
            "vflip": 0.0,
            "resized_crop": ResizedCropConfig(probability=0.8, edge=(0.5, 0.5)),
            "border": "ignore",
        }
    )
    augmenter = Augmenter(config, raw(2, dtype="float32"), (64, 64), "resize")
    labels = np.zeros((64, 64), np.uint8)
    tops = []
    for seed in range(200):
        image, warped = augmenter(
            np.stack([rows, columns]), labels, all_valid(labels), np.random.default_rng(seed)
        )
        assert (warped == 0).all()
        if np.ptp(image[0]) < 40:
            assert_allclose(np.ptp(image, axis=(1, 2)), 31.5, atol=0.6)
            tops.append(image[:, 0, 0])
        else:
            assert_array_equal(image, np.stack([rows, columns]))
    assert 140 <= len(tops) <= 180
    assert np.min(tops) < 3
    assert np.max(tops) > 29


def test_only_half_turns_where_the_frame_is_not_square() -> None:
    labels = np.arange(24 * 40, dtype=np.int64).reshape(24, 40).astype(np.uint8)
    config = ONLY_FLIPS.model_copy(update={"turns": True, "hflip": 0.0, "vflip": 0.0})
    augmenter = Augmenter(config, raw(), (24, 40), "resize")
    seen = {
        augmenter(labels[None], labels, all_valid(labels), np.random.default_rng(seed))[1].tobytes()
        for seed in range(20)
    }
    assert seen == {labels.tobytes(), labels[::-1, ::-1].tobytes()}


def test_fixed_angles_take_the_place_of_turns_and_free_rotation() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (21, 21)).astype(np.uint8)
    config = ONLY_FLIPS.model_copy(
        update={"angles": (0.0, 90.0), "hflip": 0.0, "vflip": 0.0, "rotation": 180.0, "turns": True}
    )
    augmenter = Augmenter(config, raw(), (21, 21), "resize")
    seen = {
        augmenter(labels[None], labels, all_valid(labels), np.random.default_rng(seed))[1].tobytes()
        for seed in range(20)
    }
    assert seen == {labels.tobytes(), np.rot90(labels, -1).tobytes()}


@pytest.mark.parametrize("sizing", SIZINGS)
def test_the_same_generator_gives_the_same_sample(sizing: Sizing) -> None:
    pixels = np.random.default_rng(2).integers(0, 4000, (7, 70, 50)).astype(np.uint16)
    labels = blobs(70, 50, 2)
    augmenter = Augmenter(AugmentConfig(saturation=0.3), raw(7), (32, 48), sizing)
    first, second, other = (
        augmenter(pixels, labels, all_valid(labels), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert_array_equal(first[0], second[0])
    assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_missing_pixels_never_leak_into_the_image(dtype: type) -> None:
    labels = np.zeros((60, 60), np.uint8)
    valid = all_valid(labels)
    valid[20:40, 10:50] = False
    pixels: np.ndarray = np.full((2, 60, 60), 100, dtype)
    pixels[:, ~valid] = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else -3.4e38
    if np.dtype(dtype).kind == "f":
        pixels[1, ~valid] = np.nan
    bands = Bands(names=("a", "b"), mean=(100.0, 90.0), std=(10.0, 10.0))
    config = AugmentConfig(scale=(0.3, 0.5), **NO_COLOUR)  # type: ignore[arg-type]
    image, warped = Augmenter(config, bands, (48, 48), "resize")(
        pixels, labels, valid, np.random.default_rng(0)
    )
    assert (warped == IGNORE_INDEX).any()
    assert_allclose(image[0], 0, atol=0.05)
    assert (image[1] >= -0.05).all()
    assert (image[1] <= 1.05).all()
    assert (image[:, warped == IGNORE_INDEX] == 0).all()


def test_padding_of_fit_and_of_small_crops_is_ignored() -> None:
    labels = np.ones((20, 40), np.uint8)
    pixels = np.full((1, 20, 40), 7, np.uint8)
    for sizing, size, expected in (("fit", (40, 40), (20, 40)), ("crop", (48, 64), (20, 40))):
        image, warped = Augmenter(ONLY_FLIPS, raw(), size, sizing)(  # type: ignore[arg-type]
            pixels, labels, all_valid(labels), np.random.default_rng(0)
        )
        known = warped != IGNORE_INDEX
        assert known.sum() == expected[0] * expected[1]
        assert (warped[known] == 1).all()
        assert (image[0] == np.where(known, 7, 0)).all()


def test_ignore_labels_stay_and_spread_nowhere() -> None:
    labels = blobs(64, 64, 3)
    labels[:, :20] = IGNORE_INDEX
    pixels = (labels == IGNORE_INDEX).astype(np.uint8)[None] * 100
    image, warped = Augmenter(ONLY_FLIPS, raw(), (64, 64), "resize")(
        pixels, labels, all_valid(labels), np.random.default_rng(3)
    )
    assert_array_equal(image[0] == 100, warped == IGNORE_INDEX)


def test_shrinking_averages_instead_of_picking() -> None:
    checker = (np.indices((256, 256)).sum(0) % 2 * 200).astype(np.uint8)
    config = ONLY_FLIPS.model_copy(update={"enabled": False})
    image, _ = Augmenter(config, raw(), (32, 32), "resize")(
        checker[None], np.zeros((256, 256), np.uint8), np.ones((256, 256), np.bool_), np.random.default_rng(0)
    )
    assert_allclose(image, 100, atol=1)


def test_without_augmentation_a_crop_still_takes_random_places_at_native_resolution() -> None:
    labels = np.zeros((50, 90), np.uint8)
    pixels = np.arange(50 * 90, dtype=np.float32).reshape(1, 50, 90)
    augmenter = Augmenter(AugmentConfig(enabled=False), raw(), (16, 16), "crop")
    corners = set()
    for seed in range(8):
        image, warped = augmenter(pixels, labels, all_valid(labels), np.random.default_rng(seed))
        row, column = divmod(int(image[0, 0, 0]), 90)
        assert_array_equal(image[0], pixels[0, row : row + 16, column : column + 16])
        assert (warped == 0).all()
        corners.add((row, column))
    assert len(corners) > 4


def test_colour_changes_are_in_band_standard_deviations_and_leave_labels_alone() -> None:
    labels = blobs(40, 40, 4)
    pixels = np.random.default_rng(4).normal(1000, 50, (4, 40, 40)).astype(np.float32)
    bands = Bands(names=tuple("abcd"), dtype="float32", mean=(1000.0,) * 4, std=(50.0,) * 4)
    plain, colour = (
        Augmenter(ONLY_FLIPS.model_copy(update=update), bands, (40, 40), "resize")
        for update in ({}, {"brightness": 0.2, "contrast": 0.2, "colour": 0.07})
    )
    shifts = []
    for seed in range(50):
        before, labels_before = plain(pixels, labels, all_valid(labels), np.random.default_rng(seed))
        after, labels_after = colour(pixels, labels, all_valid(labels), np.random.default_rng(seed))
        assert_array_equal(labels_before, labels_after)
        slope, offset = np.polyfit(before[0].ravel(), after[0].ravel(), 1)
        assert 0.8 <= slope <= 1.2
        shifts.append(offset)
    assert 0.08 < np.std(shifts) < 0.18  # sqrt(0.2^2 / 3 + 0.07^2) = 0.135


def test_zoom_shows_the_magnified_centre() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[24:40, 24:40] = 1
    config = ONLY_FLIPS.model_copy(update={"scale": (2.0, 2.0)})
    _, warped = Augmenter(config, raw(), (64, 64), "resize")(
        labels[None], labels, all_valid(labels), np.random.default_rng(0)
    )
    expected = np.zeros((64, 64), np.uint8)
    expected[16:48, 16:48] = 1
    assert_array_equal(warped, expected)


def test_read_only_memory_maps_are_sampled_and_never_changed(tmp_path: Any) -> None:
    np.save(tmp_path / "pixels.npy", np.random.default_rng(5).integers(0, 255, (5, 80, 60)).astype(np.uint8))
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    labels, valid = blobs(80, 60, 5), np.ones((80, 60), np.bool_)
    valid[:4] = False
    for array in (labels, valid):
        array.setflags(write=False)
    for sizing in SIZINGS:
        Augmenter(AugmentConfig(), raw(5), (32, 32), sizing)(pixels, labels, valid, np.random.default_rng(0))


def test_a_single_pixel_is_a_picture_too() -> None:
    one = np.ones((1, 1), np.uint8)
    for sizing in SIZINGS:
        image, warped = Augmenter(AugmentConfig(), raw(), (16, 16), sizing)(
            one[None] * 9, one, all_valid(one), np.random.default_rng(0)
        )
        assert np.isfinite(image).all()
        assert set(np.unique(warped)) <= {1, IGNORE_INDEX}
