"""One folder with images and masks told apart by their names: `Landslide*.png` + `LandslideLabel*.png`."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ...errors import DataError, Problem
from ...raster import IMAGE_SUFFIXES
from ..items import Item, MaskFile, PictureFile, Source
from ..options import Options
from .folders import files_with, is_picture, refuse_or_leave_out

_MASK_WORDS = re.compile(
    r"(?<![A-Za-z])(mask|masks|label|labels|lbl|gt|seg|annotation)(?![a-z])|(Mask|Label)(?![a-z])"
)


def matches(root: Path) -> bool:
    """Whether `root` holds pictures of which some are named like masks."""
    pictures = [path for path in root.iterdir() if is_picture(path)]
    masks = [path for path in pictures if _MASK_WORDS.search(path.stem)]
    return 0 < len(masks) < len(pictures)


def read(root: Path, options: Options) -> Source:
    """Pairs by patterns, or by names without the word that says mask."""
    pictures = files_with(root, IMAGE_SUFFIXES)
    if options.image_pattern is not None and options.mask_pattern is not None:
        pictures = sorted(path for path in root.rglob("*") if is_picture(path))
        masks = _keyed(root, pictures, options.mask_pattern)
        taken = {path for paths in masks.values() for path in paths}
        images = _keyed(root, [path for path in pictures if path not in taken], options.image_pattern)
        expected = f"{options.image_pattern} with {options.mask_pattern}"
    else:
        masks, images = defaultdict(list), defaultdict(list)
        for path in pictures:
            bare = _MASK_WORDS.sub("", path.stem)
            side = masks if bare != path.stem else images
            side[(re.sub(r"[\W_]+", "", bare).lower(),)].append(path)
        expected = "names that differ by a word such as Label or mask only"
        if len(pictures) == 2 and len(masks) == len(images) == 1:  # nothing to mix up, whatever their names
            masks = {next(iter(images)): next(iter(masks.values()))}
    problems: list[Problem] = []
    alone: list[Problem] = []
    notes: list[str] = []
    items = []
    for key in sorted(images.keys() | masks.keys()):
        both = [*images.get(key, ()), *masks.get(key, ())]
        if len(images.get(key, ())) == 1 and len(masks.get(key, ())) == 1:
            image = PictureFile(images[key][0], options.nodata)
            items.append(Item(images[key][0].stem, image, MaskFile(masks[key][0])))
        elif len(images.get(key, ())) > 1 or len(masks.get(key, ())) > 1:
            problems.append(Problem(f"pair up in several ways: {', '.join(p.name for p in both)}.", root))
        else:
            alone.append(Problem("has no mask." if images.get(key) else "belongs to no image.", both[0]))
    refuse_or_leave_out(alone, options, problems, notes)
    if not items and not problems:
        problems.append(Problem("no file fits the patterns.", root))
    if problems:
        raise DataError(f"Images and masks do not pair up (expected: {expected}):", problems)
    items.sort(key=lambda item: item.id)
    return Source("flat", root, tuple(items), None, tuple(notes))


def _keyed(root: Path, pictures: list[Path], pattern: str) -> dict[tuple[str, ...], list[Path]]:
    """Pictures whose path below `root` (or name, without `/` in the pattern) fits, by what the stars are."""
    parts = [
        "([^/]*)" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", pattern)
    ]
    expression = re.compile("".join(parts))
    keyed: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in pictures:
        name = path.relative_to(root).as_posix() if "/" in pattern else path.name
        match = expression.fullmatch(name)
        if match is not None:
            keyed[match.groups()].append(path)
    return keyed
