"""The region of every picture, for splits that leave one region out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ..errors import DataError
from .groups import match_pattern, read_table
from .items import Item
from .measuring import Part
from .options import Options
from .split import assign_groups


def find_regions(
    items: Sequence[Item],
    parts: Sequence[Part],
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    options: Options,
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """The region of every part by id, the names of the regions in order, notes.

    Pictures without a region (negatives, mostly) are spread evenly over the regions, so that each of them has
    some; those of a region's groups go with it.

    Raises:
        DataError: no region at all, or regions that one group joins.
    """
    told = _told(items, options)
    known = {part.id: told[part.item.id] for part in parts if part.item.id in told}
    names = tuple(sorted(set(known.values())))
    if not names:
        raise DataError("No picture has a region. Look at --region-pattern, or at the table and its column.")
    joined: dict[str, set[str]] = defaultdict(set)
    for name, region in known.items():
        joined[groups[name]].add(region)
    for group, found in sorted(joined.items()):
        if len(found) > 1:
            raise DataError(
                f"The regions {', '.join(sorted(found))} share ground (group {group}); they cannot part."
            )
    home = {group: next(iter(found)) for group, found in joined.items()}
    free = {name: group for name, group in groups.items() if group not in home}
    even = assign_groups(free, {name: strata[name] for name in free}, (1,) * len(names), options.seed)
    region_of = {
        part.id: home[groups[part.id]] if groups[part.id] in home else names[even[part.id]] for part in parts
    }
    without = len({part.item.id for part in parts} - told.keys())
    note = (
        f"{without} pictures without a region are spread over the {len(names)} regions; those that share "
        "ground with a region's pictures went with it."
    )
    return region_of, names, (note,) if without else ()


def hints(items: Sequence[Item], column: str) -> dict[str, str]:
    """What the source tells of its items under the name `column`, by id.

    Raises:
        DataError: it tells nothing of that name.
    """
    known = sorted({name for item in items for name in item.hints})
    if column not in known:
        raise DataError(f"The source tells no {column!r}; it tells {', '.join(known) or 'nothing'}.")
    return {item.id: item.hints[column] for item in items if column in item.hints}


def safe_name(name: str) -> str:
    """A name that every file system takes."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)


def _told(items: Sequence[Item], options: Options) -> dict[str, str]:
    """Region by item id; items without one are not in it."""
    if options.region_pattern is not None:
        return match_pattern(options.region_pattern, items, "--region-pattern")
    column = options.group_column or "region"
    if options.groups is None:
        return hints(items, column)
    table = read_table(options.groups, items, column)
    return {name: region for name, region in table.items() if region != name}  # empty cells give the id
