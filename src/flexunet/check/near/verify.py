"""The proof that two pictures show the same ground: a map between them, and pixels that agree under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .candidates import Candidate
from .features import Features, mirrored

LEAST_SCORE = 0.75
"""Least mean correlation of the blocks of the shared ground."""
SURE = 0.9
"""A score that no better map needs to be looked for."""
LEAST_BLOCKS = 6
"""Blocks with contrast that the proof needs."""
LEAST_SHARE = 0.06
"""Least share of the smaller picture that must be shared."""
MATCH_NEAR = 150.0
"""Largest distance of descriptors that count as one feature."""
LEAST_INLIERS = 5
TOLERANCE_PX = 5.0
"""How far from the affine map a feature may lie: what slow distortions do."""
ALIGNED_PX = 96
"""Longer side of the shared ground when it is compared."""
BLOCK_PX, REACH_PX = 20, 4
LEAST_CONTRAST = 4.0
"""Standard deviation in grey values below which a block says nothing."""

Matrix = NDArray[np.float64]


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


def verify(candidate: Candidate, one: Features, other: Features) -> Match | None:
    """The best map that the pixels agree with, or None."""
    best: Match | None = None
    for matrix, inliers in _maps(candidate, one, other):
        if best is not None and best.score > SURE:
            break
        score, share, blocks = compare(one, other, matrix)
        if blocks < LEAST_BLOCKS or share < LEAST_SHARE or score < LEAST_SCORE:
            continue
        if best is None or score > best.score:
            best = Match(candidate.first, candidate.second, matrix, score, share, inliers)
    if best is None:
        return None
    return replace(best, matrix=_in_file_pixels(best.matrix, one.scale, other.scale))


def _maps(candidate: Candidate, one: Features, other: Features) -> Iterator[tuple[Matrix, int]]:
    """Maps of the second's work picture into the first's that are worth a look."""
    if candidate.votes:
        found = _by_features(one, other, candidate.mirror)
        if found is not None:
            yield found
    if candidate.position is not None:
        yield whole_map(one.grey.shape, other.grey.shape, candidate.position), 0


def whole_map(one: tuple[int, ...], other: tuple[int, ...], position: int) -> Matrix:
    """The map that lays all of the second picture (h, w) upon all of the first, in a position of eight."""
    height, width = other[:2]
    # in units of the picture, from its middle: mirror left to right, then quarter turns anticlockwise
    linear = np.diag([-1.0 if position >= 4 else 1.0, 1.0])
    for _ in range(position % 4):
        linear = np.array([[0.0, 1.0], [-1.0, 0.0]]) @ linear
    scaled = np.diag([one[1], one[0]]) @ linear @ np.diag([1 / width, 1 / height])
    middle_other = np.array([(width - 1) / 2, (height - 1) / 2])
    middle_one = np.array([(one[1] - 1) / 2, (one[0] - 1) / 2])
    return np.column_stack([scaled, middle_one - scaled @ middle_other])


def _by_features(one: Features, other: Features, mirror: bool) -> tuple[Matrix, int] | None:
    if min(len(one.points), len(other.points)) < LEAST_INLIERS:
        return None
    a, b = one.descriptors.astype(np.float32), other.descriptors
    b = (mirrored(b) if mirror else b).astype(np.float32)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    mates = squares.argmin(1)
    rows = np.arange(len(a))
    mutual = squares.argmin(0)[mates] == rows
    good = mutual & (squares[rows, mates] <= MATCH_NEAR**2)
    if good.sum() < LEAST_INLIERS:
        return None
    target, source = one.points[rows[good], :2], other.points[mates[good], :2]
    matrix, inliers = cv2.estimateAffine2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE_PX, maxIters=1500, confidence=0.995
    )
    if matrix is None or not _plausible(np.asarray(matrix, np.float64), mirror):
        return None
    count = int(inliers.sum())
    return (np.asarray(matrix, np.float64), count) if count >= LEAST_INLIERS else None


def _plausible(matrix: Matrix, mirror: bool) -> bool:
    """Whether a map zooms by no more than 6, squeezes by no more than 3, and mirrors as proposed."""
    linear = matrix[:, :2]
    zooms = np.linalg.svd(linear, compute_uv=False)
    turned_over = np.linalg.det(linear) < 0
    return bool(
        zooms[1] > 1e-6
        and turned_over == mirror
        and zooms[0] < 3 * zooms[1]
        and 1 / 6 < np.sqrt(zooms[0] * zooms[1]) < 6
    )


def compare(one: Features, other: Features, matrix: Matrix) -> tuple[float, float, int]:
    """Mean correlation of the shared ground's blocks, share of the smaller picture, number of blocks.

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
        return 0.0, 0.0, 0
    top, left = int(rows[0]), int(columns[0])
    extent_h, extent_w = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    # never finer than either picture is
    scale = min(1.0, ALIGNED_PX / max(extent_h, extent_w), max(np.sqrt(1 / max(zoom, 1e-9)), 0.2))
    size = max(1, round(extent_w * scale)), max(1, round(extent_h * scale))
    if min(size) < BLOCK_PX:
        return 0.0, share, 0
    to_view = np.array(
        [[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5], [0, 0, 1]]
    )
    seen_one = _seen(one, to_view[:2], size)
    seen_other = _seen(other, (to_view @ np.vstack([matrix, [0, 0, 1]]))[:2], size)
    score, blocks = _blocks(*seen_one, *seen_other)
    return score, share, blocks


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
    one: NDArray[np.float32],
    one_known: NDArray[np.bool_],
    other: NDArray[np.float32],
    other_known: NDArray[np.bool_],
) -> tuple[float, int]:
    """Contrast-weighted mean of the blocks' best correlations, and how many blocks had contrast."""
    both = one_known & other_known
    window = (BLOCK_PX, BLOCK_PX)
    padded = np.pad(other, REACH_PX, mode="edge")
    patches = np.lib.stride_tricks.sliding_window_view(padded, window)
    means = cv2.blur(padded, window, anchor=(0, 0))
    spread = np.sqrt(np.maximum(cv2.blur(padded**2, window, anchor=(0, 0)) - means**2, 1e-6))
    full = cv2.blur(both.astype(np.float32), window, anchor=(0, 0))
    scores: list[float] = []
    weights: list[float] = []
    reach = 2 * REACH_PX + 1
    for y in _steps(one.shape[0]):
        for x in _steps(one.shape[1]):
            if full[y, x] < 0.95:
                continue
            pattern = one[y : y + BLOCK_PX, x : x + BLOCK_PX]
            pattern = pattern - pattern.mean()
            contrast = float(np.sqrt(np.mean(pattern**2)))
            if contrast < LEAST_CONTRAST:
                continue
            products = np.einsum("abij,ij->ab", patches[y : y + reach, x : x + reach], pattern)
            alike = products / (BLOCK_PX**2 * contrast * spread[y : y + reach, x : x + reach])
            scores.append(float(alike.max()))
            weights.append(min(contrast, 20.0))
    if not scores:
        return 0.0, 0
    return float(np.average(scores, weights=weights)), len(scores)


def _steps(length: int) -> list[int]:
    """Evenly spread starts of blocks, half overlapping at most."""
    count = max(1, (length - BLOCK_PX) // (BLOCK_PX * 4 // 5) + 1)
    return [round(start) for start in np.linspace(0, length - BLOCK_PX, count).tolist()]


def _in_file_pixels(matrix: Matrix, scale_one: float, scale_other: float) -> Matrix:
    """A map between work pictures as one between files; centres of pixels are whole numbers in both."""

    def enlarged(scale: float) -> Matrix:
        return np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])

    full = np.linalg.inv(enlarged(scale_one)) @ np.vstack([matrix, [0, 0, 1]]) @ enlarged(scale_other)
    return np.asarray(full[:2], np.float64)
