"""The classes that a reference config names by `num_classes`, `rgb_map` and `[segmentation]`."""

from __future__ import annotations

from itertools import count
from typing import Any

from ...classes import Colour, palette_colour
from .values import Value, Values

_DEFAULT_MAP: tuple[Colour, ...] = ((0, 0, 0), (0, 255, 0), (255, 0, 0), (0, 0, 255))
"""The reference's rgb_map where none is written."""


def class_tree(values: Values) -> list[dict[str, Any]]:
    """`data.classes` of the native config: name and colour of each class, label by label."""
    written = values.written("mask", "rgb_map")
    counted = values.written("model", "num_classes")
    if counted is None and written is None:
        values.missing("model", "num_classes", "For example num_classes = 2.")
        return _named(list(_DEFAULT_MAP[:2]), values)
    number = counted.value if counted is not None else len(written.value) if written is not None else 2
    if number == 1:
        return _named([*_drawn_colours(values)], values)
    if counted is not None and not 1 <= number <= 255:
        values.problem(counted.entry, f"{number} classes.", "Expected 1 to 255.")
        return _named(list(_DEFAULT_MAP[:2]), values)
    if written is None:
        return _named(_filled(list(_DEFAULT_MAP[:number]), number), values)
    return _named(_mapped(written, number, values), values)


def _mapped(written: Value, number: int, values: Values) -> list[Colour]:
    """The colours of an rgb_map by class number: its integers count, not its order."""
    colours: list[Colour] = list(written.value)
    labels = list(written.value.values())
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        values.problem(written.entry, f"gives {twice} to several colours.", "Expected one colour a class.")
        return _filled(colours[:number], number)
    if len(colours) > number:
        cure = "Expected one colour for each class, the background included."
        values.problem(written.entry, f"has {len(colours)} colours for num_classes = {number}.", cure)
        return colours[:number]
    by_label = [colour for _, colour in sorted(zip(labels, colours, strict=True))]
    if sorted(labels) != list(range(len(labels))):
        pairs = ", ".join(f"{colour} is {place}" for place, colour in enumerate(by_label))
        values.note(written.entry, f"the class numbers are not 0, 1, 2, …; in their order {pairs}.")
    elif by_label != colours:
        ours = ", ".join(f"{colour} is {place}" for place, colour in enumerate(by_label))
        theirs = ", ".join(f"{colour} is {place}" for place, colour in enumerate(colours))
        values.note(
            written.entry,
            f"the numbers disagree with the written order. The numbers count here: {ours}. "
            f"The reference counts by order: {theirs}.",
        )
    if len(by_label) < number:
        values.note(written.entry, f"names {len(by_label)} of {number} classes; the others never occur.")
    return _filled(by_label, number)


def _drawn_colours(values: Values) -> tuple[Colour, Colour]:
    """Colours of a one-class config's two classes: those that [segmentation] draws with, or black, white."""
    pair: list[Colour] = [(0, 0, 0), (255, 255, 255)]
    if values.get("segmentation", "colorize", False):
        for place, key in enumerate(("black", "white")):
            written = values.written("segmentation", key)
            if written is not None:
                pair[place] = _colour_by_name(written, values) or pair[place]
    if pair[0] == pair[1]:
        return (0, 0, 0), (255, 255, 255)
    return pair[0], pair[1]


def _colour_by_name(written: Value, values: Values) -> Colour | None:
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(written.value)[:3]
        return red, green, blue
    except ValueError:
        values.note(written.entry, f"{written.value!r} is no colour name; the class keeps its usual colour.")
        return None


def _named(colours: list[Colour], values: Values) -> list[dict[str, Any]]:
    names = ["background", *(f"class_{label}" for label in range(1, len(colours)))]
    if len(colours) == 2:
        names[1] = "landslide" if "landslide" in values.about.lower() else "object"
    return [{"name": name, "colour": list(colour)} for name, colour in zip(names, colours, strict=True)]


def _filled(colours: list[Colour], number: int) -> list[Colour]:
    """`colours` brought to `number` with colours that none of them has (those of the Pascal VOC palette)."""
    spare = (colour for colour in map(palette_colour, count(1)) if colour not in colours)
    return colours + [next(spare) for _ in range(number - len(colours))]
