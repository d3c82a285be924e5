"""From raw material to `{train,valid,test}/{images,masks,negatives}` and a manifest, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import DataError, OutputExistsError, Problem
from .groups import match_groups, overlap_groups, read_groups
from .layouts import Item, read_layout
from .pixels import encode_png, enlarged_size, read_pixels
from .split import SPLITS, Split, split_groups

MANIFEST = "manifest.json"
MANIFEST_FORMAT = "flexunet dataset"

Progress = Callable[[str, int, int], None]
"""Told (what is being done, items done, items in all)."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` has written."""

    dir: Path
    counts: dict[Split, dict[str, int]]
    """Items by split and kind (`images`, `negatives`)."""
    group_count: int
    """Groups of two items and more."""
    grouped_count: int
    """Items in them."""
    notes: tuple[str, ...]


def prepare(
    src: Path,
    dst: Path,
    *,
    shares: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 137,
    min_side: int | None = None,
    groups: Path | None = None,
    group_pattern: str | None = None,
    overlaps: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Pair, group and split a raw dataset, and write it to `dst`.

    Items of one group never part. Groups come from a CSV file (`groups`: id,group), from a regular expression
    on ids (`group_pattern`), or, when neither is given and `overlaps` is on, from pictures that share ground
    pixel for pixel. `min_side` enlarges pictures whose shorter edge is below it (images linearly, masks by
    nearest pixel); all others are copied byte for byte. Same input, options and versions give the same bytes.

    Raises:
        DataError: a layout, pair, picture or groups file that cannot be used; everything found is named.
        OutputExistsError: `dst` is there, and `overwrite` is off or it was not made by prepare.
    """
    src, dst = src.resolve(), dst.resolve()
    _check_options(src, dst, shares, min_side, groups, group_pattern)
    _check_destination(dst, overwrite)
    items = read_layout(src)
    sizes = _measure(items, progress)
    origin, group_of, notes = _group(items, groups, group_pattern, overlaps, progress)
    split_of = split_groups(group_of, {item.id: item.stratum for item in items}, shares, seed)
    options = {
        "layout": "bijie",
        "shares": [share / sum(shares) for share in shares],
        "seed": seed,
        "min_side": min_side,
        "groups": origin,
    }
    with _whole_folder(dst, overwrite) as folder:
        entries = []
        for done, item in enumerate(items, start=1):
            size = sizes[item.id]
            size_hw = size if min_side is None else enlarged_size(size, min_side)
            files = _write_item(item, src, folder, split_of[item.id], size, size_hw)
            entries.append({"id": item.id, "split": split_of[item.id], "group": group_of[item.id], **files})
            _tell(progress, "writing", done, len(items))
        _write_manifest(folder / MANIFEST, options, entries)

    members = Counter(group_of.values())
    shared = [count for count in members.values() if count > 1]
    counts = {
        split: Counter(item.stratum for item in items if split_of[item.id] == split) for split in SPLITS
    }
    return Prepared(
        dst, {split: dict(count) for split, count in counts.items()}, len(shared), sum(shared), notes
    )


def _tell(progress: Progress | None, stage: str, done: int, total: int) -> None:
    if progress is not None:
        progress(stage, done, total)


# --------------------------------------------------------------------------------------------- before writing


def _check_options(
    src: Path,
    dst: Path,
    shares: Sequence[float],
    min_side: int | None,
    groups: Path | None,
    group_pattern: str | None,
) -> None:
    problems = []
    if len(shares) != 3 or not all(0 <= share < np.inf for share in shares) or not shares[0] > 0:
        problems.append(
            Problem(
                f"three shares, none negative and train's above 0, are expected, not {shares}.",
                where="shares",
            )
        )
    if min_side is not None and min_side < 1:
        problems.append(Problem(f"1 pixel or more is expected, not {min_side}.", where="min_side"))
    if groups is not None and group_pattern is not None:
        problems.append(Problem("give a groups file or a group pattern, not both.", where="groups"))
    if groups is not None and not groups.is_file():
        problems.append(Problem("there is no such file.", groups))
    if src == dst or src in dst.parents or dst in src.parents:
        problems.append(Problem(f"source {src} and destination overlap.", dst, cure="Choose another folder."))
    if problems:
        raise DataError("This cannot be prepared:", problems)


def _check_destination(dst: Path, overwrite: bool) -> None:
    if not dst.exists() or (dst.is_dir() and not any(dst.iterdir())):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{dst} is already there. Choose another folder, or allow it with --overwrite."
        )
    if not (dst / MANIFEST).is_file():
        raise OutputExistsError(
            f"{dst} was not made by prepare (it holds no {MANIFEST}): left alone. Choose another folder."
        )


def _measure(items: Sequence[Item], progress: Progress | None) -> dict[str, tuple[int, int]]:
    """Height and width of every item; all is decoded, so that damage shows before anything is written."""
    sizes: dict[str, tuple[int, int]] = {}
    problems: list[Problem] = []
    for done, item in enumerate(items, start=1):
        try:
            height, width = read_pixels(item.image).shape[:2]
            sizes[item.id] = height, width
            if item.mask is not None:
                mask_hw = read_pixels(item.mask).shape[:2]
                if mask_hw != (height, width):
                    problems.append(
                        Problem(
                            f"{mask_hw[1]}x{mask_hw[0]} pixels, but its image has {width}x{height}.",
                            item.mask,
                        )
                    )
        except (DataError, OSError) as error:
            problems.append(Problem(str(error)))
        _tell(progress, "checking", done, len(items))
    if problems:
        raise DataError("Some pictures cannot be used as they are:", problems)
    return sizes


def _group(
    items: Sequence[Item],
    groups: Path | None,
    pattern: str | None,
    overlaps: bool,
    progress: Progress | None,
) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Where the groups come from, the group of every item, and what to say about it."""
    if groups is not None:
        return "file", read_groups(groups, items), ()
    if pattern is not None:
        return f"pattern {pattern}", match_groups(pattern, items), ()
    if not overlaps:
        return "none", {item.id: item.id for item in items}, ()
    found, pairs = overlap_groups(items, lambda done, total: _tell(progress, "comparing", done, total))
    note = f"{pairs} pairs of pictures share ground pixel for pixel; such pictures stay in one split."
    return "overlaps", found, (note,) if pairs else ()


# ---------------------------------------------------------------------------------------------------- writing


@contextmanager
def _whole_folder(dst: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside `dst` to fill; it takes the place of `dst` when the block ends well, else it goes."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    beside = dst.with_name(f".{dst.name}.{secrets.token_hex(4)}.part")
    beside.mkdir()
    try:
        yield beside
        _check_destination(dst, overwrite)
        if dst.exists():
            old = dst.with_name(f".{dst.name}.{secrets.token_hex(4)}.old")
            dst.rename(old)
            beside.rename(dst)
            shutil.rmtree(old)
        else:
            beside.rename(dst)
    except OSError as error:  # a full disk, say: the user knows `dst`, not the folder beside it
        if error.errno is not None and str(error.filename or beside).startswith(str(beside)):
            error.filename = str(dst)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_item(
    item: Item, src: Path, folder: Path, split: Split, size: tuple[int, int], size_hw: tuple[int, int]
) -> dict[str, Any]:
    """Writes the image and its mask; returns the manifest's words about them."""
    entry: dict[str, Any] = {"height": size_hw[0], "width": size_hw[1], "negative": item.mask is None}
    kinds = [("image", item.image, item.stratum)]
    if item.mask is not None:
        kinds.append(("mask", item.mask, "masks"))
    for kind, source, subfolder in kinds:
        content = source.read_bytes()
        suffix = source.suffix.lower()
        written = content
        if size != size_hw:
            written = encode_png(read_pixels(source), size_hw, nearest=kind == "mask")
            suffix = ".png"
        target = folder / split / subfolder / f"{item.id}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(written)
        entry[kind] = {
            "file": target.relative_to(folder).as_posix(),
            "source": source.relative_to(src).as_posix(),
            "source_sha256": hashlib.sha256(content).hexdigest(),
        }
    return entry


def _write_manifest(path: Path, options: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    manifest = {
        "format": MANIFEST_FORMAT,
        "version": 1,
        "options": options,
        "versions": {"flexunet": version("flexunet"), "numpy": np.__version__, "opencv": cv2.__version__},
        "counts": {
            split: dict(
                Counter("negatives" if e["negative"] else "images" for e in entries if e["split"] == split)
            )
            for split in SPLITS
        },
        "items": entries,
    }
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
