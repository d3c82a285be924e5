"""The proof that two pictures show the same ground: a map between them, and pixels that agree under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .candidates import Candidate
from .features import Features
from .maps import Matrix, in_file_pixels, map_by_features, whole_map

LEAST_SCORE = 0.75
"""Least mean correlation of the blocks of the shared ground."""
SURE = 0.9
"""A score that no better map needs to be looked for."""
LEAST_BLOCKS = 6
"""Blocks with contrast that the proof needs."""
MANY_INLIERS, LEAST_SCORE_OF_MANY = 20, 0.5
"""So many features on one map prove it where the pixels agree half-way: sharpened, or distorted. Pictures of
different places have agreed in six at most."""
LEAST_SHARE = 0.06
"""Least share of the smaller picture that must be shared."""
ALIGNED_PX = 96
"""Longer side of the shared ground when it is compared."""
BLOCK_PX, REACH_PX = 20, 4
SMALL_BLOCK_PX = 12
"""Blocks of ground that is too small for enough of the others."""
LEAST_CONTRAST = 4.0
"""Standard deviation in grey values below which a block says nothing."""


@dataclass(frozen=True)
class Match:
    """Two pictures that show the same ground.

    Pixel (x, y) of `second` is pixel `matrix @ (x, y, 1)` of `first`, both counted from the centre of the
    first pixel; float64 (2, 3).
    """

    first: int
    second: int
    matrix: Matrix
    score: float
    """Mean correlation of the blocks of shared ground, -1 to 1."""
    share: float
    """Shared part of the smaller picture, 0 to 1."""
    inliers: int
    """Features that agree with the map; 0 where it comes from the thumbnails."""


@dataclass(frozen=True)
class Comparison:
    """What the pixels say about a map."""

    score: float
    """Mean of the blocks' best correlations, weighted by contrast."""
    share: float
    """Shared part of the smaller picture."""
    blocks: int
    """Blocks with contrast."""


def verify(candidate: Candidate, one: Features, other: Features) -> Match | None:
    """The best map that the pixels agree with, or None."""
    best: Match | None = None
    for matrix, inliers in _maps(candidate, one, other):
        if best is not None and best.score > SURE:
            break
        seen = compare(one, other, matrix)
        if not _proven(seen, inliers):
            continue
        if best is None or seen.score > best.score:
            best = Match(candidate.first, candidate.second, matrix, seen.score, seen.share, inliers)
    if best is None:
        return None
    return replace(best, matrix=in_file_pixels(best.matrix, one.scale, other.scale))


def _proven(seen: Comparison, inliers: int) -> bool:
    by_pixels = seen.blocks >= LEAST_BLOCKS and seen.score >= LEAST_SCORE
    by_features = inliers >= MANY_INLIERS and seen.blocks > 1 and seen.score >= LEAST_SCORE_OF_MANY
    return seen.share >= LEAST_SHARE and (by_pixels or by_features)


def _maps(candidate: Candidate, one: Features, other: Features) -> Iterator[tuple[Matrix, int]]:
    """Maps of the second's work picture into the first's that are worth a look."""
    if candidate.votes:
        found = map_by_features(one, other, candidate.mirror)
        if found is not None:
            yield found
    if candidate.position is not None:
        yield whole_map(one.grey.shape, other.grey.shape, candidate.position), 0


