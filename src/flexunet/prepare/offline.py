"""Offline augmentation: the reference's operations by its names, one field for image and mask."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.augmentation import LensConfig
from ..errors import DataError, Problem
from . import operations
from .operations import Operation
from .pieces import Piece

_FIRST_CENTRE = 1001  # the number that the reference gives its first lens in file names

Number = int | float
Parameters = dict[str, tuple[Any, ...]]

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
        yield Variant(f"{name}ped_", name, {}, operations.flip(across=name == "hflip"))
    elif name == "rotation":
        for angle in given["angles"]:
            yield Variant(f"rotated_{angle}_", name, {"angle": angle}, operations.rotation(float(angle)))
    elif name == "shrinks":
        for ratio in given["shrinks"]:
            yield Variant(f"shrinked_{ratio}_", name, {"shrink": ratio}, operations.shrink(float(ratio)))
    elif name == "shears":
        for shear in given["shears"]:
            yield Variant(f"sheared_{shear}_", name, {"shear": shear}, operations.shear(float(shear)))
    elif name == "deformation":
        for sigma in given["sigmoids"]:
            prefix = f"deformed_alpha_{one['alpah']}_sigmoid_{sigma}_"
            yield Variant(
                prefix,
                name,
                {"alpah": one["alpah"], "sigmoid": sigma},
                operations.deform(one["alpah"], sigma),
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
            yield Variant(prefix, name, values, operations.distort(strength, sigma))
    elif name in ("barrdistortion", "pincdistortion"):
        for number in range(len(given["centers"])):
            centres = given["centers"][: number + 1]
            prefix = f"{name[:4]}distorted_{_FIRST_CENTRE + number}_{one['radius']}_{one['amount']}_"
            values = {"radius": one["radius"], "amount": one["amount"], "centers": [list(c) for c in centres]}
            config = LensConfig(radius=one["radius"], amount=one["amount"], centres=centres)
            yield Variant(prefix, name, values, operations.lenses(config))
    elif name == "sharpening":
        yield Variant(f"sharpened_{one['k']}_", name, one, operations.sharpen(float(one["k"])))
    else:
        yield Variant(
            f"brightened_{one['alpha']}_{one['beta']}_",
            name,
            one,
            operations.brighten(float(one["alpha"]), float(one["beta"])),
        )
