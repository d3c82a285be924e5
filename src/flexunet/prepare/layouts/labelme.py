"""labelme: a JSON file for each image with `shapes` and `imagePath`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...errors import DataError, Problem
from ..items import Source
from ..options import Options
from .annotations import UNUSABLE, Annotated, box, ellipse, make_source, polygon, read_json


def matches(root: Path) -> bool:
    """Whether the first JSON files below `root` are of this kind."""
    return any(_is_labelme(path) for path in sorted(root.rglob("*.json"))[:5])


def _is_labelme(path: Path) -> bool:
    try:
        content = read_json(path)
    except DataError:
        return False
    return isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys()


def read(root: Path, options: Options) -> Source:
    """Polygons, rectangles and circles; lines and points are an error, they have no area."""
    problems: list[Problem] = []
    annotated: dict[Path, list[Annotated]] = {}
    for path in sorted(root.rglob("*.json")):
        try:
            content = read_json(path)
        except DataError as error:
            problems.append(Problem(str(error)))
            continue
        if not isinstance(content, dict) or not {"shapes", "imagePath"} <= content.keys():
            problems.append(Problem("is no labelme file (shapes, imagePath).", path))
            continue
        if not isinstance(content["shapes"], list):
            problems.append(Problem("`shapes` is no list.", path))
            continue
        found = Annotated(str(content["imagePath"]))
        for number, shape in enumerate(content["shapes"], start=1):
            try:
                found.shapes.append((_shape(shape), str(shape["label"])))
            except UNUSABLE as error:
                problems.append(Problem(f"cannot be used: {error}.", path, where=f"shape {number}"))
        annotated[path] = [found]
    return make_source("labelme", root, annotated, options, problems)


def _shape(shape: dict[str, Any]) -> Any:
    points, kind = shape["points"], shape.get("shape_type") or "polygon"
    if kind == "polygon":
        return polygon([point[0] for point in points], [point[1] for point in points])
    if kind in ("rectangle", "circle") and len(points) != 2:
        raise ValueError(f"a {kind} has 2 points, not {len(points)}")
    if kind == "rectangle":
        (x, y), (right, bottom) = points
        return box(min(x, right), min(y, bottom), abs(right - x), abs(bottom - y))
    if kind == "circle":
        radius = math.dist(points[0], points[1])
        return ellipse(points[0][0], points[0][1], radius, radius)
    raise ValueError(f"a {kind} has no area")
