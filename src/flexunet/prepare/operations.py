"""The operations of the offline augmentation: one map for image, valid mask and labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..augment.displacement import Displacement, deformation, distortion, lens
from ..augment.geometry import Matrix, Placement
from ..augment.warp import Sample, View, warp
from ..classes import IGNORE_INDEX
from ..config.augmentation import LensConfig
from ..errors import DataError
from .items import Labels
from .pieces import Piece
from .resizing import Pixels

Operation = Callable[[Piece, np.random.Generator], Piece]

_LAYERS_A_CALL = 4  # OpenCV looks up to four interleaved layers up in one pass
_LONGEST_SIDE = 32_000  # OpenCV counts pixels in 16 bits
_WHOLE = Placement(np.eye(3), 0, 0, 0, 0)


def flip(*, across: bool) -> Operation:
    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        cut = np.s_[..., ::-1] if across else np.s_[..., ::-1, :]
        turned = np.diag([-1.0, 1.0]) if across else np.diag([1.0, -1.0])
        return _laid_out(piece, lambda array: array[cut], turned)

    return run


def rotation(angle: float) -> Operation:
    """Counter-clockwise; quarter turns exactly (width and height change places), others within the frame."""

    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        turn = _turn(angle)
        if angle % 90 == 0:
            return _laid_out(piece, lambda array: np.rot90(array, int(angle // 90) % 4, axes=(-2, -1)), turn)
        return _warped(piece, _about_centre(piece.size_hw, turn))

    return run


def _turn(angle: float) -> Matrix:
    """Where a point (x, y) of the turned picture was, rows counting downwards."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cos, -sin], [sin, cos]])


def shrink(ratio: float) -> Operation:
    return lambda piece, rng: _warped(piece, _about_centre(piece.size_hw, np.eye(2) / ratio))


def shear(shear: float) -> Operation:
    back = np.array([[1.0, 0.0], [-shear, 1.0]])
    return lambda piece, rng: _warped(piece, _about_centre(piece.size_hw, back))


def deform(alpha: float, sigma: float) -> Operation:
    return lambda piece, rng: _displaced(piece, deformation(piece.size_hw, alpha, sigma, rng))


def distort(strength: float, sigma: float) -> Operation:
    return lambda piece, rng: _displaced(piece, distortion(piece.size_hw, strength, sigma, rng))


def lenses(config: LensConfig) -> Operation:
    return lambda piece, rng: _displaced(piece, lens(piece.size_hw, config))


def _about_centre(size_hw: tuple[int, int], linear: Matrix) -> Matrix:
    """The 3 x 3 map with the linear part given that keeps the centre of the frame."""
    centre = np.array([size_hw[1] / 2, size_hw[0] / 2])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre
    return matrix


def _laid_out(piece: Piece, move: Callable[[NDArray[Any]], NDArray[Any]], linear: Matrix) -> Piece:
    """Every array through a rearrangement of pixels."""
    assert piece.labels is not None
    pixels, valid, labels = (np.ascontiguousarray(move(a)) for a in (piece.pixels, piece.valid, piece.labels))
    return _aspect_turned(replace(piece, pixels=pixels, valid=valid, labels=labels), linear)


def _warped(piece: Piece, matrix: Matrix) -> Piece:
    """Every array through one affine map of the frame, averaged first where it shrinks."""

    def look_up(layers: Pixels) -> Pixels:
        nowhere = np.zeros(piece.size_hw, np.uint8)
        sample, fill = Sample(layers, nowhere, None), np.zeros(len(layers))
        return warp(sample, _WHOLE, View(piece.size_hw, matrix), fill, reflect=True).pixels

    return _aspect_turned(_looked_up(piece, look_up), matrix[:2, :2])


