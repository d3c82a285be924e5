"""Image, mask and companions go through one and the same map; files are named as the reference's."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from, tuples

from flexunet.errors import DataError
from flexunet.prepare.offline import DEFAULTS, Variant, read_variants
from flexunet.prepare.pieces import Piece
from flexunet.raster import Grid

GEOMETRIC = (
    "hflip",
    "vflip",
    "rotation:angles=90,180,270,30,-77.5",
    "shrinks:shrinks=0.8,0.5",
    "shears:shears=0.1,-0.3",
    "deformation:alpah=1300:sigmoids=7,8",
    "distortion:distortions=0.01,0.02,0.03",
    "barrdistortion:radius=0.3:amount=0.3:centers=0.3/0.3,0.7/0.5",
    "pincdistortion:radius=0.3:amount=-0.3:centers=0.5/0.5",
)
VARIANTS = read_variants(GEOMETRIC)
RADIUS = 5


def piece_with_landmarks(size_hw: tuple[int, int], centres: list[tuple[int, int]], dtype: str) -> Piece:
    """Landmark k is a disc in band k of the image and of label k + 1 in the mask."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
    pixels = np.zeros((len(centres), *size_hw), dtype)
    labels = np.zeros(size_hw, np.uint8)
    for number, (row, column) in enumerate(centres):
        disc = (rows - row) ** 2 + (columns - column) ** 2 <= RADIUS**2
        pixels[number][disc] = 200
        labels[disc] = number + 1
    names = tuple(f"band {number}" for number in range(len(centres)))
    return Piece(pixels, np.ones(size_hw, bool), labels, Grid(), names, len(centres))


def centre_of(weights: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / float(weights.sum())


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.prefix)
@settings(max_examples=8, deadline=None)
@given(
    size=tuples(integers(90, 130), integers(90, 130)),
    dtype=sampled_from(["uint8", "uint16", "int16", "float32"]),
    seed=integers(0, 999),
)
def test_landmarks_on_image_and_mask_stay_together_to_half_a_pixel(
    variant: Variant, size: tuple[int, int], dtype: str, seed: int
) -> None:
    centres = [(30, 28), (45, 62), (70, 40), (62, 75), (25, 60)]
    moved = variant.of(piece_with_landmarks(size, centres, dtype), seed, "picture")
    assert moved.labels is not None
    assert moved.pixels.dtype == np.dtype(dtype)
    for number, band in enumerate(moved.pixels.astype(np.float64)):
        here = moved.labels == number + 1
        assert here.any(), "a landmark in the middle does not leave the picture"
        for spot in whole_spots(here | (band > 0)):  # mirror images may show a landmark again
            if not here[spot].any():  # a mirror image of a landmark's rim, too faint for a label
                assert band[spot].max() <= 100
                continue
            bright = (band > 100) & spot  # folds leave faint veils that belong to no label
            assert np.abs(centre_of(bright) - centre_of(here & spot)).max() <= 0.5


def whole_spots(shown: np.ndarray) -> list[np.ndarray]:
    """The connected areas that no edge cuts."""
    count, areas = cv2.connectedComponents(shown.astype(np.uint8))
    cut = {*areas[0].tolist(), *areas[-1].tolist(), *areas[:, 0].tolist(), *areas[:, -1].tolist()}
    return [areas == number for number in range(1, count) if number not in cut]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.prefix)
def test_missing_pixels_travel_with_the_picture_and_are_ignored(variant: Variant) -> None:
    piece = piece_with_landmarks((96, 110), [(48, 55)], "float32")
    piece.valid[40:56, 20:40] = False
    piece.labels[40:56, 20:40] = 255  # type: ignore[index]
    moved = variant.of(piece, 3, "picture")
    assert not moved.valid.all()
    assert (moved.labels[~moved.valid] == 255).all()  # type: ignore[index]


