"""Online augmentation: [generator], [augmentor] and the sections of its operations."""

from __future__ import annotations

from typing import Any

from ..draft import KeyPath, Place
from .native import Native

_LENSES = {"barrdistortion": 0.5, "pincdistortion": -0.5}
"""Sections of lenses, with the amount that the reference takes where none is written."""
_OPERATIONS = ("deformation", "distortion", "sharpening", "brightening", *_LENSES)
_ONLINE = ("generator", "augmentor", *_OPERATIONS)


def translate_augmentation(native: Native, *, online: bool) -> None:
    """The augment section; everything off without `model.generator = True`."""
    on = online and native.values.get("generator", "augmentation", True)
    native.put("augment.enabled", on, "model.generator")
    for name in ("brightness", "contrast", "colour", "saturation", "shift", "rotation"):
        native.put(f"augment.{name}", 0.0)
    native.put("augment.aspect", 1.0)
    native.put("augment.turns", False)
    if on:
        _affine(native)
        _operations(native)
    else:
        native.values.drop_sections(_ONLINE, "only with generator = True")


def _affine(native: Native) -> None:
    """Flips, turns, zoom and shear."""
    values = native.values
    for flip in ("hflip", "vflip"):
        share = 0.5 if values.get("augmentor", flip, True) else 0.0
        native.put(f"augment.{flip}", share, f"augmentor.{flip}")
    rotates = values.get("augmentor", "rotation", True)
    angles = values.get("augmentor", "angles", [90, 180, 270]) if rotates else []
    if angles:
        # the reference's pool holds the picture as it is beside its turned variants
        native.put("augment.angles", [0.0, *(float(angle) for angle in angles)], "augmentor.angles")
    shrinks = values.get("augmentor", "shrinks", [0.8])
    native.put("augment.scale", [min([1.0, *shrinks]), max([1.0, *shrinks])], "augmentor.shrinks")
    shears = values.get("augmentor", "shears", [])
    native.put("augment.shear", float(max([0.0, *map(abs, shears)])), "augmentor.shears")


def _operations(native: Native) -> None:
    """The operations with a section each; in the reference's pool an original and each of its variants are
    equally likely.
    """
    values = native.values
    wanted = [name for name in _OPERATIONS if values.get("augmentor", name, False)]
    for name in _OPERATIONS:
        if name not in wanted:
            values.drop_sections((name,), f"only with augmentor.{name} = True")
    if "distortion" in wanted:
        values.drop("distortion", "gaussian_filter_sigma", "nor has it any in the reference")
    sigmas = values.get("deformation", "sigmoids") or [8.0]
    strengths = values.get("distortion", "distortions") or [0.02]
    variants = dict.fromkeys(wanted, 1) | {
        name: len(each)
        for name, each in (("deformation", sigmas), ("distortion", strengths))
        if name in wanted
    }
    pool = 1 + sum(variants.values())
    share = {name: round(count / pool, 4) for name, count in variants.items()}
    for name in wanted:
        if name not in _LENSES:
            native.put(f"augment.{name}.probability", share[name], f"augmentor.{name}")
    if "deformation" in wanted:
        native.copy("augment.deformation.alpha", "deformation.alpha", 1300.0)
        native.put("augment.deformation.sigmas", sigmas, "deformation.sigmoids")
    if "distortion" in wanted:
        native.put("augment.distortion.strengths", strengths, "distortion.distortions")
        native.copy("augment.distortion.sigma", "distortion.gaussian_filter_rsigma", 40.0)
    if "sharpening" in wanted:
        native.copy("augment.sharpening.strength", "sharpening.k", 1.0)
    if "brightening" in wanted:
        native.copy("augment.brightening.factor", "brightening.alpha", 1.2)
        native.copy("augment.brightening.offset", "brightening.beta", 10.0)
    _lenses(native, {name: share[name] for name in wanted if name in _LENSES})


def _lenses(native: Native, probabilities: dict[str, float]) -> None:
    values = native.values
    lenses: list[dict[str, Any]] = []
    for place, (section, probability) in enumerate(probabilities.items()):
        lens: dict[str, Any] = {"probability": probability, "amount": _LENSES[section]}
        for name, key in (("radius", "radius"), ("amount", "amount"), ("centres", "centers")):
            written = values.written(section, key)
            if written is not None:
                lens[name] = written.value
                path: KeyPath = ("augment", "lenses", place, name)
                native.draft.places[path] = Place(written.entry.line, written.written_as)
        lenses.append(lens)
    if lenses:
        native.put("augment.lenses", lenses, *(f"augmentor.{section}" for section in probabilities))
