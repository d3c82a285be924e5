"""A first look at a dataset: its layout, pictures and classes, as the `[data]` section of a config."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.schema import DataConfig, SplitConfig
from ..data import Pair, Pairing, decode_mask, match_files, split_folders
from ..errors import DataError, FlexunetError, Problem
from ..progress import Tell
from ..raster import open_raster
from .class_settings import class_settings
from .found_classes import find_classes

_SPLITS = ("train", "valid", "test")
_FLAT_NAMES = (
    ("images", "masks"),
    ("image", "mask"),
    ("images", "labels"),
    ("img", "label"),
    ("image", "label"),
)
_DECODED = 20
"""Told (what is being done, items done, items in all)."""


@dataclass(frozen=True)
class Survey:
    """What was found in a dataset."""

    data: DataConfig
    """The `[data]` section that describes it."""
    notes: tuple[str, ...]
    """What was found and what its owner should look at, for people."""
    problems: tuple[str, ...]
    """What will stop a training."""
    landslides: bool
    """Whether it is about landslides, by its names."""

    @property
    def found(self) -> frozenset[str]:
        """Dotted config keys that say something about this very dataset."""
        usual = DataConfig()
        return frozenset(
            f"data.{name}"
            for name in type(usual).model_fields
            if getattr(self.data, name) != getattr(usual, name)
        ) | {"data.classes", "data.size", "data.sizing", "data.mask_encoding"}


def survey(root: Path, *, max_files: int = 200, progress: Tell | None = None) -> Survey:
    """Look into a dataset folder: at most `max_files` masks in full and as many image headers, evenly spread.

    Layouts: {train,valid,test}/{images,masks}; images/ and masks/ without splits; the raw Bijie material
    (landslide/image, landslide/mask, non-landslide/image).

    Raises:
        DataError: the folder has none of these layouts, or no pictures, or no mask that can be read.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root} is no folder.")
    data, splits, notes, problems = _layout(root)
    pairings = {name: match_files(folders, data) for name, folders in splits.items()}
    for name, pairing in pairings.items():
        notes += [f"{name}: {_counted(pairing)}", *(f"{name}: {note}" for note in pairing.notes)]
        problems += [f"{name}: {problem}" for problem in pairing.problems]
    pairs = [pair for pairing in pairings.values() for pair in pairing.pairs]
    if not pairs:
        raise DataError(f"{root} has no image with a mask:", [Problem(text) for text in problems])
    changes: dict[str, Any] = _look_at_images(
        _told("images", _spread([pair.image for pair in pairs], max_files), progress), notes
    )
    masks = _spread([pair.mask for pair in pairs if pair.mask is not None], max_files)
    findings = find_classes(_told("masks", masks, progress))
    folders = [str(folder) for split in splits.values() for folder in split.images]
    landslides = any("landslide" in name.lower() for name in (*folders, *(pair.id for pair in pairs[:50])))
    changes |= class_settings(findings, landslides, notes)
    data = DataConfig.model_validate({**_set_fields(data), **changes})
    problems += _try_decoding(pairs, data)
    return Survey(data, tuple(notes), tuple(problems), landslides)


# -------------------------------------------------------------------------------- layout


def _layout(root: Path) -> tuple[DataConfig, dict[str, SplitConfig], list[str], list[str]]:
    """Where the pictures are: folders for the config and by split, notes, problems."""
    by_split = DataConfig(root=root)
    splits: dict[str, SplitConfig] = {}
    problems = []
    for name in _SPLITS:
        try:
            splits[name] = split_folders(by_split, name)  # type: ignore[arg-type]
        except DataError as error:
            problems.append(str(error))
    if "train" in splits:
        return by_split, splits, [f"splits: {', '.join(splits)}"], problems
    raw, folders = True, _bijie(root)
    if folders is None:
        raw, folders = False, _flat(root)
    if folders is None:
        there = ", ".join(sorted(item.name for item in root.iterdir())[:12]) or "nothing"
        raise DataError(
            f"{root} has no known layout; it holds {there}. Known are {{train,valid,test}}/{{images,masks}}, "
            "images/ with masks/, and the raw Bijie layout landslide/{image,mask}."
        )
    cure = (
        "flexunet prepare makes the splits and keeps pictures of the same ground together; set data.root to "
        "what it made."
        if raw
        else "Name folders with pictures of other places in [data.valid] and [data.test], or make "
        "train/, valid/ and test/ folders, each with images/ and masks/."
    )
    problems = [f"no validation split, and training needs one. {cure}"]
    return DataConfig(train=folders), {"train": folders}, ["no splits"], problems


