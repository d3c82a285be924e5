"""Anchors: small windows of a picture that every other picture with the same ground chooses, too.

Every window of `WINDOW_PX` squared pixels gets a hash; of each neighbourhood of hashes the smallest is kept
(winnowing: Schleimer, Wilkerson, Aiken, "Winnowing: local algorithms for document fingerprinting", SIGMOD
2003, in two dimensions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW_PX = 6
"""Edge of the hashed windows."""
NEIGHBOURHOOD_PX = 5
"""Every square of this many window positions keeps an anchor: a shared rectangle with texture is surely found
when both its edges reach `WINDOW_PX + NEIGHBOURHOOD_PX - 1` pixels; most narrower ones are too."""
LEAST_RANGE = 2
"""Windows whose values span less than this (a filled margin) are no anchors."""
MOST_ANCHORS = 16_384
"""Of larger pictures fewer are kept, chosen by their hashes, so that two pictures keep the same ones; the
ground that they share has to be larger then."""
LOOKED_AT = 16
"""Anchors that a proposed shift is put to the test with."""

Pixels = NDArray[Any]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Anchors:
    """Windows of a picture that another picture with the same ground chooses, too."""

    hashes: Hashes  # (n,)
    ys: NDArray[np.int32]  # (n,), ascending
    xs: NDArray[np.int32]  # (n,), ascending in each row
    shape: tuple[int, int]
    """(height, width) of the picture."""
    every: int
    """Only hashes that this divides were kept, a power of two."""


def find_anchors(image: Pixels) -> Anchors:
    """The anchors of a picture (H, W) or (H, W, C) of any dtype."""
    if min(image.shape[:2]) < WINDOW_PX:
        nothing = np.zeros(0, np.int32)
        return Anchors(np.zeros(0, np.uint64), nothing, nothing, (image.shape[0], image.shape[1]), 1)
    hashes = _hash_windows(hash_pixels(image))
    hashes[_window_range(image) < LEAST_RANGE] = _NEVER
    reach = min(NEIGHBOURHOOD_PX, *hashes.shape)
    smallest = _filter_windows(hashes, reach, np.minimum)
    # A position is chosen when it is the smallest of some neighbourhood that holds it.
    padded = np.pad(smallest, reach - 1)
    chosen = (_filter_windows(padded, reach, np.maximum) == hashes) & (hashes != _NEVER)
    ys, xs = np.nonzero(chosen)
    kept, every = hashes[ys, xs], 1
    while np.count_nonzero(kept % np.uint64(every) == 0) > MOST_ANCHORS:
        every *= 2
    few = kept % np.uint64(every) == 0
    places = ys[few].astype(np.int32), xs[few].astype(np.int32)
    return Anchors(kept[few], *places, (image.shape[0], image.shape[1]), every)


def refuted(one: Anchors, other: Anchors, dy: int, dx: int) -> bool:
    """Whether pixel (y, x) of the second picture cannot be pixel (y + dy, x + dx) of the first everywhere.

    What surely is an anchor of both then, for nothing beyond the shared rectangle has a say in it, has to be
    there; a few are looked at. False proves nothing.
    """
    before, behind = NEIGHBOURHOOD_PX - 1, NEIGHBOURHOOD_PX + WINDOW_PX - 2
    (height, width), (other_height, other_width) = one.shape, other.shape
    inside = (one.ys >= max(dy, 0) + before) & (one.ys < min(height, other_height + dy) - behind)
    inside &= (one.xs >= max(dx, 0) + before) & (one.xs < min(width, other_width + dx) - behind)
    inside &= one.hashes % np.uint64(max(one.every, other.every)) == 0
    sure = np.flatnonzero(inside)
    if not len(sure):
        return False
    sure = sure[:: -(-len(sure) // LOOKED_AT)]
    places = other.ys.astype(np.int64) * other_width + other.xs
    wanted = (one.ys[sure].astype(np.int64) - dy) * other_width + one.xs[sure] - dx
    found = np.searchsorted(places, wanted).clip(max=len(places) - 1)
    return bool((places[found] != wanted).any() or (other.hashes[found] != one.hashes[sure]).any())


_NEVER = np.uint64(2**64 - 1)
_ROW_BASE, _COLUMN_BASE = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)


def hash_pixels(image: Pixels) -> Hashes:
    """(H, W[, C]) to one number a pixel; equal numbers for equal bits of all channels."""
    channels = image.reshape(*image.shape[:2], -1)
    bits = channels if channels.dtype.kind in "bu" else channels.view(f"u{channels.dtype.itemsize}")
    mixed = np.full(image.shape[:2], channels.shape[2], np.uint64)
    for channel in range(channels.shape[2]):
        mixed = _mix(mixed * _ROW_BASE + bits[..., channel].astype(np.uint64))
    return mixed


def _mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _hash_windows(values: Hashes) -> Hashes:
    """(H, W) to (H - K + 1, W - K + 1): polynomial hash of each K x K window modulo 2^64."""
    height, width = (edge - WINDOW_PX + 1 for edge in values.shape)
    rows = np.zeros((values.shape[0], width), np.uint64)
    for offset in range(WINDOW_PX):
        rows = rows * _ROW_BASE + values[:, offset : offset + width]
    windows = np.zeros((height, width), np.uint64)
    for offset in range(WINDOW_PX):
        windows = windows * _COLUMN_BASE + rows[offset : offset + height]
    return _mix(windows)


def _window_range(image: Pixels) -> NDArray[Any]:
    """(H - K + 1, W - K + 1): largest less smallest value of each window, in its widest channel."""
    channels = image.reshape(*image.shape[:2], -1)
    widest: NDArray[Any] | None = None
    for channel in range(channels.shape[2]):
        plane = channels[..., channel]
        if plane.dtype not in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
            plane = plane.astype(np.float64)
        kernel = np.ones((WINDOW_PX, WINDOW_PX), np.uint8)
        high = cv2.dilate(plane, kernel, anchor=(0, 0)).astype(np.float64)
        span = high - cv2.erode(plane, kernel, anchor=(0, 0))
        widest = span if widest is None else np.maximum(widest, span)
    assert widest is not None
    return widest[: image.shape[0] - WINDOW_PX + 1, : image.shape[1] - WINDOW_PX + 1]


def _filter_windows(values: Hashes, edge: int, choose: np.ufunc) -> Hashes:
    """Smallest or largest of each `edge` x `edge` window: (H, W) to (H - edge + 1, W - edge + 1)."""
    for axis in (0, 1):
        span = values.shape[axis] - edge + 1
        moved = np.moveaxis(values, axis, 0)
        result = moved[:span]
        for offset in range(1, edge):
            result = choose(result, moved[offset : offset + span])
        values = np.moveaxis(result, 0, axis)
    return values
