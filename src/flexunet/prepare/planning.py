"""Which parts are used, what must stay together, and which split each goes to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..check import Overlap
from ..errors import DataError
from ..progress import Tell
from .given_splits import read_splits
from .groups import alone, augmented_copies, joined, match_pattern, read_table
from .items import Source
from .measuring import Part
from .options import Options
from .regions import find_regions, hints, safe_name
from .shared_ground import (
    SharedGround,
    describe_ground,
    describe_unfit,
    find_shared_ground,
    fitted,
    joined_planes,
    parted_pictures,
    pixel_length,
)
from .split import SPLITS, assign_groups, fill_empty, share_strata, split_groups
from .tiling import block_groups, too_near


@dataclass(frozen=True)
class Plan:
    """Where everything goes."""

    parts: tuple[Part, ...]
    """Those that are written, in order."""
    groups: Mapping[str, str]
    """By part id."""
    splits: Mapping[str, str]
    """By part id: train, valid, test, or a fold."""
    folds: tuple[str, ...] = ()
    origin: str = "none"
    """Where the groups come from."""
    overlaps: tuple[Overlap, ...] = ()
    """Between items whose masks are to be merged, by their place in the source."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why parts are not written, by id."""
    notes: tuple[str, ...] = ()


def make_plan(source: Source, parts: Sequence[Part], options: Options, progress: Tell | None) -> Plan:
    """Choose, group and split.

    Raises:
        DataError: group or split files that do not fit; one group where several are needed.
    """
    origin, item_groups, shared = _item_groups(source, parts, options, progress)
    kept, left_out = _chosen(parts, options)
    groups = {part.id: item_groups[part.item.id] for part in kept}
    grounds, torn = joined_planes(kept, source.items, shared.by_pixels)
    if options.blocks is not None:
        origin = "blocks"
        groups = block_groups(grounds, options.blocks * _unit(kept))
    strata = _strata(kept, source, options)
    splits, folds, split_notes = _split(source, kept, groups, strata, options)
    if origin == "overlaps":
        together = joined(source.items, (*shared.pairs, *shared.copies))
        groups = {part.id: together[part.item.id] for part in kept}
        if options.splits is None and options.leave_out is None:
            splits = _reunited(splits, groups, _shares(options, folds))
    if options.blocks is not None:
        order = [*(["test"] if "test" in splits.values() else []), *(folds or ("valid", "train"))]
        near = too_near(grounds, splits, options.buffer * _unit(kept), order)
        left_out |= dict.fromkeys(near, "too near to a picture of another split")
        kept = [part for part in kept if part.id not in left_out]
    if options.splits is None:
        made = augmented_copies(source.items)
        copies = {part.id for part in kept if part.item.id in made and splits[part.id] != "train"}
        left_out |= dict.fromkeys(copies, "augmented copies, by their names, outside train")
        kept = [part for part in kept if part.id not in copies]
    _check_filled(kept, splits, groups, options, folds)
    by_area = options.blocks is not None  # then nothing that is kept shares ground within a plane
    certain = torn if by_area else shared.pairs
    parted = parted_pictures((*certain, *shared.copies), source.items, kept, splits)
    notes = describe_ground(shared, parted, source.items, kept, splits, by_area=by_area)
    overlaps = shared.by_pixels
    if options.merge_overlaps is not None:
        fit, unfit = fitted(shared.by_coordinates, source.items, kept)
        overlaps, notes = (*overlaps, *fit), (*notes, *describe_unfit(unfit, source.items))
    return Plan(tuple(kept), groups, splits, folds, origin, overlaps, left_out, (*notes, *split_notes))


# ----------------------------------------------------------------------------------------- choosing


def _chosen(parts: Sequence[Part], options: Options) -> tuple[list[Part], dict[str, str]]:
    """Parts that are kept, by the share of empty tiles and the ratio of negatives; why the others are not."""
    left_out: dict[str, str] = {}
    empty = sorted(part.id for part in parts if part.kind == "negatives")
    generator = np.random.default_rng([options.seed, 1])
    if options.tile is not None and options.empty_tiles < 1:
        left_out |= dict.fromkeys(
            _drawn_out(empty, round(len(empty) * options.empty_tiles), generator), "empty tile"
        )
        empty = [name for name in empty if name not in left_out]
    if options.negatives is not None:
        full = len(parts) - sum(part.kind == "negatives" for part in parts)
        wanted = round(options.negatives * full)
        left_out |= dict.fromkeys(_drawn_out(empty, wanted, generator), "negative beyond the ratio")
    return [part for part in parts if part.id not in left_out], left_out


def _drawn_out(names: Sequence[str], keep: int, generator: np.random.Generator) -> list[str]:
    """Those that are not among `keep` drawn ones."""
    if keep >= len(names):
        return []
    return [names[place] for place in generator.permutation(len(names))[keep:]]


def _strata(parts: Sequence[Part], source: Source, options: Options) -> dict[str, str]:
    """What is split in equal shares. Bijie keeps the plain split that published numbers stand on."""
    how = options.stratify
    if how == "auto":
        how = "kind" if source.layout == "bijie" else "share"
    if how == "share":
        return share_strata({part.id: part.object_share for part in parts})
    return {part.id: part.item.stratum for part in parts}


# ----------------------------------------------------------------------------------------- grouping