def _bijie(root: Path) -> SplitConfig | None:
    images, masks, others = (
        root / name for name in ("landslide/image", "landslide/mask", "non-landslide/image")
    )
    if not (images.is_dir() and masks.is_dir()):
        return None
    return SplitConfig(images=(images,), masks=(masks,), negatives=(others,) if others.is_dir() else ())


def _flat(root: Path) -> SplitConfig | None:
    there = {item.name.lower(): item for item in sorted(root.iterdir()) if item.is_dir()}
    for images, masks in _FLAT_NAMES:
        if images in there and masks in there:
            negatives = tuple(there[name] for name in ("negatives", "negative") if name in there)
            return SplitConfig(images=(there[images],), masks=(there[masks],), negatives=negatives)
    return None


def _counted(pairing: Pairing) -> str:
    without = sum(pair.mask is None for pair in pairing.pairs)
    text = f"{len(pairing.pairs) - without} images with masks"
    return f"{text}, {without} negatives" if without else text


def _set_fields(data: DataConfig) -> dict[str, Any]:
    return {name: getattr(data, name) for name in data.model_fields_set}


def _told(stage: str, paths: list[Path], progress: Tell | None) -> Iterator[Path]:
    """The paths one by one, telling how far it is."""
    for number, path in enumerate(paths):
        if progress is not None:
            progress(stage, number, len(paths))
        yield path
    if progress is not None:
        progress(stage, len(paths), len(paths))


def _spread(items: list[Path], most: int) -> list[Path]:
    """At most `most` of the items, evenly spread."""
    if len(items) <= most:
        return items
    return [items[number * len(items) // most] for number in range(most)]


# -------------------------------------------------------------------------------- images


def _look_at_images(paths: Iterable[Path], notes: list[str]) -> dict[str, Any]:
    """Sizes, bands and types of the images; the size to train at."""
    sizes: list[tuple[int, int]] = []
    bands: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    for path in paths:
        try:
            with open_raster(path) as reader:
                count, height, width = reader.shape
                sizes.append((height, width))
                bands[count] += 1
                kinds[reader.dtype] += 1
        except FlexunetError as error:
            notes.append(f"image not looked at: {error}")
    if not sizes:
        return {}
    heights, widths = sorted(size[0] for size in sizes), sorted(size[1] for size in sizes)
    middle = (heights[len(heights) // 2], widths[len(widths) // 2])
    notes.append(
        f"images: {heights[0]} to {heights[-1]} x {widths[0]} to {widths[-1]} pixels (height x width), "
        f"median {middle[0]} x {middle[1]}; bands: {_listed(bands)}; type: {_listed(kinds)}"
    )
    changes: dict[str, Any] = _training_size(middle, len(set(sizes)) == 1)
    if len(bands) > 1:
        changes["channels"] = bands.most_common(1)[0][0]
        notes.append(
            f"images differ in their bands; data.channels = {changes['channels']} brings them in line"
        )
    return changes


def _listed(counts: Counter[Any]) -> str:
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count} files)" for value, count in counts.most_common())


def _training_size(middle: tuple[int, int], all_alike: bool) -> dict[str, Any]:
    """Size and sizing: the pictures' own if it is fit to train at, crops of large ones, else 256 squared."""
    height, width = middle
    if all_alike and max(middle) <= 512:
        return {"size": (_up_to_32(height), _up_to_32(width)), "sizing": "resize"}
    if min(middle) > 1024:
        return {"size": (512, 512), "sizing": "crop"}
    if max(middle) > 2 * min(middle):
        return {"size": (256, 256), "sizing": "fit"}
    return {"size": (512, 512) if min(middle) >= 512 else (256, 256), "sizing": "resize"}


def _up_to_32(length: int) -> int:
    return max(32, (length + 16) // 32 * 32)


# -------------------------------------------------------------------------------- decoding


def _try_decoding(pairs: list[Pair], data: DataConfig) -> list[str]:
    """What decoding a few masks by the settings found complains about."""
    masks = [pair.mask for pair in pairs if pair.mask is not None]
    problems = []
    for path in _spread(masks, _DECODED):
        try:
            decode_mask(path, data)
        except FlexunetError as error:
            problems.append(str(error).replace(f"{path}{os.sep}", ""))
    return problems
