"""COCO instances: one JSON with `images`, `annotations` (polygons or run lengths) and `categories`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, Problem
from ...vector.libraries import shapely
from ..items import Source
from ..options import Options
from .annotations import UNUSABLE, Annotated, make_source, polygon, read_json
from .folders import files_with


def matches(root: Path) -> bool:
    """Whether a JSON file of `root` (or of its folder `annotations`) is of this kind."""
    return bool(_files(root))


def _files(root: Path) -> list[Path]:
    folders = [root, root / "annotations"]
    found = []
    for path in (path for folder in folders if folder.is_dir() for path in files_with(folder, (".json",))):
        try:
            content = read_json(path)
        except DataError:
            continue
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
            found.append(path)
    return found


def read(root: Path, options: Options) -> Source:
    """All files of the kind; classes are the categories by number. Images without shapes are negatives."""
    problems: list[Problem] = []
    annotated: dict[Path, list[Annotated]] = {}
    names: dict[int, str] = {}
    for path in _files(root):
        content = read_json(path)
        try:
            own = {int(category["id"]): str(category["name"]) for category in content["categories"]}
            images = {image["id"]: image for image in content["images"]}
            entries = {key: Annotated(str(image["file_name"])) for key, image in images.items()}
        except UNUSABLE as error:
            raise DataError(
                f"{path}: categories need id and name, images id and file_name: {error!r}"
            ) from error
        names |= own
        if not isinstance(content["annotations"], list):
            problems.append(Problem("`annotations` is no list.", path))
            continue
        for annotation in content["annotations"]:
            where = f"annotation {annotation.get('id', '?') if isinstance(annotation, dict) else '?'}"
            try:
                image = images[annotation["image_id"]]
                name = own[int(annotation["category_id"])]
                for shape in _shapes(annotation["segmentation"], image):
                    entries[annotation["image_id"]].shapes.append((shape, name))
            except KeyError as error:
                problems.append(
                    Problem(f"names no such image, category or field: {error}.", path, where=where)
                )
            except UNUSABLE as error:
                problems.append(Problem(f"cannot be used: {error}.", path, where=where))
        annotated[path] = list(entries.values())
    if not annotated and not problems:
        raise DataError(f"{root}: holds no COCO JSON (images, annotations, categories).")
    ordered = [names[key] for key in sorted(names)]
    return make_source("coco", root, annotated, options, problems, ordered)


def _shapes(segmentation: Any, image: dict[str, Any]) -> list[Any]:
    if isinstance(segmentation, list):
        return [polygon(flat[0::2], flat[1::2]) for flat in segmentation]
    size = segmentation["size"]
    if [image.get("height"), image.get("width")] not in ([None, None], list(size)):
        raise ValueError(
            f"run lengths of {size}, but the image has {image.get('height')}x{image.get('width')}"
        )
    counts = segmentation["counts"]
    runs = _unpacked(counts) if isinstance(counts, str) else [int(count) for count in counts]
    return _outlined(_from_runs(runs, int(size[0]), int(size[1])))


def _unpacked(text: str) -> list[int]:
    """Run lengths of COCO's compressed string: 5 bits a character, low ones first.

    From the fourth on they are differences to the last but one.
    """
    runs: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            code = ord(text[place]) - 48
            if not 0 <= code < 64:
                raise ValueError("damaged run lengths")
            value |= (code & 31) << shift
            more = bool(code & 32)
            place, shift = place + 1, shift + 5
            if not more and code & 16:
                value |= -1 << shift
            if more and place == len(text):
                raise ValueError("cut run lengths")
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


def _from_runs(runs: list[int], height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (H, W) of runs of 0 and 1 in turn, column by column."""
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError(f"run lengths of {sum(runs)} pixels for {height} x {width}")
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return flat.reshape(width, height).T.copy()


def _outlined(mask: NDArray[np.uint8]) -> list[Any]:
    """Areas whose pixel centres are exactly those of the mask: runs of pixels in rows, joined."""
    boxes = []
    padded = cv2.copyMakeBorder(mask, 0, 0, 1, 1, cv2.BORDER_CONSTANT, value=0).astype(np.int8)
    for row, steps in enumerate(np.diff(padded, axis=1)):
        starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        boxes += [shapely.box(a, row, b, row + 1) for a, b in zip(starts, ends, strict=True)]
    return [shapely.union_all(boxes)] if boxes else []
