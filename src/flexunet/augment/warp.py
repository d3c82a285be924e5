"""Pixels, labels and valid mask through one map, by OpenCV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from .class_planes import Plane, as_mask, as_plane, class_planes
from .displacement import Displacement
from .geometry import Matrix, Placement, is_affine

_WARPED_AS_THEY_ARE = {"uint8", "uint16", "int16", "float32"}
_PLANES_A_CALL = 4  # OpenCV warps four interleaved channels in about the time of one
_NEAR_THE_HORIZON = 0.05  # scale of a slanted frame's corner from which the whole picture may be seen
_SHRINK_WORTH_AVERAGING = 1.25  # source pixels a sample pixel from which bilinear sampling alone would alias


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
    def reach(self) -> float:
        """How far a displacement looks beyond the frame at most, along either axis."""
        if self.displacement is None:
            return 0.0
        return max(float(self.displacement.max()), -float(self.displacement.min()))

    def lookup(self, to_picture: Matrix) -> Lookup:
        """Pictures looked up at `to_picture` (p + displacement) for every pixel of the frame."""
        if self.displacement is None:
            return Lookup(self.size_hw, _index_map(to_picture), None)
        points = cv2.add(self.displacement, _centres(self.size_hw))
        half: Matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        to_index = half @ to_picture
        if is_affine(to_index):
            places = cv2.transform(points, to_index[:2].astype(np.float32))
        else:
            places = cv2.perspectiveTransform(points, to_index)
        nothing = np.empty(0, np.float32)  # both coordinates are in `places`
        return Lookup(self.size_hw, to_index, cv2.convertMaps(places, nothing, cv2.CV_16SC2))

    def of(self, picture: NDArray[Any], to_picture: Matrix, interpolation: int, border: int) -> NDArray[Any]:
        """(h, w) or (h, w, C) looked up once."""
        return self.lookup(to_picture).of(picture, interpolation, border)


@dataclass(frozen=True)
class Lookup:
    """Which place of a picture each pixel of a frame shows; worked out once for all its planes."""

    size_hw: tuple[int, int]
    matrix: Matrix
    """3 x 3, pixel index of the frame to pixel index of the picture; used where there are no `places`."""
    places: Sequence[NDArray[Any]] | None
    """OpenCV's fixed-point map."""

    def of(self, picture: NDArray[Any], interpolation: int, border: int) -> NDArray[Any]:
        """(h, w) or (h, w, C) as the frame shows it."""
        if self.places is not None:
            whole, part = self.places
            return np.asarray(cv2.remap(picture, whole, part, interpolation, borderMode=border))
        flags, size = interpolation | cv2.WARP_INVERSE_MAP, self.size_hw[::-1]
        if is_affine(self.matrix):
            shown = cv2.warpAffine(picture, self.matrix[:2], size, flags=flags, borderMode=border)
        else:
            shown = cv2.warpPerspective(picture, self.matrix, size, flags=flags, borderMode=border)
        return np.asarray(shown)


