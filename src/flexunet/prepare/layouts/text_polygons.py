"""Images with one text file of vertices each: lines of `x y` in pixels, rings parted by empty lines."""

from __future__ import annotations

import math
import re
from pathlib import Path

from ...data.folders import first_folder
from ...errors import DataError, Problem
from ..items import Item, PictureFile, Source
from ..options import Options
from ..polygons import Ring, polygon_mask
from .folders import by_stem, refuse_or_leave_out, unpaired

_IMAGES = ("images", "image", "img")
_POLYGONS = ("polygon_coordinate", "polygons", "polygon", "vertices")


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    folder = first_folder(root, _POLYGONS)
    return first_folder(root, _IMAGES) is not None and folder is not None and any(folder.glob("*.txt"))


def read(root: Path, options: Options) -> Source:
    """Images and vertex files are paired by stem; images without a file are an error."""
    image_dir, text_dir = first_folder(root, _IMAGES), first_folder(root, _POLYGONS)
    if image_dir is None or text_dir is None:
        raise DataError(f"{root}: images/ and polygons/ (text files of `x y`) are expected.")
    problems: list[Problem] = []
    notes: list[str] = []
    images = by_stem(image_dir, problems)
    texts = {path.stem: path for path in sorted(text_dir.glob("*.txt"))}
    refuse_or_leave_out(unpaired(images, texts, image_dir, text_dir, ".txt"), options, problems, notes)
    items = []
    for stem in sorted(images.keys() & texts.keys()):
        shapes = [(ring, 1) for ring in read_vertices(texts[stem], problems)]
        mask = polygon_mask(texts[stem], shapes, options, problems, notes)
        items.append(Item(stem, PictureFile(images[stem], options.nodata), mask))
    if problems:
        raise DataError("Images and polygons do not fit:", problems)
    return Source("text-polygons", root, tuple(items), ("background", "object"), tuple(notes))


def read_vertices(path: Path, problems: list[Problem]) -> list[Ring]:
    """The rings of a file; lines that are no two numbers are added to `problems`.

    Separators are blanks, tabs, commas or semicolons; `#` starts a remark; an empty line ends a ring.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(f"cannot be read as text: {error}", path))
        return []
    rings: list[list[tuple[float, float]]] = [[]]
    for number, line in enumerate(lines, start=1):
        words = [word for word in re.split(r"[\s,;]+", line.partition("#")[0].strip("()[] \t")) if word]
        if not words:
            rings.append([])
            continue
        try:
            x, y = (float(word) for word in words)
        except ValueError:
            problems.append(Problem(f"two numbers `x y` are expected, not {line.strip()!r}.", path, number))
            continue
        if not (math.isfinite(x) and math.isfinite(y)):
            problems.append(Problem(f"{line.strip()!r} is no point.", path, number))
            continue
        rings[-1].append((x, y))
    full = [tuple(ring) for ring in rings if ring]
    for ring in full:
        if len(ring) < 3:
            problems.append(Problem(f"a ring of {len(ring)} points; 3 are the least.", path))
    return [ring for ring in full if len(ring) >= 3]