def _displaced(piece: Piece, displacement: Displacement) -> Piece:
    """Every array through one map that moves single pixels."""
    places = displacement + _indices(piece.size_hw)
    coarse, fine = cv2.convertMaps(places, np.empty(0, np.float32), cv2.CV_16SC2)

    def look_up(layers: Pixels) -> Pixels:
        moved = np.empty_like(layers)
        for first in range(0, len(layers), _LAYERS_A_CALL):
            group = layers[first : first + _LAYERS_A_CALL]
            shown = cv2.remap(
                cv2.merge(list(group)), coarse, fine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
            cv2.split(shown, list(moved[first : first + _LAYERS_A_CALL]))
        return moved

    return _looked_up(piece, look_up)


def _looked_up(piece: Piece, look_up: Callable[[Pixels], Pixels]) -> Piece:
    """The piece with all its layers (C, H, W) looked up at the same places.

    Bilinear; beyond the frame stands its mirror image. What a missing pixel reaches into is missing. Labels
    are those of most weight: the nearest pixel's would move an outline by up to half a pixel, all along a
    slow distortion the same way.
    """
    assert piece.labels is not None
    if max(piece.size_hw) > _LONGEST_SIDE:
        height, width = piece.size_hw
        raise DataError(
            f"a picture of {width} x {height} pixels cannot be augmented as one (at most {_LONGEST_SIDE} a "
            "side). Cut it with --tile."
        )
    whole = bool(piece.valid.all())
    values = present_labels(piece.labels)
    flags = [] if whole else [piece.valid]
    if len(values) == 2:
        flags.append(piece.labels == values[1])
    layers = np.array([flag.view(np.uint8) for flag in flags], np.uint8) * np.uint8(255)
    pixels = piece.pixels if whole else np.where(piece.valid, piece.pixels, piece.pixels.dtype.type(0))
    if not flags:
        pixels, shares = look_up(pixels), layers
    elif pixels.dtype == np.uint8:
        moved = look_up(np.concatenate([pixels, layers]))
        pixels, shares = moved[: len(pixels)], moved[len(pixels) :]
    else:
        pixels, shares = look_up(pixels), look_up(layers)
    known = np.ones(piece.size_hw, np.bool_) if whole else shares[0] == 255
    if len(values) == 1:
        labels = piece.labels.copy()
    elif len(values) == 2:
        labels = np.where(shares[-1] > 127, values[1], values[0])
    else:
        labels = _of_most_weight(piece.labels, values, look_up)
    labels[~known] = IGNORE_INDEX
    return replace(piece, pixels=pixels, valid=known, labels=labels)


def _of_most_weight(labels: Labels, values: Labels, look_up: Callable[[Pixels], Pixels]) -> Labels:
    """The label whose pixels weigh most at each place, a few labels at a time."""
    most = np.zeros(labels.shape, np.uint8)
    best = np.full(labels.shape, values[0])
    for first in range(0, len(values), _LAYERS_A_CALL):
        group = values[first : first + _LAYERS_A_CALL]
        weights = look_up((labels == group[:, None, None]).view(np.uint8) * np.uint8(255))
        for value, weight in zip(group, weights, strict=True):
            more = weight > most
            np.copyto(best, value, where=more)
            np.copyto(most, weight, where=more)
    return best


def present_labels(labels: Labels) -> Labels:
    """The values that occur, from below; `np.unique` sorts all pixels for it."""
    counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])
    return np.flatnonzero(counts).astype(np.uint8)


@lru_cache(maxsize=4)
def _indices(size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (H, W, 2): column and row of every pixel; read-only."""
    columns, rows = np.meshgrid(*(np.arange(length, dtype=np.float32) for length in size_hw[::-1]))
    places = np.stack([columns, rows], axis=-1)
    places.setflags(write=False)
    return places


def _aspect_turned(piece: Piece, linear: Matrix) -> Piece:
    """Aspect bands hold a direction: it turns with the picture. linear: from the new frame to the old one."""
    names = list(piece.names)
    if "aspect_sin" not in names or np.allclose(linear, np.eye(2)):
        return piece
    sine, cosine = names.index("aspect_sin"), names.index("aspect_cos")
    pixels = piece.pixels.copy()
    old = np.stack([pixels[sine], -pixels[cosine]])  # x to the right, y downwards
    new = np.tensordot(np.linalg.inv(linear), old, 1)
    length = np.hypot(*new)
    scale = np.divide(np.hypot(*old), length, out=np.zeros_like(length), where=length > 0)
    pixels[sine], pixels[cosine] = new[0] * scale, -new[1] * scale
    return replace(piece, pixels=pixels)


def sharpen(k: float) -> Operation:
    """The 3 x 3 kernel with 1 + 8k in the middle and -k around it, on the image's own bands."""

    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        kernel = np.full((3, 3), -k, np.float32)
        kernel[1, 1] = 1 + 8 * k
        pixels = piece.pixels.copy()
        whole = cv2.erode(piece.valid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
        for band in range(piece.image_bands):
            sharp = cv2.filter2D(piece.pixels[band], -1, kernel, borderType=cv2.BORDER_REFLECT)
            pixels[band] = np.where(whole, sharp, piece.pixels[band])
        return replace(piece, pixels=pixels)

    return run


def brighten(alpha: float, beta: float) -> Operation:
    """|alpha x + beta| within the range of the data type, on the image's own bands."""

    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        own = piece.pixels[: piece.image_bands]
        bright = np.abs(own.astype(np.float32) * np.float32(alpha) + np.float32(beta))
        if own.dtype.kind in "iu":
            limits = np.iinfo(own.dtype)
            bright = np.clip(np.rint(bright), limits.min, limits.max)
        pixels = piece.pixels.copy()
        pixels[: piece.image_bands] = np.where(piece.valid, bright.astype(own.dtype), own)
        return replace(piece, pixels=pixels)

    return run
