"""Which folders a split consists of, and the picture files in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..config.schema import DataConfig, SplitConfig
from ..errors import DataError, Problem
from ..raster import IMAGE_SUFFIXES

Split = Literal["train", "valid", "test"]

MASK_SUFFIXES = (*IMAGE_SUFFIXES, ".npz")

_EMPTY_CURE = "Put the files there, or correct the folders in [data]."
_UNNAMED_CURE = "Name images and masks of the split in [data], or pictures without objects as negatives."
_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation"),
    "test": ("test", "testing"),
}
_IMAGE_FOLDERS = ("images", "image", "img")
_MASK_FOLDERS = ("masks", "mask", "labels", "label")
_NEGATIVE_FOLDERS = ("negatives", "negative")


@dataclass(frozen=True)
class Found:
    """One file of a folder listing."""

    path: Path
    group: str
    """What the `*` of the folder pattern stood for, or the folder's number in its list; names need only be
    unique within a group."""

    @property
    def stem(self) -> str:
        """File name without its last extension, in composed Unicode (NFC)."""
        return unicodedata.normalize("NFC", self.path.stem)


def split_folders(data: DataConfig, split: Split) -> SplitConfig:
    """The folders of a split: those the config names, else {root}/{split}/{images,masks,negatives}.

    `val` and `validation` are understood for `valid`, `image`, `mask`, `label` and the like for their
    plurals.

    Raises:
        DataError: neither folders nor root are given, or the root holds no such split.
    """
    named: SplitConfig | None = getattr(data, split)
    if named is not None:
        return named
    if data.root is None:
        raise DataError(
            f"the {split} split has no folders; name them in data.{split}.images and .masks, or set data.root"
        )
    if not data.root.is_dir():
        raise DataError(f"data.root {data.root} is no folder. Name the dataset's: --set data.root=FOLDER")
    base = first_folder(data.root, _SPLIT_NAMES[split])
    if base is None:
        raise DataError(
            f"data.root {data.root} has no folder {split!r}; it holds {_folders_in(data.root)}. Name the "
            f"dataset's folder, or those of the split in data.{split}.images and .masks."
        )
    images = first_folder(base, _IMAGE_FOLDERS)
    masks = first_folder(base, _MASK_FOLDERS)
    negatives = first_folder(base, _NEGATIVE_FOLDERS)
    if images is None or masks is None:
        lacking = " and ".join(
            name for name, folder in (("'images'", images), ("'masks'", masks)) if folder is None
        )
        raise DataError(
            f"{base} has no folder {lacking}; it holds {_folders_in(base)}. Name the folders in "
            f"data.{split}.images and .masks."
        )
    return SplitConfig(images=(images,), masks=(masks,), negatives=(negatives,) if negatives else ())


def _folders_in(folder: Path) -> str:
    there = sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    return ", ".join(there) or "no folders"


def list_files(
    folders: tuple[Path, ...], suffixes: tuple[str, ...], what: str
) -> tuple[list[Found], list[Problem], int]:
    """Files of all `folders` (each may hold `*` or `?` in folder names), sorted; what is wrong; files
    skipped.

    Hidden files (`._a.jpg`, `.DS_Store`), sub-folders and every file that is not named like a picture are
    skipped.
    """
    found: list[Found] = []
    problems: list[Problem] = []
    skipped = 0
    for number, pattern in enumerate(folders):
        matches = _expand(pattern)
        if not matches:
            problems.append(
                Problem("no such folder", path=pattern, where=what, cure="Correct the path in the config.")
            )
        for folder, group in matches:
            try:
                files = sorted(item for item in folder.iterdir() if item.is_file())
            except OSError as error:
                problems.append(
                    Problem(f"cannot be read: {error.strerror or error}", path=folder, where=what)
                )
                continue
            wanted = [file for file in files if _is_picture(file, suffixes)]
            skipped += len(files) - len(wanted)
            name = group if group else (str(number) if len(folders) > 1 else "")
            found += [Found(file, name) for file in wanted]
    if not folders:
        problems.append(Problem(f"{what}: no folder is named for them", cure=_UNNAMED_CURE))
    elif not found and not problems:
        listed = ", ".join(map(str, folders))
        problems.append(Problem(f"{what}: nothing named {', '.join(suffixes)} in {listed}", cure=_EMPTY_CURE))
    return found, problems, skipped


def _is_picture(file: Path, suffixes: tuple[str, ...]) -> bool:
    return file.suffix.lower() in suffixes and not file.name.startswith(".")


def first_folder(base: Path, names: Sequence[str]) -> Path | None:
    """The folder of one of these names in `base`, in any case; the first name that is there."""
    there = {item.name.lower(): item for item in sorted(base.iterdir(), reverse=True) if item.is_dir()}
    return next((there[name] for name in names if name in there), None)


def _expand(pattern: Path) -> list[tuple[Path, str]]:
    """(folder, text that the wildcards stood for) for every folder that matches; `[` is an ordinary letter.

    A folder that exists under the very name, stars and all, is meant literally.
    """
    if pattern.is_dir() or not any(sign in str(pattern) for sign in "*?"):
        return [(pattern, "")] if pattern.exists() else []
    level: list[tuple[Path, str]] = [(Path(pattern.anchor or "."), "")]
    for part in pattern.parts[1 if pattern.anchor else 0 :]:
        if not any(sign in part for sign in "*?"):
            level = [(folder / part, group) for folder, group in level if (folder / part).is_dir()]
            continue
        wild = re.compile("".join({"*": "(.*)", "?": "(.)"}.get(sign, re.escape(sign)) for sign in part))
        level = [
            (child, "/".join(filter(None, (group, *match.groups()))))
            for folder, group in level
            if folder.is_dir()
            for child in sorted(folder.iterdir())
            if child.is_dir() and not child.name.startswith(".") and (match := wild.fullmatch(child.name))
        ]
    return level