def test_turns_and_flips_are_exact_and_undo_each_other() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (3, 40, 57), dtype=np.uint8)
    piece = Piece(pixels, np.ones((40, 57), bool), pixels[0] % 3, Grid(), ("red", "green", "blue"), 3)
    h, v, quarter, half, three = read_variants(("hflip", "vflip", "rotation"))
    assert (h.of(piece, 0, "").pixels == pixels[..., ::-1]).all()
    assert (half.of(piece, 0, "").pixels == v.of(h.of(piece, 0, ""), 0, "").pixels).all()
    turned = quarter.of(piece, 0, "")
    assert turned.size_hw == (57, 40)
    assert (turned.pixels[:, 56, 0] == pixels[:, 0, 0]).all(), "counter-clockwise: top left goes bottom left"
    assert (three.of(turned, 0, "").pixels == pixels).all()


def test_aspect_turns_with_the_slope() -> None:
    pixels = np.zeros((2, 8, 8), np.float32)
    pixels[0] = 1.0  # descent to the east: sine 1, cosine 0
    piece = Piece(
        pixels, np.ones((8, 8), bool), np.zeros((8, 8), np.uint8), Grid(), ("aspect_sin", "aspect_cos"), 0
    )
    h, v, quarter = (read_variants((text,))[0] for text in ("hflip", "vflip", "rotation:angles=90"))
    assert np.allclose(h.of(piece, 0, "").pixels[:, 4, 4], (-1, 0))
    assert np.allclose(v.of(piece, 0, "").pixels[:, 4, 4], (1, 0))
    assert np.allclose(quarter.of(piece, 0, "").pixels[:, 4, 4], (0, 1), atol=1e-6), "east turns to north"


def test_sharpening_and_brightening_leave_mask_and_companions_alone() -> None:
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 200, (4, 30, 30), dtype=np.uint8)
    piece = Piece(pixels, np.ones((30, 30), bool), pixels[0] % 2, Grid(), ("r", "g", "b", "dem"), 3)
    sharp, bright = read_variants(("sharpening:k=1", "brightening:alpha=1.2:beta=10"))
    for variant in (sharp, bright):
        moved = variant.of(piece, 0, "")
        assert np.array_equal(moved.labels, piece.labels)  # type: ignore[arg-type]
        assert (moved.pixels[3] == pixels[3]).all()
        assert (moved.pixels[:3] != pixels[:3]).any()
    expected = np.clip(np.rint(pixels[:3] * 1.2 + 10), 0, 255)
    assert np.abs(bright.of(piece, 0, "").pixels[:3] - expected).max() <= 1
    middle = pixels[0, 10:13, 10:13].astype(int)
    by_hand = np.clip(9 * middle[1, 1] - (middle.sum() - middle[1, 1]), 0, 255)
    assert sharp.of(piece, 0, "").pixels[0, 11, 11] == by_hand


def test_files_are_named_as_the_reference_names_them() -> None:
    names = {variant.prefix + "10009" for variant in read_variants(tuple(DEFAULTS))}
    assert {
        "distorted_0.02_rsigma0.5_sigma40_10009",
        "deformed_alpha_1300_sigmoid_8_10009",
        "barrdistorted_1001_0.5_0.5_10009",
        "pincdistorted_1001_0.5_-0.5_10009",
        "hflipped_10009",
        "vflipped_10009",
        "rotated_90_10009",
        "shrinked_0.8_10009",
    } <= names


def test_a_draw_depends_on_seed_picture_and_operation_only() -> None:
    piece = piece_with_landmarks((96, 96), [(48, 48)], "uint8")
    one, two = read_variants(("distortion:distortions=0.01,0.02",))
    first = one.of(piece, 1, "a").pixels
    two.of(piece, 1, "a")
    assert (one.of(piece, 1, "a").pixels == first).all()
    assert (one.of(piece, 1, "b").pixels != first).any()
    assert (one.of(piece, 2, "a").pixels != first).any()


def test_everything_wrong_with_the_operations_is_named_at_once() -> None:
    with pytest.raises(
        DataError, match=r"(?s)wobble.*no such operation.*no parameter 'amont'.*'x' is no number"
    ):
        read_variants(("wobble", "barrdistortion:amont=1", "shears:shears=x"))
    with pytest.raises(DataError, match=r"(?s)shrinks: above 0 and at most 1.*1\.5"):
        read_variants(("shrinks:shrinks=1.5",))
    with pytest.raises(DataError, match="hflipped: is asked for twice"):
        read_variants(("hflip", "hflip"))
