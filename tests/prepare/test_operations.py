"""One map for every layer: missing pixels stay out of the valid ones, and any number of labels travels."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.ndimage import gaussian_filter

from flexunet.augment import displacement
from flexunet.errors import DataError
from flexunet.prepare.offline import Variant, read_variants
from flexunet.prepare.operations import present_labels
from flexunet.prepare.picture_files import png_bytes, write_mask
from flexunet.prepare.pieces import Piece
from flexunet.raster import Grid

WARPS = read_variants(
    (
        "rotation:angles=30",
        "shrinks:shrinks=0.8,0.5",
        "shears:shears=0.2",
        "deformation:alpah=1300:sigmoids=8",
        "distortion:distortions=0.03",
        "barrdistortion:radius=0.3:amount=0.3:centers=0.4/0.5",
    )
)


def elevation_with_void(dtype: str) -> Piece:
    """1500 m everywhere but in a void, where the file holds -9999 (or 0)."""
    valid = np.ones((80, 100), np.bool_)
    valid[30:50, 40:70] = False
    void = np.nan if dtype == "float32" else -9999
    pixels = np.where(valid, 1500, void).astype(dtype)[None]
    labels = np.where(valid, 1, 255).astype(np.uint8)
    return Piece(pixels, valid, labels, Grid(), ("dem",), 1)


@pytest.mark.parametrize("variant", WARPS, ids=lambda variant: variant.prefix)
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_no_valid_pixel_holds_a_share_of_a_missing_one(variant: Variant, dtype: str) -> None:
    moved = variant.of(elevation_with_void(dtype), 5, "picture")
    assert 0.02 < (~moved.valid).mean() < 0.3
    assert np.abs(moved.pixels[0][moved.valid].astype(float) - 1500).max() <= 6
    assert_array_equal(moved.labels == 255, ~moved.valid)


@pytest.mark.parametrize("variant", WARPS, ids=lambda variant: variant.prefix)
@pytest.mark.parametrize("count", [1, 2, 3, 23])
def test_any_number_of_labels_moves_with_the_picture(variant: Variant, count: int) -> None:
    """The picture shows its labels, so both agree after any map but for half a step at the borders."""
    steps = np.repeat(np.arange(count, dtype=np.uint8), 240 // count)
    labels = np.tile(steps, (96, 1))
    pixels = labels[None].astype(np.float32)
    piece = Piece(pixels, np.ones(labels.shape, np.bool_), labels, Grid(), ("label",), 1)
    moved = variant.of(piece, 11, "picture")
    assert moved.labels is not None
    assert np.abs(moved.pixels[0] - moved.labels).max() <= 0.5 + 1 / 32
    assert set(np.unique(moved.labels)) <= set(range(count))


def test_the_values_that_occur_are_found_in_any_memory_layout() -> None:
    labels = np.random.default_rng(3).choice(np.array([0, 7, 200, 255], np.uint8), (40, 60))
    assert_array_equal(present_labels(labels), [0, 7, 200, 255])
    assert_array_equal(present_labels(labels[::-1, ::3].T), np.unique(labels[::-1, ::3]))


def test_a_side_beyond_what_can_be_looked_up_is_told_with_the_cure() -> None:
    nothing = np.zeros((2, 33_000), np.uint8)
    long = Piece(nothing[None], nothing == 0, nothing, Grid(), ("x",))
    with pytest.raises(DataError, match=r"33000 x 2 pixels.*--tile"):
        WARPS[0].of(long, 0, "")


def test_a_field_on_knots_is_the_one_that_scipy_smooths_in_full() -> None:
    """SciPy's Gaussian derivatives of noise against its smooth values on knots, through our gradient and
    interpolation: apart by at most 10 % of the largest value, 3 % in the mean square."""
    sigma, per_sigma = 40, displacement._KNOTS_A_SIGMA
    step = sigma // per_sigma
    noise = np.random.default_rng(1).standard_normal((480, 400))
    smooth = gaussian_filter(noise, sigma)
    expected = [gaussian_filter(noise, sigma, order=order) for order in ((0, 1), (1, 0))]
    # a knot lies in the middle of a cell of `step` pixels: between four pixels
    low, high = slice(step // 2 - 1, None, step), slice(step // 2, None, step)
    knots = (smooth[low, low] + smooth[low, high] + smooth[high, low] + smooth[high, high]) / 4
    moved = displacement._upsampled(displacement._gradient(knots.astype(np.float32)), noise.shape)
    inner = np.s_[2 * step : -2 * step, 2 * step : -2 * step]
    for ours, theirs in zip(np.moveaxis(moved, -1, 0), expected, strict=True):
        one, other = ours[inner] / np.abs(ours[inner]).max(), theirs[inner] / np.abs(theirs[inner]).max()
        assert np.abs(one - other).max() < 0.10
        assert np.sqrt(np.square(one - other).mean()) < 0.03


@pytest.mark.parametrize("bands", [1, 3])
def test_pictures_come_back_from_png_as_they_were(bands: int) -> None:
    generator = np.random.default_rng(bands)
    pixels = generator.integers(0, 256, (bands, 37, 53), dtype=np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(png_bytes(pixels, None))))
    assert_array_equal(shown.reshape(37, 53, bands).transpose(2, 0, 1), pixels)
    if bands == 3:
        valid = generator.random((37, 53)) > 0.3
        with_alpha = np.asarray(Image.open(io.BytesIO(png_bytes(pixels, valid))))
        assert_array_equal(with_alpha[..., 3] == 255, valid)
        assert_array_equal(with_alpha[valid][:, :3], pixels[:, valid].T)


def test_smooth_pictures_take_no_more_room_than_opencv_gives_them(tmp_path: Path) -> None:
    grain = np.random.default_rng(0).normal(0, 60, (300, 300, 3))
    smooth = np.clip(cv2.GaussianBlur(grain, (0, 0), 2) * 8 + 128, 0, 255).astype(np.uint8)
    own = png_bytes(np.ascontiguousarray(smooth[..., ::-1].transpose(2, 0, 1)), None)
    assert len(own) <= len(cv2.imencode(".png", smooth)[1])
    labels = np.zeros((512, 512), np.uint8)
    cv2.circle(labels, (250, 250), 120, 1, -1)
    write_mask(tmp_path / "m.png", labels, Grid(), ((0, 0, 0), (255, 255, 0)), indices=True)
    assert_array_equal(np.asarray(Image.open(tmp_path / "m.png")), labels)
    assert (tmp_path / "m.png").stat().st_size < 4000
