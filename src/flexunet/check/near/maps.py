"""Maps of one picture into another: from features that agree, or of the whole upon the whole.

A feature has a place, a size and a direction, so one matched pair of features is a similarity already. Every
matched pair proposes its own, and the others vote: nothing is drawn by chance, and few true matches among
many false ones suffice. The winner is refined to an affine map by least squares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import Features, mirrored

MATCH_NEAR = 150.0
"""Largest distance of descriptors (length about 255) that count as one feature."""
LEAST_INLIERS = 5
TOLERANCE_PX = 5.0
"""How far from the affine map a feature may lie: what slow distortions do."""
SEED_TOLERANCE_PX, SEED_TOLERANCE = 4.0, 0.15
"""The same around the similarity of one match: so much, and so much of the distance from it."""
SEED_TURN, SEED_ZOOM = np.radians(30.0), np.log(1.6)
"""How far turn and zoom of two agreeing matches may be apart."""
MOST_ZOOM, MOST_SQUEEZE = 6.0, 3.0

Matrix = NDArray[np.float64]
_Points = NDArray[np.float32]
_FLIP = np.diag([1.0, -1.0])


def map_by_features(one: Features, other: Features, mirror: bool) -> tuple[Matrix, int] | None:
    """The map (2, 3) of the second's work picture into the first's, and how many features agree with it.

    mirror: whether the second is mirrored before it is laid upon the first. None where too few agree.
    """
    target, source = _matched(one, other, mirror)
    if len(target) < LEAST_INLIERS:
        return None
    inliers = _best_seed(target, source)
    if inliers.sum() < LEAST_INLIERS:
        return None
    found = _refined(target[:, :2].astype(np.float64), source[:, :2].astype(np.float64), inliers)
    if found is None or not _plausible(found[0]):
        return None
    matrix, count = found
    if mirror:
        matrix = np.column_stack([matrix[:, :2] @ _FLIP, matrix[:, 2]])
    return matrix, count


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


def in_file_pixels(matrix: Matrix, scale_one: float, scale_other: float) -> Matrix:
    """A map between work pictures as one between files; centres of pixels are whole numbers in both."""

    def enlarged(scale: float) -> Matrix:
        return np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])

    full = np.linalg.inv(enlarged(scale_one)) @ np.vstack([matrix, [0, 0, 1]]) @ enlarged(scale_other)
    return np.asarray(full[:2], np.float64)


def _matched(one: Features, other: Features, mirror: bool) -> tuple[_Points, _Points]:
    """Points (n, 4) of either picture that are each other's nearest; the second's upside down if mirrored."""
    if not len(one.points) or not len(other.points):
        return one.points[:0], other.points[:0]
    a = one.descriptors.astype(np.float32)
    b = (mirrored(other.descriptors) if mirror else other.descriptors).astype(np.float32)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    mates, rows = squares.argmin(1), np.arange(len(a))
    good = (squares.argmin(0)[mates] == rows) & (squares[rows, mates] <= MATCH_NEAR**2)
    source = other.points[mates[good]]
    if mirror:
        source = source * np.array([1, -1, 1, -1], np.float32)
    return one.points[good], source


def _best_seed(target: _Points, source: _Points) -> NDArray[np.bool_]:
    """Which matches agree with the similarity of the match that most agree with; bool (n,)."""
    zoom = target[:, 2] / source[:, 2]
    turn = (target[:, 3] - source[:, 3]) % np.float32(2 * np.pi)
    cosine, sine = (zoom * np.cos(turn))[:, None], (zoom * np.sin(turn))[:, None]
    # from every match (rows) to every other one (columns), in both pictures
    there_x, there_y = (_apart(source[:, axis]) for axis in (0, 1))
    here_x, here_y = (_apart(target[:, axis]) for axis in (0, 1))
    off_x = cosine * there_x - sine * there_y - here_x
    off_y = sine * there_x + cosine * there_y - here_y
    limit = SEED_TOLERANCE_PX + SEED_TOLERANCE * _length(here_x, here_y)
    turned = np.abs(_apart(turn))
    turned = np.minimum(turned, np.float32(2 * np.pi) - turned)
    zoomed = np.abs(_apart(np.log(zoom)))
    agree = (_length(off_x, off_y) < limit) & (turned < SEED_TURN) & (zoomed < SEED_ZOOM)
    return np.asarray(agree[int(agree.sum(1).argmax())], np.bool_)


def _apart(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every value (columns) less every one (rows)."""
    return values[None] - values[:, None]


def _length(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of vectors in pixels; `np.hypot` guards against overflow, at ten times the cost."""
    return np.sqrt(x * x + y * y)


def _refined(target: Matrix, source: Matrix, inliers: NDArray[np.bool_]) -> tuple[Matrix, int] | None:
    """Least squares over the matches (n, 2) that agree, those chosen anew a few times."""
    matrix: Matrix | None = None
    for _ in range(4):
        matrix = _least_squares(target[inliers], source[inliers])
        off = np.hypot(*(source @ matrix[:, :2].T + matrix[:, 2] - target).T)
        now = off < TOLERANCE_PX
        if now.sum() < LEAST_INLIERS:
            return None
        if (now == inliers).all():
            break
        inliers = now
    assert matrix is not None
    return matrix, int(inliers.sum())


def _least_squares(target: Matrix, source: Matrix) -> Matrix:
    """The affine map from source (n, 2) to target; of few points the similarity, which they cannot bend."""
    middle_t, middle_s = target.mean(0), source.mean(0)
    t, s = target - middle_t, source - middle_s
    if len(target) >= 3 * LEAST_INLIERS:
        linear = np.linalg.lstsq(s, t, rcond=None)[0].T
    else:
        weight = max(float((s**2).sum()), 1e-9)
        cosine = float((s * t).sum()) / weight
        sine = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / weight
        linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, middle_t - linear @ middle_s])


def _plausible(matrix: Matrix) -> bool:
    """Whether a map neither mirrors nor zooms or squeezes beyond what is looked for."""
    linear = matrix[:, :2]
    zooms = np.linalg.svd(linear, compute_uv=False)
    return bool(
        zooms[1] > 1e-6
        and np.linalg.det(linear) > 0
        and zooms[0] < MOST_SQUEEZE * zooms[1]
        and 1 / MOST_ZOOM < np.sqrt(zooms[0] * zooms[1]) < MOST_ZOOM
    )