def warp(
    sample: Sample, placement: Placement, view: View, fill: NDArray[np.float64], *, reflect: bool
) -> Sample:
    """The sample as the view shows it.

    All is bilinear, averaged first where it shrinks: pixels, the weights of the classes, of which the largest
    gives the label, and valid, which has to outweigh what is missing. Beyond the padded picture stands its
    mirror image (`reflect`) or missing data. Missing pixels hold `fill` (C,), and their labels IGNORE_INDEX.
    Only the part of the picture that is seen is read.
    """
    to_padded = placement.frame_to_padded @ view.frame_to_frame
    seen, offset_xy = _cut(sample, placement, to_padded, view, fill)
    to_cut = np.array([[1, 0, -offset_xy[0]], [0, 1, -offset_xy[1]], [0, 0, 1]], np.float64) @ to_padded
    border = cv2.BORDER_REFLECT if reflect else cv2.BORDER_REPLICATE
    shrunk_hw = _shrunk(seen.labels.shape, to_cut, view.size_hw)
    scale = [small / large for small, large in zip(shrunk_hw, seen.labels.shape, strict=True)]
    lookup = view.lookup(np.diag([scale[1], scale[0], 1.0]) @ to_cut)

    classes = class_planes(seen.labels)
    planes = [] if classes is None else list(classes.planes)
    if seen.valid is not None and reflect:
        planes.append(as_plane(seen.valid))
    pixels, moved = _looked_up(seen.pixels, planes, shrunk_hw, lookup, border)
    shown = moved.pop() if seen.valid is not None and reflect else None
    if classes is not None:
        labels = classes.labels(moved, view.size_hw)
    else:  # more classes than are worth a plane each
        nearest = cv2.resize(seen.labels, shrunk_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        labels = np.asarray(lookup.of(np.asarray(nearest), cv2.INTER_NEAREST, border), np.uint8)
    if not reflect:
        known = np.ones(seen.labels.shape, np.bool_) if seen.valid is None else seen.valid
        shown = lookup.of(_resized(as_plane(known), shrunk_hw), cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    if shown is None:
        return Sample(pixels, labels, None)
    valid = as_mask(shown)
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
    (frame_h, frame_w), beyond = view.size_hw, view.reach
    xs, ys = (-beyond, frame_w + beyond), (-beyond, frame_h + beyond)
    corners = to_padded @ np.array([[*xs, *xs], [ys[0], ys[0], ys[1], ys[1]], [1, 1, 1, 1]], np.float64)
    if corners[2].min() < _NEAR_THE_HORIZON:
        (left, right), (top, bottom) = (0, padded_w), (0, padded_h)
    else:
        left, right = _needed(corners[0] / corners[2], padded_w)
        top, bottom = _needed(corners[1] / corners[2], padded_h)
    rows = slice(max(top - placement.top, 0), max(min(bottom - placement.top, height), 0))
    columns = slice(max(left - placement.left, 0), max(min(right - placement.left, width), 0))
    pixels, labels = sample.pixels[:, rows, columns], sample.labels[rows, columns]
    valid = None if sample.valid is None else sample.valid[rows, columns]
    if valid is not None and valid.all():
        valid = None
    if labels.shape == (bottom - top, right - left) and valid is None:
        return Sample(pixels, labels, None), (left, top)
    size = (bottom - top, right - left)
    shown = np.zeros(size, np.bool_)
    filling = [_fitting(value, pixels.dtype) for value in fill]
    if not labels.size:  # nothing but padding
        nothing = np.empty((len(pixels), *size), pixels.dtype)
        nothing[:] = np.array(filling)[:, None, None]
        return Sample(nothing, np.full(size, IGNORE_INDEX, np.uint8), shown), (left, top)
    row, column = rows.start + placement.top - top, columns.start + placement.left - left
    height, width = labels.shape
    shown[row : row + height, column : column + width] = True if valid is None else valid
    # around the picture its edge goes on: anything else would be seen in the edge's own pixels
    around = ((row, size[0] - row - height), (column, size[1] - column - width))
    whole_pixels = np.pad(pixels, ((0, 0), *around), mode="edge")
    if valid is not None:
        holes = ~np.pad(valid, around, mode="edge")
        for band, value in zip(whole_pixels, filling, strict=True):
            band[holes] = value
    return Sample(whole_pixels, np.pad(labels, around, mode="edge"), shown), (left, top)


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


def _shrunk(picture_hw: tuple[int, ...], to_picture: Matrix, frame_hw: tuple[int, int]) -> tuple[int, int]:
    """The (height, width) that a picture is averaged to, along the axes where the frame shrinks it."""
    across, down = _slopes(to_picture, frame_hw)
    steps = math.hypot(*down), math.hypot(*across)
    height, width = (
        max(1, round(length / step)) if step > _SHRINK_WORTH_AVERAGING else length
        for length, step in zip(picture_hw, steps, strict=True)
    )
    return height, width


def _slopes(matrix: Matrix, frame_hw: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Gradients of the source's x and of its y in the middle of the frame."""
    if is_affine(matrix):
        return (matrix[0, 0], matrix[0, 1]), (matrix[1, 0], matrix[1, 1])
    x, y, w = matrix @ np.array([frame_hw[1] / 2, frame_hw[0] / 2, 1.0])
    across, down = (
        (row[:2] - place / w * matrix[2, :2]) / w for row, place in zip(matrix[:2], (x, y), strict=True)
    )
    return (float(across[0]), float(across[1])), (float(down[0]), float(down[1]))


def _looked_up(
    pixels: NDArray[Any], planes: list[Plane], shrunk_hw: tuple[int, int], lookup: Lookup, border: int
) -> tuple[NDArray[Any], list[Plane]]:
    """Pixels (C, h, w) as (C, H, W), and planes (h, w) as (H, W), in as few calls as can be."""

    def moved(picture: NDArray[Any]) -> list[NDArray[Any]]:
        shown = lookup.of(_resized(picture, shrunk_hw), cv2.INTER_LINEAR, border)
        return [shown] if shown.ndim == 2 else list(cv2.split(shown))

    dtype = pixels.dtype if pixels.dtype.name in _WARPED_AS_THEY_ARE else np.dtype(np.float32)
    together = dtype == np.uint8 and bool(planes)
    interleaved = _interleaved(pixels, dtype)
    if interleaved is not None and not together:
        shown = moved(interleaved)
    elif interleaved is not None and len(pixels) == 3 and len(planes) == 1:
        four = cv2.cvtColor(interleaved, cv2.COLOR_RGB2RGBA)  # many times as fast as splitting and merging
        shown = moved(np.asarray(cv2.insertChannel(planes[0], four, 3)))
    else:
        singles = _bands(pixels, dtype) + (planes if together else [])
        shown = [plane for group in _fours(singles) for plane in moved(_merged(group))]
    rest = (
        shown[len(pixels) :] if together else [p for group in _fours(planes) for p in moved(_merged(group))]
    )
    bands = np.empty((len(pixels), *lookup.size_hw), dtype)
    for band, plane in zip(bands, shown, strict=False):
        band[:] = plane
    return bands, rest


def _interleaved(pixels: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """(C, h, w) as the (h, w, C) that it lies as in memory, if OpenCV can take it so."""
    picture = pixels.transpose(1, 2, 0)
    fits = len(pixels) <= _PLANES_A_CALL and pixels.dtype == dtype
    return picture if fits and picture.strides[1:] == (len(pixels) * dtype.itemsize, dtype.itemsize) else None


def _bands(pixels: NDArray[Any], dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """(C, h, w) as single contiguous bands of the type."""
    picture = pixels.transpose(1, 2, 0)
    if picture.dtype == dtype and picture.strides[1:] == (len(pixels) * dtype.itemsize, dtype.itemsize):
        return list(cv2.split(picture))
    return [np.ascontiguousarray(band, dtype) for band in pixels]


def _fours(planes: list[NDArray[Any]]) -> list[list[NDArray[Any]]]:
    return [planes[first : first + _PLANES_A_CALL] for first in range(0, len(planes), _PLANES_A_CALL)]


def _merged(planes: list[NDArray[Any]]) -> NDArray[Any]:
    return planes[0] if len(planes) == 1 else np.asarray(cv2.merge(planes))


def _resized(picture: NDArray[Any], size_hw: tuple[int, int]) -> NDArray[Any]:
    if picture.shape[:2] == size_hw:
        return picture
    return np.asarray(cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_AREA))


@lru_cache(maxsize=4)
def _centres(size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (H, W, 2): the centre (x, y) of every pixel."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    return np.stack([columns, rows], axis=-1) + np.float32(0.5)


def _index_map(points: Matrix) -> Matrix:
    """The 3 x 3 map of pixel indices (centres at whole numbers) that does what `points` does to points."""
    half: Matrix = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back: Matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return back @ points @ half
