"""Which items must stay in one split: named in a file, by a pattern on ids, or found in the pixels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..check import find_overlaps
from ..errors import DataError, Problem
from .layouts import Item
from .pixels import Decoded


def read_groups(path: Path, items: Sequence[Item]) -> dict[str, str]:
    """The group of every item from a CSV with the columns `id` and `group`; items it leaves out stand alone.

    Raises:
        DataError: not such a file, an id twice, or ids that no item has.
    """
    known = {item.id for item in items}
    groups: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not {"id", "group"} <= set(reader.fieldnames or ()):
                columns = ", ".join(reader.fieldnames or ()) or "none"
                raise DataError(f"{path}: a groups file has the columns id and group; found: {columns}.")
            for row in reader:
                name = (row["id"] or "").strip()
                if name not in known:
                    problems.append(Problem(f"no picture has the id {name!r}.", path, reader.line_num))
                elif name in groups:
                    problems.append(Problem(f"the id {name!r} stands twice.", path, reader.line_num))
                else:
                    groups[name] = (row["group"] or "").strip() or name
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8.") from error
    if problems:
        raise DataError(
            "The groups file does not fit the pictures (ids are file names without suffix):", problems
        )
    return {item.id: groups.get(item.id, item.id) for item in items}


def match_groups(pattern: str, items: Sequence[Item]) -> dict[str, str]:
    """The group of every item by a regular expression on its id: what its groups match, or all it matches.

    Example: `^[a-z]+` puts df003 and df017 into the group "df". Items that do not match stand alone.

    Raises:
        DataError: not a regular expression, or one that matches no id.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(f"--group-pattern {pattern!r} is not a regular expression: {error}.") from error
    found: dict[str, str] = {}
    for item in items:
        match = expression.search(item.id)
        if match is not None:
            parts = [part for part in match.groups() if part is not None]
            found[item.id] = "|".join(parts) if parts else match.group()
    if not found:
        raise DataError(f"--group-pattern {pattern!r} matches no id; the first one is {items[0].id!r}.")
    return {item.id: found.get(item.id, item.id) for item in items}


def overlap_groups(
    items: Sequence[Item], progress: Callable[[int, int], None] | None = None
) -> tuple[dict[str, str], int]:
    """Groups of items that share ground pixel for pixel, and the number of overlapping pairs.

    A group is named by its first item.
    """
    overlaps = find_overlaps(Decoded([item.image for item in items]), progress=progress)
    groups = {item.id: items[first].id for item, first in zip(items, overlaps.groups, strict=True)}
    return groups, len(overlaps.pairs)
