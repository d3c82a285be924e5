"""What VIA, COCO and labelme share: reading JSON, shapes of every kind, classes by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import DataError, Problem
from ...vector.libraries import shapely
from ..items import Item, PictureFile, Source
from ..options import Options
from ..polygons import polygon_mask
from .folders import NEGATIVES, is_picture

_CIRCLE_PARTS = 32  # segments of a quarter
UNUSABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What taking a shape from JSON of any content may raise."""


@dataclass
class Annotated:
    """The shapes of one image, in pixels, with the class names they were given."""

    image: str
    shapes: list[tuple[Any, str]] = field(default_factory=list)
    more: list[Path] = field(default_factory=list)
    """Further files that some of the shapes are from."""


def read_json(path: Path) -> Any:
    """The parsed file.

    Raises:
        DataError: it cannot be opened, is not UTF-8 or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is no JSON: {error}") from error


def polygon(xs: Sequence[float], ys: Sequence[float]) -> Any:
    """A polygon of three points and more.

    Raises:
        ValueError: fewer points, coordinates of unequal number, or no numbers.
    """
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x but {len(ys)} y coordinates")
    if len(xs) < 3:
        raise ValueError(f"a polygon of {len(xs)} points; 3 are the least")
    return shapely.Polygon([(float(x), float(y)) for x, y in zip(xs, ys, strict=True)])


def box(x: float, y: float, width: float, height: float) -> Any:
    """A rectangle from its upper left corner."""
    return shapely.box(float(x), float(y), float(x) + float(width), float(y) + float(height))


def ellipse(x: float, y: float, rx: float, ry: float, theta: float = 0.0) -> Any:
    """An ellipse with the half axes rx, ry, turned by theta radians."""
    from shapely import affinity

    circle = shapely.Point(float(x), float(y)).buffer(1.0, quad_segs=_CIRCLE_PARTS)
    stretched = affinity.scale(circle, float(rx), float(ry), origin=(x, y))
    return affinity.rotate(stretched, theta, origin=(x, y), use_radians=True)


def make_source(
    layout: str,
    root: Path,
    annotated: Mapping[Path, list[Annotated]],
    options: Options,
    problems: list[Problem],
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Source:
    """Items of all images below `root` that an annotation names, or that lie in a folder `negatives`.

    annotated: what each annotation file says. names: the classes in order; left out: sorted by name.
    """
    notes = list(notes)
    known = names or options.classes or sorted({name for a in _all(annotated) for _, name in a.shapes})
    labels = {name: number for number, name in enumerate(known, start=1)}
    pictures = sorted(path for path in root.rglob("*") if is_picture(path))
    by_name: dict[str, list[Path]] = {}
    for path in pictures:
        for key in {path.name, path.relative_to(root).as_posix()}:
            by_name.setdefault(key, []).append(path)
    items = []
    used: set[Path] = set()
    for file, entries in annotated.items():
        for entry in entries:
            found = by_name.get(entry.image) or by_name.get(
                entry.image.replace("\\", "/").rpartition("/")[2], []
            )
            if len(found) != 1 or found[0] in used:
                what = "no such image" if not found else "more than one image or entry of that name"
                problems.append(Problem(f"{entry.image}: {what} below {root}.", file))
                continue
            unknown = sorted({name for _, name in entry.shapes} - labels.keys())
            if unknown:
                problems.append(
                    Problem(f"{entry.image}: classes that are not among {list(labels)}: {unknown}.", file)
                )
                continue
            used.add(found[0])
            shapes = [(shape, labels[name]) for shape, name in entry.shapes]
            mask = polygon_mask(file, shapes, options, problems, notes) if shapes else None
            if mask is not None and entry.more:
                mask = replace(mask, files=(*mask.files, *entry.more))
            items.append(Item(found[0].stem, PictureFile(found[0], options.nodata), mask))
    rest = []
    for path in (path for path in pictures if path not in used):
        if any(folder.lower() in NEGATIVES for folder in path.relative_to(root).parts[:-1]):
            items.append(Item(path.stem, PictureFile(path, options.nodata), None))
        else:
            rest.append(path)
    if rest:
        notes.append(
            f"{len(rest)} images are not annotated: left out (the first one: {rest[0].name}). If they show "
            f"no object, move them into a folder negatives/ below {root}"
        )
    if not items and not problems:
        problems.append(Problem("no annotated image was found.", root))
    if problems:
        raise DataError("The annotations cannot be used as they are:", problems)
    items.sort(key=lambda item: (item.stratum, item.id))
    return Source(layout, root, unique_ids(items), ("background", *known), tuple(notes))


def unique_ids(items: list[Item]) -> tuple[Item, ...]:
    """The items; where stems meet, the folder stands before them."""
    from collections import Counter

    count = Counter(item.id.casefold() for item in items)
    named = []
    for item in items:
        if count[item.id.casefold()] > 1:
            path = item.image.files[0]
            item = replace(item, id=f"{path.parent.name}_{path.stem}_{path.suffix[1:].lower()}")
        named.append(item)
    return tuple(named)


def _all(annotated: Mapping[Path, list[Annotated]]) -> list[Annotated]:
    return [entry for entries in annotated.values() for entry in entries]
