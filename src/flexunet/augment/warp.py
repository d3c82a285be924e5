"""Pixels, labels and valid mask through one map, by OpenCV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from .displacement import Displacement
from .geometry import Matrix, Placement

_WARPED_AS_THEY_ARE = {"uint8", "uint16", "int16", "float32"}
_BANDS_A_CALL = 4  # OpenCV warps up to four interleaved channels in one pass
_SHRINK_WORTH_AVERAGING = 1.25  # source pixels a sample pixel from which bilinear sampling alone would alias
_LONGEST_SIDE = 32_000  # OpenCV's warps count source pixels in 16 bits


@dataclass(frozen=True)
class Sample:
    """Raw pixels (C, H, W) with labels uint8 (H, W) and valid bool (H, W), None where all are."""

    pixels: NDArray[Any]
    labels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None


@dataclass(frozen=True)
class View:
    """What a frame of `size_hw` shows at each of its points p: the point `frame_to_frame` (p + displacement)
    of the unchanged frame.
    """

    size_hw: tuple[int, int]
    frame_to_frame: Matrix
    displacement: Displacement | None = None

    @property
    def reach(self) -> tuple[float, float]:
        """How far (x, y) a displacement looks beyond the frame at most."""
        if self.displacement is None:
            return 0.0, 0.0
        across, down = np.abs(self.displacement).max((0, 1)).tolist()
        return across, down

    def of(self, picture: NDArray[Any], to_picture: Matrix, interpolation: int, border: int) -> NDArray[Any]:
        """(h, w) or (h, w, C) looked up at `to_picture` (p + displacement) for every pixel of the frame."""
        if self.displacement is None:
            flags = interpolation | cv2.WARP_INVERSE_MAP
            affine = _index_map(to_picture)
            return np.asarray(
                cv2.warpAffine(picture, affine, self.size_hw[::-1], flags=flags, borderMode=border)
            )
        points = self.displacement + _centres(self.size_hw)
        places = points @ to_picture[:2, :2].T.astype(np.float32) + (to_picture[:2, 2] - 0.5).astype(
            np.float32
        )
        nothing = np.empty(0, np.float32)  # both coordinates are in `places`
        return np.asarray(cv2.remap(picture, places, nothing, interpolation, borderMode=border))


def warp(
    sample: Sample, placement: Placement, view: View, fill: NDArray[np.float64], *, reflect: bool
) -> Sample:
    """The sample as the view shows it.

    Pixels: bilinear, averaged first where they shrink; labels and valid: nearest. Beyond the padded picture
    stands its mirror image (`reflect`) or missing data. Missing pixels hold `fill` (C,), and their labels
    IGNORE_INDEX. Only the part of the picture that is seen is read.
    """
    to_padded = placement.frame_to_padded @ view.frame_to_frame
    seen, offset_xy = _cut(sample, placement, to_padded, view, fill)
    to_cut = np.array([[1, 0, -offset_xy[0]], [0, 1, -offset_xy[1]], [0, 0, 1]], np.float64) @ to_padded
    border = cv2.BORDER_REFLECT if reflect else cv2.BORDER_REPLICATE
    pixels = _warp_pixels(seen.pixels, to_cut, view, border)
    labels = _warp_nearest(seen.labels, to_cut, view, border)
    if seen.valid is None and reflect:
        return Sample(pixels, labels, None)
    known = np.ones(seen.labels.shape, np.bool_) if seen.valid is None else seen.valid
    valid = _warp_nearest(
        known.view(np.uint8), to_cut, view, cv2.BORDER_REFLECT if reflect else cv2.BORDER_CONSTANT
    ).view(np.bool_)
    labels[~valid] = IGNORE_INDEX
    return Sample(pixels, labels, valid)


def _cut(
    sample: Sample,
    placement: Placement,
    to_padded: Matrix,
    view: View,
    fill: NDArray[np.float64],
) -> tuple[Sample, tuple[int, int]]:
    """The part of the padded picture that the view needs, and where (x, y) it begins there."""
    height, width = sample.labels.shape
    padded_h = height + placement.top + placement.bottom
    padded_w = width + placement.left + placement.right
    (frame_h, frame_w), (across, down) = view.size_hw, view.reach
    xs, ys = (-across, frame_w + across), (-down, frame_h + down)
    corners = to_padded @ np.array([[*xs, *xs], [ys[0], ys[0], ys[1], ys[1]], [1, 1, 1, 1]], np.float64)
    left, right = _needed(corners[0], padded_w)
    top, bottom = _needed(corners[1], padded_h)
    rows = slice(max(top - placement.top, 0), max(min(bottom - placement.top, height), 0))
    columns = slice(max(left - placement.left, 0), max(min(right - placement.left, width), 0))
    pixels, labels = sample.pixels[:, rows, columns], sample.labels[rows, columns]
    valid = None if sample.valid is None else sample.valid[rows, columns]
    if valid is not None and valid.all():
        valid = None
    if labels.shape == (bottom - top, right - left) and valid is None:
        return Sample(pixels, labels, None), (left, top)
    row, column = rows.start + placement.top - top, columns.start + placement.left - left
    place = np.s_[row : row + labels.shape[0], column : column + labels.shape[1]]
    whole_labels = np.full((bottom - top, right - left), IGNORE_INDEX, np.uint8)
    whole_labels[place] = labels
    whole_valid = np.zeros(whole_labels.shape, np.bool_)
    whole_valid[place] = True if valid is None else valid
    whole_pixels = np.empty((len(pixels), *whole_labels.shape), pixels.dtype)
    whole_pixels[:, place[0], place[1]] = pixels
    missing = ~whole_valid
    for band, value in zip(whole_pixels, fill, strict=True):
        band[missing] = _fitting(value, pixels.dtype)
    return Sample(whole_pixels, whole_labels, whole_valid), (left, top)


def _needed(points: NDArray[np.float64], length: int) -> tuple[int, int]:
    """First and last + 1 pixel of 0 .. length that these points need, through the end mirrors too."""
    margin = 2 + math.ceil(
        (points.max() - points.min()) / 64
    )  # bilinear neighbours, rounding of the averaging
    low, high = math.floor(points.min()) - margin, math.ceil(points.max()) + margin
    first = min(low, 2 * length - high) if high > length else low
    last = max(high, -low) if low < 0 else high
    first = min(max(first, 0), length - 1)
    return first, max(min(last, length), first + 1)


def _fitting(value: float, dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return dtype.type(min(max(round(value), limits.min), limits.max))
    return dtype.type(value)


def _warp_pixels(pixels: NDArray[Any], to_source: Matrix, view: View, border: int) -> NDArray[Any]:
    """Bilinear warp of (C, h, w) to (C, H, W), averaged over areas first along the axes where it shrinks."""
    dtype = pixels.dtype if pixels.dtype.name in _WARPED_AS_THEY_ARE else np.dtype(np.float32)
    height, width = pixels.shape[1:]
    step_x, step_y = (float(np.hypot(row[0], row[1])) for row in to_source[:2])
    reduced_w = max(1, round(width / step_x)) if step_x > _SHRINK_WORTH_AVERAGING else width
    reduced_h = max(1, round(height / step_y)) if step_y > _SHRINK_WORTH_AVERAGING else height
    to_reduced = np.diag([reduced_w / width, reduced_h / height, 1.0]) @ to_source
    warped = np.empty((len(pixels), *view.size_hw), dtype)
    for first in range(0, len(pixels), _BANDS_A_CALL):
        bands = pixels[first : first + _BANDS_A_CALL]
        picture = _interleaved(bands, dtype)
        if (reduced_h, reduced_w) != (height, width):
            picture = cv2.resize(picture, (reduced_w, reduced_h), interpolation=cv2.INTER_AREA)
        shown = view.of(picture, to_reduced, cv2.INTER_LINEAR, border)
        for band, plane in zip(warped[first : first + _BANDS_A_CALL], cv2.split(shown), strict=True):
            band[:] = plane
    return warped


def _interleaved(bands: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """(C, h, w) as (h, w, C) for OpenCV; nothing is copied where the memory lies so already."""
    picture = bands.transpose(1, 2, 0)
    inner = (len(bands) * dtype.itemsize, dtype.itemsize)
    if picture.dtype == dtype and picture.strides[1:] == inner:
        return picture
    return np.asarray(cv2.merge([np.ascontiguousarray(band, dtype) for band in bands]))


def _warp_nearest(labels: NDArray[np.uint8], to_source: Matrix, view: View, border: int) -> NDArray[np.uint8]:
    height, width = labels.shape
    every = math.ceil(max(height, width) / _LONGEST_SIDE)
    thinned = np.ascontiguousarray(labels[every // 2 :: every, every // 2 :: every] if every > 1 else labels)
    scale = np.diag([1 / every, 1 / every, 1.0])
    return np.asarray(view.of(thinned, scale @ to_source, cv2.INTER_NEAREST, border), np.uint8)


@lru_cache(maxsize=4)
def _centres(size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (H, W, 2): the centre (x, y) of every pixel."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    return np.stack([columns, rows], axis=-1) + np.float32(0.5)


def _index_map(points: Matrix) -> Matrix:
    """The 2 x 3 map of pixel indices (centres at whole numbers) that does what `points` does to points."""
    half: Matrix = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back: Matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return (back @ points @ half)[:2]
