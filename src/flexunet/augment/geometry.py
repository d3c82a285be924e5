"""Where each pixel of a training sample comes from.

Points are (x, y) in pixels with the first pixel's centre at (0.5, 0.5), so that a picture of any resolution
covers [0, width] x [0, height]; maps are 3 x 3 float64 matrices on column vectors (x, y, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..config.augmentation import AugmentConfig, PerspectiveConfig, ResizedCropConfig

Matrix = NDArray[np.float64]
Sizing = Literal["resize", "fit", "crop"]

_LOOKED_AT = 512  # pixels a side that are looked at for rare classes


@dataclass(frozen=True)
class Placement:
    """How a picture lies under the network's frame before augmentation.

    The picture is padded by `top, left, bottom, right` pixels of missing data, and `frame_to_padded` maps a
    point of the frame into the padded picture.
    """

    frame_to_padded: Matrix
    top: int
    left: int
    bottom: int
    right: int


def place(
    picture_hw: tuple[int, int],
    frame_hw: tuple[int, int],
    sizing: Sizing,
    rng: np.random.Generator,
    zoom: float = 1.0,
    centre_xy: tuple[float, float] | None = None,
) -> Placement:
    """Lay a picture under the frame.

    `resize` squeezes it, `fit` keeps its aspect and pads around it, `crop` takes a random place at native
    resolution (`zoom` is the magnification that follows, so that the window stays on the picture if it can),
    or the place around `centre_xy`, a point of the picture.
    """
    (height, width), (frame_h, frame_w) = picture_hw, frame_hw
    if sizing == "resize":
        return Placement(_scaling(width / frame_w, height / frame_h), 0, 0, 0, 0)
    if sizing == "fit":
        step = max(width / frame_w, height / frame_h)
        padded_h, padded_w = max(height, round(step * frame_h)), max(width, round(step * frame_w))
        to_padded = _scaling(padded_w / frame_w, padded_h / frame_h)
    else:
        padded_h, padded_w = max(height, frame_h), max(width, frame_w)
        window_w, window_h = frame_w / zoom, frame_h / zoom
        share = rng.random(2)
        if centre_xy is None:
            centre_x = _inside(share[0], padded_w, window_w)
            centre_y = _inside(share[1], padded_h, window_h)
        else:
            centre_x = _kept_inside(centre_xy[0] + (padded_w - width) // 2, padded_w, window_w)
            centre_y = _kept_inside(centre_xy[1] + (padded_h - height) // 2, padded_h, window_h)
        to_padded = _shift(round(centre_x - frame_w / 2), round(centre_y - frame_h / 2))
    top, left = (padded_h - height) // 2, (padded_w - width) // 2
    return Placement(to_padded, top, left, padded_h - height - top, padded_w - width - left)


def draw_geometry(
    config: AugmentConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[Matrix, float]:
    """Draw one affine map of the frame onto itself, old point to new point, and its magnification.

    The number of draws does not depend on which operations are on: switching one off leaves the others as
    they were.
    """
    hflip, vflip, turn, angle, zoom, aspect, shear, shear_axis, shift_x, shift_y = rng.random(10)
    height, width = frame_hw
    smallest, largest = config.scale
    if config.affine < 1 and rng.random() >= config.affine:
        angle = aspect = shear = shift_x = shift_y = 0.5
        smallest = largest = 1.0
    scale = math.exp(_between(zoom, math.log(smallest), math.log(largest)))
    stretch = math.exp(_both_sides(aspect, math.log(config.aspect) / 2))
    mirror_x = -1 if hflip < config.hflip else 1
    mirror_y = -1 if vflip < config.vflip else 1
    linear = (
        _rotation(config, turn, angle, square=height == width)
        @ _shear(_both_sides(shear, config.shear), along_x=shear_axis < 0.5)
        @ _scaling(mirror_x * scale * stretch, mirror_y * scale / stretch)
    )
    shift = _shift(_both_sides(shift_x, config.shift * width), _both_sides(shift_y, config.shift * height))
    return shift @ _shift(width / 2, height / 2) @ linear @ _shift(-width / 2, -height / 2), scale


def draw_resized_crop(
    config: ResizedCropConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> Matrix:
    """Draw a map of the frame onto a part of it, new point to old; the identity where none happens."""
    happens, edge, x, y = rng.random(4)
    if happens >= config.probability:
        return np.eye(3)
    share = _between(edge, *config.edge)
    height, width = frame_hw
    return _shift(x * (1 - share) * width, y * (1 - share) * height) @ _scaling(share, share)


def draw_perspective(
    config: PerspectiveConfig, frame_hw: tuple[int, int], rng: np.random.Generator
) -> Matrix | None:
    """Draw a map of the frame onto itself that moves each corner for itself; None where none happens."""
    happens = rng.random() < config.probability
    moved = rng.uniform(-config.strength, config.strength, (4, 2))
    if not happens:
        return None
    shares = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    size = np.array([frame_hw[1], frame_hw[0]], np.float64)
    slanted = (shares + moved) * size
    found = cv2.getPerspectiveTransform((shares * size).astype(np.float32), slanted.astype(np.float32))
    return np.asarray(found, np.float64)


def draw_rare_pixel(
    labels: NDArray[np.uint8], probability: float, rng: np.random.Generator
) -> tuple[float, float] | None:
    """A point (x, y) of a class drawn inversely to its share of the picture; None for a place drawn as ever.

    Looks at every n-th pixel from a random one on, so that a picture of any size costs the same. Nothing is
    drawn with a probability of 0.
    """
    if not probability or rng.random() >= probability:
        return None
    every = max(1, round(max(labels.shape) / _LOOKED_AT))
    top, left = (rng.integers(0, every, 2) % labels.shape).tolist()
    thinned = np.ascontiguousarray(labels[top::every, left::every])
    counts = np.bincount(thinned.ravel(), minlength=256)[:IGNORE_INDEX]
    present = np.flatnonzero(counts)
    if not len(present):
        return None
    rarity = 1 / counts[present]
    places = np.flatnonzero(thinned.ravel() == rng.choice(present, p=rarity / rarity.sum()))
    row, column = divmod(int(places[int(rng.random() * len(places))]), thinned.shape[1])
    return left + column * every + 0.5, top + row * every + 0.5


def is_affine(matrix: Matrix) -> bool:
    """Whether a 3 x 3 map keeps parallels."""
    return bool(matrix[2, 0] == 0 == matrix[2, 1])


def _rotation(config: AugmentConfig, turn: float, angle: float, *, square: bool) -> Matrix:
    if config.angles is not None:
        return (
            _turned(math.radians(config.angles[int(turn * len(config.angles))]))
            if config.angles
            else np.eye(3)
        )
    free = _turned(math.radians(_both_sides(angle, config.rotation)))
    if not config.turns:
        return free
    quarters = int(turn * 4) if square else 2 * int(turn * 2)
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    exact: Matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float64)
    return free @ exact


def _turned(radians: float) -> Matrix:
    cos, sin = math.cos(radians), math.sin(radians)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float64)


def _shear(amount: float, *, along_x: bool) -> Matrix:
    matrix: Matrix = np.eye(3)
    matrix[(0, 1) if along_x else (1, 0)] = amount
    return matrix


def _scaling(x: float, y: float) -> Matrix:
    return np.diag([x, y, 1.0])


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)


def _both_sides(share: float, largest: float) -> float:
    return (2 * share - 1) * largest


def _inside(share: float, length: int, window: float) -> float:
    """Centre of a window that lies inside 0 .. length, or the middle where it is too wide for that."""
    return _between(share, window / 2, length - window / 2) if window < length else length / 2


def _kept_inside(centre: float, length: int, window: float) -> float:
    """The centre, moved until its window lies inside 0 .. length, or the middle where it is too wide."""
    return min(max(centre, window / 2), length - window / 2) if window < length else length / 2