def _item_groups(
    source: Source, parts: Sequence[Part], options: Options, progress: Tell | None
) -> tuple[str, dict[str, str], SharedGround]:
    """Where the groups come from, the group of every item, shared ground as far as it was looked for."""
    items = source.items
    needed = options.overlaps and options.groups is None and options.group_pattern is None
    shared = SharedGround()
    if needed or options.merge_overlaps is not None:
        shared = find_shared_ground(items, parts, progress, copies=needed)
    if options.groups is not None:
        found = read_table(options.groups, items, options.group_column or "group")
        return "file", alone(items, found), shared
    if options.group_pattern is not None:
        found = match_pattern(options.group_pattern, items, "--group-pattern")
        return f"pattern {options.group_pattern}", alone(items, found), shared
    if options.group_column is not None and options.leave_out is None:
        told = hints(items, options.group_column)
        return f"column {options.group_column}", alone(items, told), shared
    if not needed:
        return "none", alone(items, {}), shared
    return "overlaps", joined(items, shared.pairs), shared


def _reunited(
    splits: Mapping[str, str], groups: Mapping[str, str], shares: Mapping[str, float]
) -> dict[str, str]:
    """The splits, with every group whole in the one that holds most of it (of equals the first by name).

    Splits are drawn by the groups that are certain, so that what is drawn does not hang on which copies a
    version of the search finds; the few that it adds move afterwards.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, split in splits.items():
        counts[groups[name]][split] += 1
    home = {group: max(sorted(found), key=found.__getitem__) for group, found in counts.items()}
    return fill_empty({name: home[groups[name]] for name in splits}, groups, shares)


def _shares(options: Options, folds: Sequence[str]) -> dict[str, float]:
    """What every split or fold should have."""
    train, valid, test = options.shares
    if not folds:
        return {"train": train, "valid": valid, "test": test}
    return {"test": test, **dict.fromkeys(folds, (train + valid) / len(folds))}


def _unit(parts: Sequence[Part]) -> float:
    """The length of a pixel of the first picture in the units of its ground."""
    return pixel_length(parts[0]) if parts and parts[0].grid.crs_wkt is not None else 1.0


# ---------------------------------------------------------------------------------------- splitting


_Divided = tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]


def _split(
    source: Source,
    parts: Sequence[Part],
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    options: Options,
) -> _Divided:
    """The split of every part, the names of the folds, if there are any, and notes."""
    if options.splits is not None:
        given = read_splits(options.splits, source.items)
        return {part.id: given[part.item.id] for part in parts}, (), ()
    if options.leave_out is not None:
        return _by_region(source, parts, groups, strata, options)
    if options.folds is not None:
        names = tuple(f"fold_{number}" for number in range(1, options.folds + 1))
        shares = _shares(options, names)
        chosen = assign_groups(groups, strata, tuple(shares.values()), options.seed)
        return {name: tuple(shares)[index] for name, index in chosen.items()}, names, ()
    return dict(split_groups(groups, strata, options.shares, options.seed)), (), ()


def _by_region(
    source: Source,
    parts: Sequence[Part],
    groups: Mapping[str, str],
    strata: Mapping[str, str],
    options: Options,
) -> _Divided:
    """One region is the test split, or every region a fold."""
    region, names, notes = find_regions(source.items, parts, groups, strata, options)
    if options.leave_out == "each":
        if len(names) < 3:
            raise DataError(
                f"Three regions are the least to train, validate and test on; found: {', '.join(names)}."
            )
        folds = tuple(f"region_{safe_name(name)}" for name in names)
        return {name: f"region_{safe_name(there)}" for name, there in region.items()}, folds, notes
    if options.leave_out not in names:
        raise DataError(f"--leave-out {options.leave_out!r}: no such region; there are {', '.join(names)}.")
    rest = {name: group for name, group in groups.items() if region[name] != options.leave_out}
    train, valid, _ = options.shares
    chosen = split_groups(rest, {name: strata[name] for name in rest}, (train, valid, 0), options.seed)
    return {part.id: chosen.get(part.id, "test") for part in parts}, (), notes


def _check_filled(
    parts: Sequence[Part],
    splits: Mapping[str, str],
    groups: Mapping[str, str],
    options: Options,
    folds: tuple[str, ...],
) -> None:
    """Every split with a share must hold something."""
    counts = Counter(splits[part.id] for part in parts)
    wanted = (
        list(folds) if folds else [s for s, share in zip(SPLITS, options.shares, strict=True) if share > 0]
    )
    if options.splits is not None or (options.leave_out is not None and not folds):
        wanted = ["train"]
    empty = [name for name in wanted if not counts[name]]
    members = len({groups[part.id] for part in parts})
    if not parts or (empty and (members < len(wanted) or "train" in empty)):
        if not options.tile:
            cure = "Change the groups, or set its share to 0."
        elif options.blocks:
            cure = (
                "Tiles nearer than --buffer to another split are left out: enlarge --blocks, or lessen "
                "--buffer, --tile-overlap or --tile."
            )
        else:
            cure = "Tiles of one scene stay together: give --blocks to split it by area."
        raise DataError(
            f"Nothing is left for {', '.join(empty) or 'any split'}: {len(parts)} pictures in "
            f"{members} groups. {cure}"
        )
