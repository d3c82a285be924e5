"""Which pictures show the same ground: crops of one scene that overlap, shifted, pixel for pixel.

Two crops of one scene in different splits leak the answer from training into the test. They are found by
their content: every window of `WINDOW_PX` squared pixels gets a hash; of each neighbourhood of hashes the
smallest is kept as an anchor (winnowing: Schleimer, Wilkerson, Aiken, "Winnowing: local algorithms for
document fingerprinting", SIGMOD 2003, in two dimensions). Where two pictures share ground they choose the
same anchors. So an anchor of one in another proposes a shift, and the shift counts when every pixel of the
shared rectangle is equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
LEAST_COLOURS = 12
"""Different pixel values that an equal rectangle needs to be a proof: black borders are equal by chance."""
MANY = 32
"""An anchor seen more often than this proposes neighbouring pairs only, which keeps the work linear."""
MOST_ANCHORS = 16_384
"""Of larger pictures fewer are kept, chosen by their hashes, so that two pictures keep the same ones; the
ground that they share has to be larger then."""
BUCKETS = 16
"""The anchors are compared in this many shares, one after the other, to bound memory."""
CACHED = 64
"""Decoded pictures that are kept while candidates are verified."""

Pixels = NDArray[Any]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, order=True)
class Overlap:
    """Pictures `first` < `second` share a rectangle of `height` x `width` pixels.

    Pixel (y, x) of `second` is pixel (y + dy, x + dx) of `first`.
    """

    first: int
    second: int
    dy: int
    dx: int
    height: int
    width: int


@dataclass(frozen=True)
class Overlaps:
    """All overlapping pairs among `count` pictures."""

    count: int
    pairs: tuple[Overlap, ...]

    @property
    def groups(self) -> tuple[int, ...]:
        """For every picture the index of the first one that it is connected with, directly or not."""
        return join_groups(self.count, ((pair.first, pair.second) for pair in self.pairs))


def find_overlaps(
    images: Sequence[Pixels], *, progress: Callable[[int, int], None] | None = None
) -> Overlaps:
    """Every pair of pictures that share ground pixel for pixel, in any shift (no scaling, no turning).

    images: (H, W) or (H, W, C) of any dtype and size; a lazy sequence is fine, each picture is read once for
    its anchors and those with a candidate again. Pictures of different channels or dtype never match.
    progress: called with (pictures done, pictures in all).

    Memory: about 2 bytes for each pixel of all pictures (the anchors), at most 16 x `MOST_ANCHORS` a picture,
    and `CACHED` pictures. Time: linear in the number of pixels.
    """
    anchors = [find_anchors(np.asarray(image)) for image in _counted(images, progress)]
    return match_anchors(anchors, images)


def match_anchors(anchors: Sequence[Anchors], images: Sequence[Pixels]) -> Overlaps:
    """`find_overlaps` for pictures whose anchors are known; only those with a candidate are read again."""
    read = lru_cache(maxsize=CACHED)(lambda index: np.asarray(images[index]))
    found: dict[tuple[int, int], Overlap] = {}
    for first, second, dy, dx in _propose_shifts(anchors) if anchors else ():
        if (first, second) not in found:
            overlap = _verify(first, second, dy, dx, read)
            if overlap is not None:
                found[first, second] = overlap
    return Overlaps(len(images), tuple(sorted(found.values())))


def join_groups(count: int, pairs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Connected components (union-find) of `count` items: for each the smallest index of its component."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return tuple(root(item) for item in range(count))


# --------------------------------------------------------------------------------------------------- anchors


@dataclass(frozen=True)
class Anchors:
    """Windows of a picture that another picture with the same ground chooses, too."""

    hashes: Hashes  # (n,)
    ys: NDArray[np.int32]  # (n,)
    xs: NDArray[np.int32]  # (n,)


def find_anchors(image: Pixels) -> Anchors:
    """The anchors of a picture (H, W) or (H, W, C) of any dtype."""
    if min(image.shape[:2]) < WINDOW_PX:
        nothing = np.zeros(0, np.int32)
        return Anchors(np.zeros(0, np.uint64), nothing, nothing)
    hashes = _hash_windows(_hash_pixels(image))
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
    return Anchors(kept[few], ys[few].astype(np.int32), xs[few].astype(np.int32))


_NEVER = np.uint64(2**64 - 1)
_ROW_BASE, _COLUMN_BASE = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)


def _hash_pixels(image: Pixels) -> Hashes:
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


# ------------------------------------------------------------------------------------------- shifts and proof


def _propose_shifts(anchors: Sequence[Anchors]) -> Iterator[tuple[int, int, int, int]]:
    """(first, second, dy, dx) of pictures that hold equal anchors, pair by pair, most anchors first."""
    parts = [_shifts_of_bucket(anchors, bucket) for bucket in range(BUCKETS)]
    shifts, votes = _counted_rows(
        np.concatenate([rows for rows, _ in parts]), np.concatenate([counts for _, counts in parts])
    )
    order = np.lexsort((shifts[:, 3], shifts[:, 2], -votes, shifts[:, 1], shifts[:, 0]))
    yield from shifts[order].tolist()


def _shifts_of_bucket(anchors: Sequence[Anchors], bucket: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The shifts (n, 4) that a share of the anchors proposes, and how many propose each (n,)."""
    # by the lower bits large pictures are thinned, and the upper ones of the smallest hashes are alike
    parts = [
        np.flatnonzero((item.hashes >> np.uint64(32)) % np.uint64(BUCKETS) == bucket) for item in anchors
    ]
    owners = np.repeat(np.arange(len(anchors), dtype=np.int64), [len(part) for part in parts])
    hashes, ys, xs = (
        np.concatenate([getattr(item, name)[part] for item, part in zip(anchors, parts, strict=True)])
        for name in ("hashes", "ys", "xs")
    )
    order = np.argsort(hashes, kind="stable")  # within equal hashes by owner
    in_order = hashes[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]][: len(in_order)])
    lengths = np.diff(np.r_[starts, len(in_order)])
    length = np.repeat(lengths, lengths)
    rows = [np.zeros((0, 4), np.int64)]
    for step in range(1, MANY):
        equal = np.flatnonzero(in_order[:-step] == in_order[step:])
        if step > 1:
            equal = equal[length[equal] <= MANY]
        if not len(equal):
            break
        one, other = order[equal], order[equal + step]
        apart = owners[one] != owners[other]
        one, other = one[apart], other[apart]
        rows.append(np.column_stack([owners[one], owners[other], ys[one] - ys[other], xs[one] - xs[other]]))
    found = np.concatenate(rows)
    return _counted_rows(found, np.ones(len(found), np.int64))


def _counted_rows(
    rows: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each different row (n, 4) once, sorted, and the sum of its counts."""
    if not len(rows):
        return rows, counts
    order = np.lexsort(rows.T[::-1])
    rows, counts = rows[order], counts[order]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(1)])
    return rows[starts], np.add.reduceat(counts, starts)


def _verify(first: int, second: int, dy: int, dx: int, read: Callable[[int], Pixels]) -> Overlap | None:
    one, other = read(first), read(second)
    if one.dtype != other.dtype or one.shape[2:] != other.shape[2:]:
        return None
    top, left = max(dy, 0), max(dx, 0)
    bottom, right = min(one.shape[0], other.shape[0] + dy), min(one.shape[1], other.shape[1] + dx)
    shared = one[top:bottom, left:right]
    if not np.array_equal(shared, other[top - dy : bottom - dy, left - dx : right - dx]):
        return None
    if len(np.unique(_hash_pixels(shared))) < LEAST_COLOURS:
        return None
    return Overlap(first, second, dy, dx, bottom - top, right - left)


def _counted(images: Sequence[Pixels], progress: Callable[[int, int], None] | None) -> Iterator[Pixels]:
    for index in range(len(images)):
        yield images[index]
        if progress is not None:
            progress(index + 1, len(images))