def compare(one: Features, other: Features, matrix: Matrix) -> Comparison:
    """How well the shared ground agrees, block by block.

    Blocks of the first picture are looked for in the second one, `REACH_PX` around where the map says, so
    that a slow distortion does no harm.
    """
    height, width = one.grey.shape
    known = other.valid.astype(np.uint8) * 255
    laid = cv2.warpAffine(known, matrix, (width, height), flags=cv2.INTER_NEAREST)
    shared = (laid > 0) & one.valid
    zoom = abs(float(np.linalg.det(matrix[:, :2])))
    area_other = other.grey.size * zoom
    share = float(shared.sum()) / max(1.0, min(float(one.grey.size), area_other))
    rows, columns = np.flatnonzero(shared.any(1)), np.flatnonzero(shared.any(0))
    if not len(rows):
        return Comparison(0.0, 0.0, 0)
    top, left = int(rows[0]), int(columns[0])
    extent_h, extent_w = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    # never finer than either picture is
    scale = min(1.0, ALIGNED_PX / max(extent_h, extent_w), max(np.sqrt(1 / max(zoom, 1e-9)), 0.2))
    size = max(1, round(extent_w * scale)), max(1, round(extent_h * scale))
    to_view = np.array(
        [[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5], [0, 0, 1]]
    )
    seen_one, known_one = _seen(one, to_view[:2], size)
    seen_other, known_other = _seen(other, (to_view @ np.vstack([matrix, [0, 0, 1]]))[:2], size)
    both = known_one & known_other
    score, blocks = _blocks(seen_one, seen_other, both, BLOCK_PX)
    if blocks < LEAST_BLOCKS:
        score, blocks = _blocks(seen_one, seen_other, both, SMALL_BLOCK_PX)
    return Comparison(score, share, blocks)


def _seen(
    features: Features, matrix: Matrix, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The picture in the common view, its slow changes taken away, and where it holds data."""
    zoom = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    grey = features.grey.astype(np.float32)
    if zoom < 0.8:  # blur before making smaller, or fine texture becomes noise
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.5 / zoom), np.float32)
    laid = cv2.warpAffine(grey, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = cv2.warpAffine(features.valid.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST) > 0
    soft = cv2.GaussianBlur(laid, (0, 0), 0.8)
    return np.asarray(soft - cv2.GaussianBlur(soft, (0, 0), 7), np.float32), np.asarray(known)


def _blocks(
    one: NDArray[np.float32], other: NDArray[np.float32], both: NDArray[np.bool_], edge: int
) -> tuple[float, int]:
    """Contrast-weighted mean of the blocks' best correlations, and how many blocks had contrast."""
    if min(one.shape) < edge:
        return 0.0, 0
    corners = np.array([(y, x) for y in _steps(one.shape[0], edge) for x in _steps(one.shape[1], edge)])
    rows, columns = corners.T
    window = (edge, edge)
    full = cv2.blur(both.astype(np.float32), window, anchor=(0, 0))[rows, columns] > 0.95
    patterns = np.lib.stride_tricks.sliding_window_view(one, window)[rows[full], columns[full]]
    patterns = patterns - patterns.mean((1, 2), keepdims=True)
    contrast = np.sqrt((patterns**2).mean((1, 2)))
    told = contrast >= LEAST_CONTRAST
    if not told.any():
        return 0.0, 0
    patterns, contrast, rows, columns = patterns[told], contrast[told], rows[full][told], columns[full][told]
    padded = cv2.copyMakeBorder(other, *(REACH_PX,) * 4, cv2.BORDER_REPLICATE)
    means = cv2.blur(padded, window, anchor=(0, 0))
    spread = np.sqrt(np.maximum(cv2.blur(padded * padded, window, anchor=(0, 0)) - means * means, 1e-6))
    reach = 2 * REACH_PX + 1
    # all shifts of each block at once: (blocks, shifts, shifts, edge, edge) x (blocks, edge, edge)
    views = np.lib.stride_tricks.sliding_window_view(padded, window)
    best = np.empty(len(patterns), np.float32)
    for index, (y, x) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        seen = views[y : y + reach, x : x + reach].reshape(reach * reach, -1)
        alike = seen @ patterns[index].ravel() / spread[y : y + reach, x : x + reach].ravel()
        best[index] = alike.max() / (edge * edge * contrast[index])
    return float(np.average(best, weights=np.minimum(contrast, 20.0))), len(best)


def _steps(length: int, edge: int) -> list[int]:
    """Evenly spread starts of blocks that overlap by a fifth or a little more."""
    count = max(1, (length - edge) // (edge * 4 // 5) + 1)
    return [round(start) for start in np.linspace(0, length - edge, count).tolist()]
