"""Offline augmentation: the reference's operations by its names, one field for image and mask."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..augment.displacement import Displacement, deformation, distortion, lens
from ..augment.geometry import Matrix, Placement
from ..augment.warp import Sample, View, warp
from ..classes import IGNORE_INDEX
from ..config.augmentation import LensConfig
from ..errors import DataError, Problem
from .items import Labels
from .pixels import Piece

_FIRST_CENTRE = 1001  # the number that the reference gives its first lens in file names
_MOST_BLENDED = 8

Number = int | float
Parameters = dict[str, tuple[Any, ...]]
Operation = Callable[[Piece, np.random.Generator], Piece]

DEFAULTS: dict[str, Parameters] = {
    "hflip": {},
    "vflip": {},
    "rotation": {"angles": (90, 180, 270)},
    "shrinks": {"shrinks": (0.8,)},
    "shears": {"shears": (0.1,)},
    "deformation": {"alpah": (1300,), "sigmoids": (8,)},
    "distortion": {
        "gaussian_filter_rsigma": (40,),
        "gaussian_filter_sigma": (0.5,),
        "distortions": (0.02,),
    },
    "barrdistortion": {"radius": (0.5,), "amount": (0.5,), "centers": ((0.5, 0.5),)},
    "pincdistortion": {"radius": (0.5,), "amount": (-0.5,), "centers": ((0.5, 0.5),)},
    "sharpening": {"k": (1.0,)},
    "brightening": {"alpha": (1.2,), "beta": (10,)},
}
"""Every operation with the reference's parameters and defaults (`alpah` is its spelling)."""
_LISTS = {"angles", "shrinks", "shears", "sigmoids", "distortions", "centers"}


@dataclass(frozen=True)
class Variant:
    """One augmented copy of every training picture."""

    prefix: str
    """Stands before the picture's name, as in the reference."""
    operation: str
    parameters: dict[str, Any]
    """JSON values for the manifest."""
    run: Operation

    def seed(self, seed: int, item: str) -> int:
        """The seed of its draw for a picture: the same whatever the order and number of workers."""
        digest = hashlib.sha256(f"{seed}/{self.prefix}/{item}".encode()).digest()
        return int.from_bytes(digest[:8], "little")

    def of(self, piece: Piece, seed: int, item: str) -> Piece:
        """The augmented picture; `piece` has labels."""
        return self.run(piece, np.random.default_rng(self.seed(seed, item)))


def read_variants(texts: Sequence[str]) -> tuple[Variant, ...]:
    """Variants of operations such as `hflip`, `distortion:distortions=0.01,0.02:gaussian_filter_rsigma=40`,
    `barrdistortion:radius=0.3:amount=0.3:centers=0.3/0.3,0.7/0.7`.

    Raises:
        DataError: unknown operations and parameters, values that are no numbers; all of them are named.
    """
    problems: list[Problem] = []
    variants: list[Variant] = []
    for text in texts:
        name, *pairs = text.split(":")
        if name not in DEFAULTS:
            problems.append(
                Problem(f"no such operation; there are {', '.join(DEFAULTS)}.", where=name or text)
            )
            continue
        parameters = dict(DEFAULTS[name])
        for pair in pairs:
            key, _, values = pair.partition("=")
            key = "alpah" if name == "deformation" and key == "alpha" else key
            if key not in parameters:
                known = ", ".join(parameters) or "none"
                problems.append(Problem(f"has no parameter {key!r}; it has {known}.", where=name))
                continue
            try:
                parameters[key] = _values(key, values)
            except ValueError as error:
                problems.append(Problem(str(error), where=f"{name}:{key}"))
        if not problems:
            variants += _variants(name, parameters, problems)
    twice = {v.prefix for v in variants if [w.prefix for w in variants].count(v.prefix) > 1}
    problems += [Problem("is asked for twice.", where=prefix.rstrip("_")) for prefix in sorted(twice)]
    if problems:
        raise DataError("The augmentation cannot be done:", problems)
    return tuple(variants)


def _values(key: str, text: str) -> tuple[Any, ...]:
    values = tuple(_number(part) if key != "centers" else _centre(part) for part in text.split(",") if part)
    if not values:
        raise ValueError("has no value.")
    if key not in _LISTS and len(values) > 1:
        raise ValueError(f"one value is expected, not {len(values)}.")
    return values


def _number(text: str) -> Number:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number.") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no finite number.")
    return int(text) if text.strip().lstrip("+-").isdecimal() else value


def _centre(text: str) -> tuple[Number, Number]:
    parts = text.split("/")
    if len(parts) != 2:
        raise ValueError(f"a centre is x/y as shares of width and height, not {text!r}.")
    return _number(parts[0]), _number(parts[1])


# ----------------------------------------------------------------------------------- the operations


