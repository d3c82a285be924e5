"""What is kept of a picture to find its copies: a small grey picture, local features, a thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WORK_PX = 224
"""Longer side of the grey picture that features are taken from; smaller pictures stay as they are."""
MOST_FEATURES = 300
PARTS = 5
"""Parts of a picture along each edge that features are chosen from."""
COLLAR_SHARE = 0.01
"""Least share of a picture that a collar of zeros takes."""
THUMB_PX = 24
"""Edge of the square thumbnail that whole pictures are compared by."""

_COUNTED = 8192
"""Pixels that a band's percentiles are taken from, evenly spread."""

Grey = NDArray[np.uint8]
_NO_FEATURES = np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8)


@dataclass(frozen=True)
class Features:
    """One picture as the search sees it."""

    grey: Grey
    """(h, w), every band stretched, their mean: blind to the order of bands, gain and offset."""
    valid: NDArray[np.bool_]
    """(h, w)"""
    scale: float
    """Pixels of the work picture in one of the file."""
    points: NDArray[np.float32]
    """(n, 4): x, y of the feature in the work picture, its size in pixels, its direction in radians."""
    descriptors: NDArray[np.uint8]
    """(n, 128): RootSIFT (Arandjelovic & Zisserman, CVPR 2012), length about 255."""
    thumb: NDArray[np.float32]
    """(THUMB_PX, THUMB_PX), mean 0, length 1; all 0 for a picture without contrast."""


def describe(pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None, *, local: bool = True) -> Features:
    """Features of a picture (C, H, W) of any dtype; `valid` (H, W) is False where data are missing.

    local: whether to look for local features, which takes most of the time; the thumbnail is always made.
    """
    grey, known = _work_picture(pixels, without_collar(pixels, valid))
    points, descriptors = _sift(grey, known) if local else _NO_FEATURES
    scale = max(grey.shape) / max(pixels.shape[1:])
    return Features(grey, known, scale, points, descriptors, _thumbnail(grey))


def without_collar(pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.bool_] | None:
    """`valid` (H, W) less a collar: zeros in all bands of pixels (C, H, W) that reach the rim, of a hundredth
    of the picture or more. Collars of two scenes are alike though the scenes are not. None: all is valid.
    """
    zero = (pixels == 0).all(0)
    if valid is not None:
        zero &= valid
    least = COLLAR_SHARE * zero.size
    if zero.sum() < least:
        return valid
    _, patches, areas, _ = cv2.connectedComponentsWithStats(zero.astype(np.uint8), connectivity=4)
    rim = np.unique(np.concatenate([patches[0], patches[-1], patches[:, 0], patches[:, -1]]))
    rim = rim[rim > 0]
    if areas[rim, cv2.CC_STAT_AREA].sum() < least:
        return valid
    inside = ~np.isin(patches, rim)
    return np.asarray(inside if valid is None else valid & inside)


def mirrored(descriptors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the descriptors (n, 128) of the mirrored picture would be: cells and directions reflected.

    SIFT keeps 4 x 4 cells of 8 directions in the feature's own frame; a mirror swaps its rows and turns
    direction k into -k.
    """
    cells = descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
    return np.ascontiguousarray(cells[..., (8 - np.arange(8)) % 8].reshape(-1, 128))


def _work_picture(pixels: NDArray[Any], valid: NDArray[np.bool_] | None) -> tuple[Grey, NDArray[np.bool_]]:
    height, width = pixels.shape[1:]
    factor = min(1.0, WORK_PX / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    complete = valid is None or bool(valid.all())
    total = np.zeros(size[::-1], np.float32)
    known: NDArray[np.bool_] = np.broadcast_to(np.True_, size[::-1])
    if not complete:
        assert valid is not None
        share = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        known = np.asarray(share > 0.99)
    for band in pixels:
        plane = band if band.dtype in (np.uint8, np.uint16, np.int16, np.float32) else band.astype(np.float32)
        if plane.dtype.kind == "f":
            plane = np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)
        small = cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
        total += _stretched(small.astype(np.float32), known)
    grey = np.asarray(total / max(1, len(pixels)), np.float32)
    grey[~known] = float(np.median(grey[known])) if known.any() else 0.0
    return np.clip(_stretched(grey, known), 0, 255).round().astype(np.uint8), known


def _stretched(band: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The band with its 1st and 99th percentile at 5 and 250; constant bands become 0."""
    values = band[known]
    if not values.size:
        return np.zeros_like(band)
    low, high = np.percentile(values[:: max(1, values.size // _COUNTED)], (1, 99))
    if high - low < 1e-9:
        low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        return np.zeros_like(band)
    stretched: NDArray[np.float32] = ((band - low) * np.float32(245 / (high - low)) + np.float32(5)).clip(
        0, 255
    )
    return stretched


def _sift(grey: Grey, known: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    if min(grey.shape) < 8:
        return _NO_FEATURES
    mask = None
    if not known.all():
        # features on the rim of the missing part would be the same in every picture of that shape
        mask = cv2.erode(known.astype(np.uint8), np.ones((9, 9), np.uint8))
    found = _detector().detect(grey, mask)
    if not found:
        return _NO_FEATURES
    points, descriptors = _detector().compute(grey, [found[index] for index in _chosen(found, grey.shape)])
    if descriptors is None or not points:
        return _NO_FEATURES
    kept = np.array([(*point.pt, point.size, np.deg2rad(point.angle)) for point in points], np.float32)
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-9))
    return kept, np.clip(root * 255, 0, 255).round().astype(np.uint8)


def _chosen(points: Sequence[cv2.KeyPoint], shape: tuple[int, ...]) -> list[int]:
    """The strongest features, and as many that are strong for their part of the picture: in a crop of a
    smooth part the strongest ones of the whole are lost."""
    if len(points) <= MOST_FEATURES:
        return list(range(len(points)))
    strength = np.array([point.response for point in points])
    place = np.array([point.pt for point in points]) / np.array(shape[1::-1]) * PARTS
    part = place.astype(np.int64).clip(0, PARTS - 1) @ [PARTS, 1]
    order = np.lexsort((np.arange(len(points)), -strength, part))
    starts = np.searchsorted(part[order], np.arange(PARTS**2))
    rank = np.empty(len(points), np.int64)  # within its part, by strength
    rank[order] = np.arange(len(points)) - starts[part[order]]
    strongest = np.argsort(-strength, kind="stable")[: MOST_FEATURES // 2]
    rank[strongest] = -1
    return [int(index) for index in np.lexsort((-strength, rank))[:MOST_FEATURES]]


@lru_cache(maxsize=1)
def _detector() -> cv2.SIFT:
    return cv2.SIFT.create(contrastThreshold=0.01, edgeThreshold=15)


def _thumbnail(grey: Grey) -> NDArray[np.float32]:
    small = cv2.resize(grey.astype(np.float32), (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    # what is slow across the picture (light, haze) says little about what it shows
    flat = small - cv2.GaussianBlur(small, (0, 0), THUMB_PX / 4)
    flat -= flat.mean()
    length = float(np.linalg.norm(flat))
    return np.asarray(flat / length if length > THUMB_PX else np.zeros_like(flat), np.float32)
