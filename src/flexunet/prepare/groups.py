"""Which items must stay in one split: named in a file, by a pattern on ids, or found in the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..check import join_groups
from ..check.names import source_name
from ..data.table import match_ids
from ..data.table import read_table as read_column
from .items import Item

Assigned = dict[str, str]


def read_table(path: Path, items: Sequence[Item], column: str) -> Assigned:
    """A column of a CSV with the columns `id` and `column`, by item id; items it leaves out are not in it.

    Raises:
        DataError: not such a file, an id twice, or ids that no item has.
    """
    return read_column(path, {item.id for item in items}, column)


def match_pattern(pattern: str, items: Sequence[Item], option: str) -> Assigned:
    """What a regular expression finds in each id: what its groups match, or all that it matches.

    Example: `^[a-z]+` finds "df" in df003 and df017. Items that do not match are not in the result.

    Raises:
        DataError: not a regular expression, or one that matches no id.
    """
    return match_ids(pattern, [item.id for item in items], option)


def augmented_copies(items: Sequence[Item]) -> set[str]:
    """Ids of items that were made from another one that is here, by the names of their files."""
    stems = {item.id: item.image.files[0].stem for item in items}
    there = set(stems.values())
    return {name for name, stem in stems.items() if (source := source_name(stem)) != stem and source in there}


def alone(items: Sequence[Item], groups: Mapping[str, str]) -> Assigned:
    """The group of every item; those without one are groups of their own."""
    return {item.id: groups.get(item.id, item.id) for item in items}


def joined(items: Sequence[Item], pairs: Sequence[tuple[int, int]]) -> Assigned:
    """Groups of connected items, named by their first one."""
    groups = join_groups(len(items), pairs)
    return {item.id: items[first].id for item, first in zip(items, groups, strict=True)}
