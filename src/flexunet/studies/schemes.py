"""Three ways to hold images out: at random, by groups that share ground, by whole regions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..config import DataConfig
from ..data import FoldRow, Pair
from ..data.table import match_ids, read_table
from ..errors import ConfigError, DataError
from ..evaluation.groups import Groups, groups_of, read_manifest
from ..training.folds import assign_folds, divide, images_with_objects, pairs_to_divide, read_groups

SchemeName = Literal["random", "grouped", "regions"]
SCHEMES: tuple[SchemeName, ...] = get_args(SchemeName)
BIJIE_COUNTY = r"^(?:df|hz|js|ny|qx|qxg|wn|zj)(?=\d)"
"""The county that stands at the beginning of the names of Bijie's landslides; its other images have none."""


@dataclass(frozen=True)
class Scheme:
    """A division of all images into parts that are held out one after the other."""

    name: SchemeName
    rows: tuple[FoldRow, ...]
    parts: tuple[str, ...]
    """Name of each part: a number, or the region."""


@dataclass(frozen=True)
class Division:
    """The same images divided in three ways; what is known of each."""

    pairs: tuple[Pair, ...]
    groups: Groups
    regions: Mapping[str, str]
    """Region by id; images that have none are not in it."""
    region_source: str
    schemes: tuple[Scheme, ...]

    def describe(self) -> list[str]:
        """Lines for the user."""
        sizes = Counter(self.regions.values())
        counts = ", ".join(f"{name} {sizes[name]}" for name in sorted(sizes))
        without = len(self.pairs) - len(self.regions)
        parts = len(self.schemes[0].parts)
        return [
            f"{len(self.pairs)} images of train and valid in {self.groups.count} groups "
            f"({self.groups.source}); the test split is not looked at.",
            f"{len(sizes)} regions ({self.region_source}): {counts}"
            + (f"; {without} images without one are spread over the parts." if without else "."),
            f"Held out: {parts} parts at random, {parts} parts by groups, {len(sizes)} regions.",
        ]


def plan_division(
    data: DataConfig,
    parts: int,
    seed: int,
    *,
    groups: Path | None = None,
    region_pattern: str | None = None,
    regions: Path | None = None,
    region_column: str = "region",
) -> Division:
    """Divide the images of train and valid in three ways; the test split is not looked at.

    parts: of the random and the grouped division. groups: CSV (id, group); left out: those of the dataset's
    manifest.json. region_pattern: regular expression on ids. regions: CSV with id and `region_column`. With
    neither, the counties of a dataset that was prepared from Bijie.

    Raises:
        ConfigError: fewer than two parts, or two sources of regions.
        DataError: fewer groups than parts, fewer than two regions, regions that share ground, or images that
            cannot be used.
    """
    if parts < 2:
        raise ConfigError(f"--folds {parts}: at least 2 are needed.")
    pairs = pairs_to_divide(data)
    known = groups_of(pairs, data) if groups is None else read_groups(groups, pairs)
    found, source = _regions(pairs, data, region_pattern, regions, region_column)
    shown = images_with_objects(data)
    alone = Groups(tuple(pair.id for pair in pairs), "every image by itself")
    numbers = tuple(map(str, range(1, parts + 1)))
    by_region, names = _by_region(pairs, known, found, {p.id: shown.get(p.image, False) for p in pairs}, seed)
    schemes = (
        Scheme("random", divide(pairs, alone, shown, parts, seed).rows, numbers),
        Scheme("grouped", divide(pairs, known, shown, parts, seed).rows, numbers),
        Scheme("regions", by_region, names),
    )
    return Division(pairs, known, found, source, schemes)


def _regions(
    pairs: Sequence[Pair], data: DataConfig, pattern: str | None, table: Path | None, column: str
) -> tuple[dict[str, str], str]:
    """Region by id, and where that comes from."""
    ids = [pair.id for pair in pairs]
    if pattern is not None and table is not None:
        raise ConfigError("--region-pattern and --regions both say the region; give one of them.")
    if table is not None:
        told = read_table(table, {*ids, *(pair.image.stem for pair in pairs)}, column)
        by_id = {pair.id: told.get(pair.id, told.get(pair.image.stem, pair.id)) for pair in pairs}
        known = {name: region for name, region in by_id.items() if region != name}  # empty cells give the id
        return known, f"{column} of {table.name}"
    if pattern is not None:
        return match_ids(pattern, ids, "--region-pattern"), f"pattern {pattern}"
    manifest = read_manifest(pairs, data) or {}
    if manifest.get("options", {}).get("layout") == "bijie":
        return match_ids(BIJIE_COUNTY, ids, "county"), "counties in the names"
    raise DataError(
        "which images are of one region is not known. Give --region-pattern, a regular expression on file "
        f"names such as '^[a-z]+' (the first name is {ids[0]!r}), or --regions, a CSV with the columns id "
        f"and {column}."
    )


def _by_region(
    pairs: Sequence[Pair],
    groups: Groups,
    regions: Mapping[str, str],
    strata: Mapping[str, bool],
    seed: int,
) -> tuple[tuple[FoldRow, ...], tuple[str, ...]]:
    """A part for each region; images without one are spread evenly, those that share ground with a region's
    images go with it.
    """
    names = tuple(sorted(set(regions.values())))
    if len(names) < 2:
        raise DataError(
            f"leaving one region out needs at least two; found: {', '.join(names) or 'none'}. Look at "
            f"--region-pattern or --regions."
        )
    group_of = {pair.id: name for pair, name in zip(pairs, groups.names, strict=True)}
    spread: dict[str, set[str]] = defaultdict(set)
    for name, region in regions.items():
        spread[group_of[name]].add(region)
    torn = {group: found for group, found in spread.items() if len(found) > 1}
    if torn:
        group, found = next(iter(sorted(torn.items())))
        raise DataError(
            f"the regions {', '.join(sorted(found))} share ground (group {group}"
            f"{', ...' * (len(torn) > 1)}); they cannot part. Give regions that hold it together."
        )
    home = {group: names.index(next(iter(found))) + 1 for group, found in spread.items()}
    free = {name: group for name, group in group_of.items() if group not in home}
    even = assign_folds(free, {name: strata[name] for name in free}, len(names), seed) if free else {}
    rows = tuple(
        FoldRow(pair.id, group_of[pair.id], home.get(group_of[pair.id]) or even[pair.id]) for pair in pairs
    )
    return rows, names
