"""Dividing items into train, valid and test (or folds) by group, the same share of each kind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar, get_args

import numpy as np

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Part = TypeVar("Part", int, str)
SHARE_BINS = 4
"""Most classes of object share that a split by share keeps in balance."""
LEAST_IN_BIN = 10
"""Fewer would make every class too small to be divided."""


def split_counts(count: int, shares: Sequence[float]) -> tuple[int, ...]:
    """`count` items divided by `shares` (largest remainders), exact in sum."""
    exact = [count * share / sum(shares) for share in shares]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: count - sum(counts)]:
        counts[index] += 1
    return tuple(counts)


def split_groups(
    groups: Mapping[str, str], strata: Mapping[str, str], shares: Sequence[float], seed: int
) -> dict[str, Split]:
    """The split of every item; see `assign_groups`."""
    return {name: SPLITS[index] for name, index in assign_groups(groups, strata, shares, seed).items()}


def assign_groups(
    groups: Mapping[str, str], strata: Mapping[str, str], shares: Sequence[float], seed: int
) -> dict[str, int]:
    """The part of every item: whole groups, and for each stratum counts as near to its shares as they allow.

    groups, strata: group and stratum of each item, by id. shares: of the parts, in any unit.
    Large groups are placed first, at random among the parts that still have room for all of them (with the
    chance that their room gives), single items fill up the rest. No part with a share stays empty while
    another has two groups. The result depends on ids, groups and seed only, never on the order of the
    mappings.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item in sorted(groups):
        members[groups[item]].append(item)
    sizes = Counter(strata.values())
    room = {stratum: np.array(split_counts(sizes[stratum], shares)) for stratum in sorted(sizes)}

    generator = np.random.default_rng(seed)
    names = sorted(members)
    shuffled = [names[index] for index in generator.permutation(len(names))]
    chosen: dict[str, int] = {}
    for name in sorted(shuffled, key=lambda group: -len(members[group])):
        need = Counter(strata[item] for item in members[name])
        index = _choose(need, room, np.asarray(shares, float), generator)
        for stratum, count in need.items():
            room[stratum][index] -= count
        chosen |= dict.fromkeys(members[name], index)
    return fill_empty(chosen, groups, dict(enumerate(shares)))


def share_strata(object_shares: Mapping[str, float]) -> dict[str, str]:
    """A stratum for every item by its object share: `negatives` for 0, else one of equally filled classes."""
    full = sum(share > 0 for share in object_shares.values())
    bins = max(1, min(SHARE_BINS, full // LEAST_IN_BIN))
    ordered = sorted((share, item) for item, share in object_shares.items() if share > 0)
    strata = {item: "negatives" for item, share in object_shares.items() if share == 0}
    for place, (_, item) in enumerate(ordered):
        strata[item] = f"share {1 + place * bins // len(ordered)}"
    return strata


def fill_empty(
    chosen: Mapping[str, Part], groups: Mapping[str, str], shares: Mapping[Part, float]
) -> dict[str, Part]:
    """The part of every item, where no part with a share stays empty while another has two groups.

    An empty one gets, of the part that has most beyond its share, the group whose size is nearest to what it
    should have.
    """
    filled = dict(chosen)
    members: dict[str, list[str]] = defaultdict(list)
    for item in sorted(filled):
        members[groups[item]].append(item)
    wanted = {part: len(filled) * share / sum(shares.values()) for part, share in shares.items()}
    for empty in (part for part, share in shares.items() if share > 0):
        held: dict[Part, list[str]] = {part: [] for part in shares}
        for name in sorted(members):
            held[filled[members[name][0]]].append(name)
        givers = [part for part, names in held.items() if len(names) > 1]
        if held[empty] or not givers:
            continue
        counts = Counter(filled.values())
        giver = max(givers, key=lambda part: counts[part] - wanted[part])
        name = min(held[giver], key=lambda name: abs(len(members[name]) - wanted[empty]))
        filled |= dict.fromkeys(members[name], empty)
    return filled


def _choose(
    need: Mapping[str, int],
    room: Mapping[str, np.ndarray],
    shares: np.ndarray,
    generator: np.random.Generator,
) -> int:
    """A part with room for the whole group, drawn by its room; without one, where it overflows least."""
    left = np.min([room[stratum] - count for stratum, count in need.items()], axis=0).astype(float)
    left[shares == 0] = -np.inf
    fits = left >= 0
    if not fits.any():
        return int(left.argmax())
    weights = np.where(fits, sum(room[stratum] for stratum in need), 0).astype(float)
    return int(generator.choice(len(shares), p=weights / weights.sum()))
