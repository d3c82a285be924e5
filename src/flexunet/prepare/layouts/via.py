"""VGG Image Annotator (VIA 1 and 2): JSON files with the regions of the images beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import DataError, Problem
from ..items import Source
from ..options import Options
from .annotations import UNUSABLE, Annotated, box, ellipse, make_source, polygon, read_json
from .folders import files_with


def matches(root: Path) -> bool:
    """Whether a JSON file of `root` is of this kind."""
    return bool(_files(root))


def _files(root: Path) -> dict[Path, dict[str, Any]]:
    """All files of the kind, with their entries."""
    found = {}
    for path in files_with(root, (".json",)):
        try:
            entries = _entries(read_json(path))
        except DataError:
            continue
        if entries is not None:
            found[path] = entries
    return found


def _entries(content: Any) -> dict[str, Any] | None:
    """The entries by image, of a project (`_via_img_metadata`) or an export."""
    if not isinstance(content, dict):
        return None
    entries = content.get("_via_img_metadata", content)
    if (
        isinstance(entries, dict)
        and entries
        and all(
            isinstance(entry, dict) and {"filename", "regions"} <= entry.keys() for entry in entries.values()
        )
    ):
        return entries
    return None


def read(root: Path, options: Options) -> Source:
    """Every shape with an area; the class is a region attribute (`class_attribute`).

    An image that several files name has the regions of all of them.
    """
    files = _files(root)
    if not files:
        raise DataError(f"{root}: holds no VIA JSON (entries with `filename` and `regions`).")
    problems: list[Problem] = []
    annotated = {path: _annotated(path, entries, options, problems) for path, entries in files.items()}
    notes = _merge(annotated, problems)
    return make_source("via", root, annotated, options, problems, notes=notes)


def _annotated(
    path: Path, entries: dict[str, Any], options: Options, problems: list[Problem]
) -> list[Annotated]:
    annotated = []
    for entry in entries.values():
        found = Annotated(str(entry["filename"]))
        regions = entry["regions"]
        if not isinstance(regions, list | dict):
            problems.append(Problem("`regions` is neither a list nor an object.", path, where=found.image))
            continue
        for number, region in enumerate(regions.values() if isinstance(regions, dict) else regions, start=1):
            where = f"{entry['filename']}, region {number}"
            try:
                shape = _shape(region["shape_attributes"])
                found.shapes.append((shape, _class_of(region.get("region_attributes") or {}, options)))
            except UNUSABLE as error:
                problems.append(Problem(f"cannot be used: {error}.", path, where=where))
        annotated.append(found)
    return annotated


def _merge(annotated: dict[Path, list[Annotated]], problems: list[Problem]) -> list[str]:
    """Give the regions of an image that several files name to the first of them; notes.

    A project and its export hold the same regions: those are taken once. Of two classes neither is believed.
    """
    known: dict[str, Annotated] = {}
    for path, entries in annotated.items():
        again = [entry for entry in entries if entry.image in known]
        for entry in again:
            first = known[entry.image]
            for shape, name in entry.shapes:
                names = [other for there, other in first.shapes if there == shape]
                if not names:
                    first.shapes.append((shape, name))
                elif name not in names:
                    text = f"{entry.image}: a region is {name!r} here, but {names[0]!r} in another file."
                    problems.append(Problem(text, path, cure="Leave out the file that is out of date."))
            first.more.append(path)
        annotated[path] = [entry for entry in entries if entry.image not in known]
        known |= {entry.image: entry for entry in annotated[path]}
    several = [entry.image for entry in known.values() if entry.more]
    if not several:
        return []
    return [f"{len(several)} images are in several VIA files: all their regions count (such as {several[0]})"]


def _shape(shape: dict[str, Any]) -> Any:
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        return polygon(shape["all_points_x"], shape["all_points_y"])
    if kind == "rect":
        return box(shape["x"], shape["y"], shape["width"], shape["height"])
    if kind == "circle":
        return ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"])
    if kind == "ellipse":
        return ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], float(shape.get("theta", 0)))
    raise ValueError(f"a {kind} has no area")


def _class_of(attributes: dict[str, Any], options: Options) -> str:
    if options.class_attribute is None:
        return options.classes[0] if options.classes else "object"
    if options.class_attribute not in attributes:
        raise ValueError(f"has no attribute {options.class_attribute!r}; it has {sorted(attributes)}")
    value = attributes[options.class_attribute]
    if isinstance(value, dict):  # a checkbox: {"landslide": true}
        chosen = [name for name, on in value.items() if on]
        if len(chosen) != 1:
            raise ValueError(f"{options.class_attribute} names {len(chosen)} classes")
        return str(chosen[0])
    return str(value)