def _variants(name: str, given: Parameters, problems: list[Problem]) -> Iterator[Variant]:
    """All variants of one operation, by the reference's file names."""
    one: dict[str, Any] = {key: values[0] for key, values in given.items()}
    limits = {
        "shrinks": (0.0, 1.0),
        "distortions": (0.0, 1.0),
        "radius": (0.0, math.inf),
        "sigmoids": (0.0, math.inf),
    }
    for key, (low, high) in limits.items():
        wrong = [value for value in given.get(key, ()) if not low < value <= high]
        problems += [
            Problem(f"above {low:g} and at most {high:g} is expected, not {v}.", where=key) for v in wrong
        ]
    if one.get("amount", 0) <= -1:
        problems.append(Problem(f"above -1 is expected, not {one['amount']}.", where="amount"))
    if problems:
        return
    if name in ("hflip", "vflip"):
        yield Variant(f"{name}ped_", name, {}, _flip(across=name == "hflip"))
    elif name == "rotation":
        for angle in given["angles"]:
            yield Variant(f"rotated_{angle}_", name, {"angle": angle}, _rotation(float(angle)))
    elif name == "shrinks":
        for ratio in given["shrinks"]:
            yield Variant(f"shrinked_{ratio}_", name, {"shrink": ratio}, _shrink(float(ratio)))
    elif name == "shears":
        for shear in given["shears"]:
            yield Variant(f"sheared_{shear}_", name, {"shear": shear}, _shear(float(shear)))
    elif name == "deformation":
        for sigma in given["sigmoids"]:
            prefix = f"deformed_alpha_{one['alpah']}_sigmoid_{sigma}_"
            yield Variant(
                prefix, name, {"alpah": one["alpah"], "sigmoid": sigma}, _deform(one["alpah"], sigma)
            )
    elif name == "distortion":
        sigma, unused = one["gaussian_filter_rsigma"], one["gaussian_filter_sigma"]
        for strength in given["distortions"]:
            prefix = f"distorted_{strength}_rsigma{unused}_sigma{sigma}_"
            values = {
                "distortion": strength,
                "gaussian_filter_rsigma": sigma,
                "gaussian_filter_sigma": unused,
            }
            yield Variant(prefix, name, values, _distort(strength, sigma))
    elif name in ("barrdistortion", "pincdistortion"):
        for number in range(len(given["centers"])):
            centres = given["centers"][: number + 1]
            prefix = f"{name[:4]}distorted_{_FIRST_CENTRE + number}_{one['radius']}_{one['amount']}_"
            values = {"radius": one["radius"], "amount": one["amount"], "centers": [list(c) for c in centres]}
            config = LensConfig(radius=one["radius"], amount=one["amount"], centres=centres)
            yield Variant(prefix, name, values, _lenses(config))
    elif name == "sharpening":
        yield Variant(f"sharpened_{one['k']}_", name, one, _sharpen(float(one["k"])))
    else:
        yield Variant(
            f"brightened_{one['alpha']}_{one['beta']}_",
            name,
            one,
            _brighten(float(one["alpha"]), float(one["beta"])),
        )


def _flip(*, across: bool) -> Operation:
    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        cut = np.s_[..., ::-1] if across else np.s_[..., ::-1, :]
        turned = np.diag([-1.0, 1.0]) if across else np.diag([1.0, -1.0])
        return _laid_out(piece, lambda array: array[cut], turned)

    return run


def _rotation(angle: float) -> Operation:
    """Counter-clockwise; quarter turns exactly (width and height change places), others within the frame."""

    def run(piece: Piece, rng: np.random.Generator) -> Piece:
        turn = _turn(angle)
        if angle % 90 == 0:
            return _laid_out(piece, lambda array: np.rot90(array, int(angle // 90) % 4, axes=(-2, -1)), turn)
        return _warped(piece, _about_centre(piece.size_hw, turn), None)

    return run


def _turn(angle: float) -> Matrix:
    """Where a point (x, y) of the turned picture was, rows counting downwards."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cos, -sin], [sin, cos]])


def _shrink(ratio: float) -> Operation:
    return lambda piece, rng: _warped(piece, _about_centre(piece.size_hw, np.eye(2) / ratio), None)


def _shear(shear: float) -> Operation:
    back = np.array([[1.0, 0.0], [-shear, 1.0]])
    return lambda piece, rng: _warped(piece, _about_centre(piece.size_hw, back), None)


def _deform(alpha: float, sigma: float) -> Operation:
    return lambda piece, rng: _warped(piece, np.eye(3), deformation(piece.size_hw, alpha, sigma, rng))


def _distort(strength: float, sigma: float) -> Operation:
    return lambda piece, rng: _warped(piece, np.eye(3), distortion(piece.size_hw, strength, sigma, rng))


def _lenses(config: LensConfig) -> Operation:
    return lambda piece, rng: _warped(piece, np.eye(3), lens(piece.size_hw, config))


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


def _warped(piece: Piece, matrix: Matrix, displacement: Displacement | None) -> Piece:
    """Every array through one map: bilinear, missing by the nearest pixel; beyond, the mirror image."""
    assert piece.labels is not None
    valid = None if piece.valid.all() else piece.valid
    view = View(piece.size_hw, matrix, displacement)
    fill = np.zeros(len(piece.pixels))
    shown = warp(
        Sample(piece.pixels, piece.labels, valid), Placement(np.eye(3), 0, 0, 0, 0), view, fill, reflect=True
    )
    known = np.ones(piece.size_hw, np.bool_) if shown.valid is None else shown.valid
    labels = _warped_labels(piece.labels, view)
    if labels is None:
        labels = shown.labels
    labels[~known] = IGNORE_INDEX
    moved = replace(piece, pixels=shown.pixels, valid=known, labels=labels)
    return _aspect_turned(moved, matrix[:2, :2])


def _warped_labels(labels: Labels, view: View) -> Labels | None:
    """Labels by the largest bilinear weight, None where there are too many; the nearest pixel alone would
    move an outline by up to half a pixel, all along a slow distortion in the same direction."""
    values = np.unique(labels)
    if len(values) > _MOST_BLENDED:
        return None
    if len(values) == 1:
        return labels.copy()
    weights = [
        view.of(
            (labels == value).view(np.uint8) * np.uint8(255),
            view.frame_to_frame,
            cv2.INTER_LINEAR,
            cv2.BORDER_REFLECT,
        )
        for value in (values if len(values) > 2 else values[1:])
    ]
    if len(values) == 2:
        return np.asarray(values[(weights[0] > 127).view(np.uint8)])
    return np.asarray(values[np.argmax(weights, axis=0)])


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


def _sharpen(k: float) -> Operation:
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


def _brighten(alpha: float, beta: float) -> Operation:
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
