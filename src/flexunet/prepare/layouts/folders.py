"""What the layouts share: listing pictures and pairing them by stem."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ...errors import Problem
from ...raster import IMAGE_SUFFIXES
from ..options import Options
from ..settings import read_settings

NEGATIVES = ("negatives", "negative")
"""Names of a folder with pictures that show no object."""


def by_stem(folder: Path, problems: list[Problem]) -> dict[str, Path]:
    """Pictures of a folder by file stem; other files and hidden ones are passed over."""
    found: dict[str, Path] = {}
    if not folder.is_dir():
        problems.append(Problem("is missing.", folder))
        return found
    for path in sorted(folder.iterdir()):
        if not is_picture(path):
            continue
        if path.stem in found:
            problems.append(Problem(f"has the same stem as {found[path.stem].name}.", path))
        found[path.stem] = path
    return found


def is_picture(path: Path) -> bool:
    """Whether it is named like a picture."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def unpaired(
    images: dict[str, Path], masks: dict[str, Path], image_dir: Path, mask_dir: Path, suffix: str = ".png"
) -> list[Problem]:
    """One problem for every image without mask and every mask without image."""
    problems = []
    for stem in sorted(images.keys() - masks.keys()):
        problems.append(Problem("has no mask.", images[stem], cure=f"Expected {mask_dir / stem}{suffix}."))
    for stem in sorted(masks.keys() - images.keys()):
        problems.append(
            Problem("belongs to no image.", masks[stem], cure=f"Expected {image_dir / stem}.png.")
        )
    return problems


def refuse_or_leave_out(
    alone: Iterable[Problem], options: Options, problems: list[Problem], notes: list[str]
) -> None:
    """What has no partner is a problem, or with `data.on_orphan=skip` a note."""
    if read_settings(options.settings).on_orphan == "skip":
        notes += [f"left out: {replace(problem, cure=None)}" for problem in alone]
    else:
        problems += alone


def held(root: Path) -> str:
    """What a folder holds, for an error message."""
    return ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"


def files_with(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files of a folder with one of the suffixes, sorted; hidden ones are passed over."""
    wanted = tuple(suffixes)
    return [
        path
        for path in sorted(root.iterdir())
        if path.suffix.lower() in wanted and path.is_file() and not path.name.startswith(".")
    ]
