"""What masks mean, as the settings that decode them: classes, encoding, the value to ignore."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..classes import palette_colour
from ..config.schema import ClassConfig, DataConfig
from .found_classes import FoundClass, MaskFindings, colour_of, find_classes

_IGNORE_VALUES = (255, -1)


def mask_settings(masks: Iterable[Path], *, landslides: bool = False) -> tuple[DataConfig, tuple[str, ...]]:
    """The settings that decode these mask files (classes, encoding, value to ignore), and what was found.

    Raises:
        DataError: none of them can be read.
    """
    notes: list[str] = []
    changes = class_settings(find_classes(masks), landslides, notes)
    return DataConfig.model_validate(changes), tuple(notes)


def class_settings(findings: MaskFindings, landslides: bool, notes: list[str]) -> dict[str, Any]:
    """`data.classes` and how the masks say them."""
    notes += findings.notes
    if findings.lossy:
        notes.append(f"{findings.lossy} of {findings.masks} masks are JPEG: colours are near, not exact")
    if findings.kind == "colours":
        changes = _colour_classes(findings, landslides)
    else:
        changes = _value_classes(findings, landslides, notes)
    told = {"colours": "colour", "values": "value", "onehot": "channel"}[findings.kind]
    for found in sorted(findings.classes, key=lambda item: -item.share):
        key = colour_of(found.key) if findings.kind == "colours" else found.key
        notes.append(
            f"{told} {key}: {found.share:.2%} of the pixels, in {found.masks} of {findings.masks} masks"
        )
    if findings.other_share > 1e-4:
        notes.append(f"other {told}s: {findings.other_share:.2%} of the pixels (blended edges, rare values)")
    if len(changes["classes"]) == 2 and len(findings.classes) < 2:
        notes.append("only one class was found; the second one is a guess")
    return changes


def _colour_classes(findings: MaskFindings, landslides: bool) -> dict[str, Any]:
    """Black, or else the most frequent colour, is the background; the others follow by their share."""
    by_share = sorted(findings.classes, key=lambda item: -item.share)
    by_share.sort(key=lambda item: item.key != 0)
    colours = [colour_of(found.key) for found in by_share]
    if len(colours) < 2:
        colours.append((255, 255, 0) if colours[0] != (255, 255, 0) else (0, 0, 0))
    names = _names(len(colours), landslides)
    classes = tuple(
        ClassConfig(name=name, colour=colour) for name, colour in zip(names, colours, strict=True)
    )
    return {"classes": classes, "mask_encoding": "auto" if findings.mixed else "colours"}


def _value_classes(findings: MaskFindings, landslides: bool, notes: list[str]) -> dict[str, Any]:
    """Classes by ascending value; 255 or -1 beside indices is a value to ignore."""
    found = sorted(findings.classes, key=lambda item: item.key)
    values = [item.key for item in found]
    changes: dict[str, Any] = {"mask_axes": findings.axes} if findings.axes != "HWC" else {}
    if findings.kind == "onehot":
        values = list(range(findings.channels))
    elif not findings.two_valued:
        for ignored in _IGNORE_VALUES:
            rest = [value for value in values if value != ignored]
            beside = len(rest) > 2 or ignored in findings.joint
            if ignored in values and beside and len(rest) > 1 and rest == list(range(len(rest))):
                values, changes["ignore_value"] = rest, ignored
                notes.append(f"value {ignored} beside the indices {rest} is taken as one to ignore")
    _warn_of_unlabelled(found, notes)
    dark_and_bright = findings.two_valued and max(values) > 1
    if findings.lossy and len(values) == 2:
        dark_and_bright = values[0] <= 8 and values[1] >= 240
    contiguous = values == list(range(len(values)))
    count = 2 if dark_and_bright else max(2, len(values))
    names = _names(count, landslides)
    colours = [(0, 0, 0), (255, 255, 0)] if count == 2 else [palette_colour(label) for label in range(count)]
    if dark_and_bright and len(values) > 2:
        bright = ", ".join(str(value) for value in values if value)
        notes.append(f"values {bright} never meet in one mask: taken as one class")
    if dark_and_bright:
        changes["mask_encoding"] = "threshold" if findings.lossy else "auto"
        colours = [(0, 0, 0), (255, 255, 255)]
    elif findings.kind == "onehot":
        changes["mask_encoding"] = "onehot"
    else:
        changes["mask_encoding"] = "auto" if findings.mixed else "index"
    own = (
        [None] * count if contiguous or dark_and_bright or len(values) < 2 else [(value,) for value in values]
    )
    changes["classes"] = tuple(
        ClassConfig(name=name, colour=colour, values=value)
        for name, colour, value in zip(names, colours, own, strict=True)
    )
    return changes


def _warn_of_unlabelled(found: list[FoundClass], notes: list[str]) -> None:
    """A class 0 over nearly everything, beside several others, often means `not labelled`."""
    zero = next((item for item in found if item.key == 0), None)
    if zero is not None and zero.share > 0.9 and len([item for item in found if item.key > 0]) > 1:
        notes.append(
            f"value 0 covers {zero.share:.1%}: if it means 'not labelled' and not background, set "
            "data.ignore_value = 0 and give the classes their `values`"
        )


def _names(count: int, landslides: bool) -> list[str]:
    if count == 2:
        return ["background", "landslide" if landslides else "object"]
    return ["background", *(f"class_{label}" for label in range(1, count))]
