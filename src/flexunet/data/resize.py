"""Pictures, labels and valid masks at another size: antialiased, and never blended with missing pixels."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..raster import Window

Pixels = NDArray[Any]
Labels = NDArray[np.uint8]
Valid = NDArray[np.bool_]
Size = tuple[int, int]
Sizing = Literal["resize", "fit", "crop"]

_OPENCV_CHANNELS = 4


def resize_pixels(pixels: Pixels, valid: Valid, size: Size) -> tuple[Pixels, Valid]:
    """Pixels (C, H, W) and valid (H, W) at `size` (height, width); the type stays if all pixels are valid.

    Shrinking is an area average, enlarging bilinear, each axis by its own. A resized pixel is the mean of the
    valid pixels under it, and valid itself where these make up at least half; with missing pixels the result
    is float32.
    """
    if pixels.shape[1:] == size:
        return pixels, valid
    if valid.all():
        return _planes(_resize(_interleaved(pixels), size)), np.ones(size, np.bool_)
    weight = valid.astype(np.float32)
    weighted = _interleaved(pixels).astype(np.float32) * weight[..., None]
    share = _resize(weight, size)
    values = _resize(weighted, size)
    values /= np.maximum(share, 1e-6)[..., None]
    return _planes(values), share >= 0.5


def resize_labels(labels: Labels, size: Size) -> Labels:
    """Labels (H, W) at `size`: the label of the nearest pixel."""
    if labels.shape == size:
        return labels
    resized = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.astype(np.uint8, copy=False)


def reduce_labels(labels: Labels, size: Size) -> Labels:
    """Labels (H, W) shrunk to `size`: the label that covers most of the area, the lower one on a tie."""
    present = np.unique(labels)
    if len(present) == 1:
        return np.full(size, present[0], np.uint8)
    shares = [_resize((labels == label).astype(np.float32), size) for label in present]
    majority: Labels = present[np.argmax(shares, 0)]
    return majority


def fit_window(shape: Size, size: Size) -> Window:
    """Where a picture of `shape` lies in a frame of `size` when it is made to fit: aspect kept, centred."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    height = min(size[0], max(1, round(shape[0] * scale)))
    width = min(size[1], max(1, round(shape[1] * scale)))
    return Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def bring_to_size(
    pixels: Pixels, labels: Labels, valid: Valid, size: Size, sizing: Sizing
) -> tuple[Pixels, Labels, Valid]:
    """Pixels (C, H, W), labels and valid (H, W) at the network's size, still raw values.

    `resize` squeezes; `fit` keeps the aspect and pads around; `crop` takes the centre at native resolution
    and pads what is smaller. Padding is 0, not valid, and IGNORE_INDEX.
    """
    if sizing == "resize":
        resized, shown = resize_pixels(pixels, valid, size)
        return resized, resize_labels(labels, size), shown
    if sizing == "fit":
        place = fit_window((pixels.shape[1], pixels.shape[2]), size)
        resized, shown = resize_pixels(pixels, valid, place.shape)
        return _framed(resized, resize_labels(labels, place.shape), shown, place, size)
    rows, cols = (max(0, (have - want) // 2) for have, want in zip(labels.shape, size, strict=True))
    part = (slice(rows, rows + size[0]), slice(cols, cols + size[1]))
    pixels, labels, valid = pixels[:, part[0], part[1]], labels[part], valid[part]
    height, width = labels.shape
    place = Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)
    return _framed(pixels, labels, valid, place, size)


def _framed(
    pixels: Pixels, labels: Labels, valid: Valid, place: Window, size: Size
) -> tuple[Pixels, Labels, Valid]:
    if place.shape == size:
        return pixels, labels, valid
    framed = np.zeros((pixels.shape[0], *size), pixels.dtype)
    framed_labels = np.full(size, IGNORE_INDEX, np.uint8)
    framed_valid = np.zeros(size, np.bool_)
    framed[:, place.rows, place.cols] = pixels
    framed_labels[place.rows, place.cols] = labels
    framed_valid[place.rows, place.cols] = valid
    return framed, framed_labels, framed_valid


def _resize(array: NDArray[Any], size: Size) -> NDArray[Any]:
    """(H, W) or (H, W, C) to `size`: first axes that shrink, by area, then those that grow, linearly."""
    height, width = array.shape[:2]
    less = (min(height, size[0]), min(width, size[1]))
    if less != (height, width):
        array = _opencv_resize(array, less, cv2.INTER_AREA)
    if less != size:
        array = _opencv_resize(array, size, cv2.INTER_LINEAR)
    return array


def _opencv_resize(array: NDArray[Any], size: Size, interpolation: int) -> NDArray[Any]:
    """cv2.resize for any number of channels: it takes four at a time and drops a last axis of length one."""
    if array.ndim == 2:
        return cv2.resize(array, size[::-1], interpolation=interpolation)
    out = np.empty((*size, array.shape[2]), array.dtype)
    for first in range(0, array.shape[2], _OPENCV_CHANNELS):
        some = slice(first, first + _OPENCV_CHANNELS)
        part = np.ascontiguousarray(array[..., some])
        out[..., some] = cv2.resize(part, size[::-1], interpolation=interpolation).reshape(*size, -1)
    return out


def _interleaved(pixels: Pixels) -> NDArray[Any]:
    """(C, H, W) as contiguous (H, W, C); free where that is how it lies in memory."""
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _planes(array: NDArray[Any]) -> Pixels:
    return array.transpose(2, 0, 1)
