"""Which pictures show the same ground, how they lie on each other, and whether the split parts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from ..check import Overlap, describe, find_copies, find_overlaps
from ..check.near import Features
from ..parallel import in_parallel
from ..progress import Tell
from ..raster import Grid
from .items import Item
from .measuring import Part
from .pieces import own_pixels, picture_for_matching
from .tiling import Ground, touching_pairs

_LARGEST_MATCHED_PX = 2**24
"""Pictures above it are not searched for shared pixels."""
_FIT_PX = 0.1
"""Grids whose pixels lie on each other to this part of one fit."""
_SHOWN = 5

Pair = tuple[int, int]
"""Places of two pictures in the source, the lower one first."""


@dataclass(frozen=True)
class SharedGround:
    """What is known of pictures on the same ground."""

    by_pixels: tuple[Overlap, ...] = ()
    """Of pictures without coordinates: equal pixel for pixel."""
    by_coordinates: tuple[Pair, ...] = ()
    copies: tuple[Pair, ...] = ()
    """The same ground, changed: rescaled, turned, recoloured, cut; only those that nothing else tells."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Those that are certain, in order."""
        return tuple(sorted({*self.by_coordinates, *((pair.first, pair.second) for pair in self.by_pixels)}))


class _Pictures(Sequence[Any]):
    """Pictures that are decoded each time one is asked for, so that memory stays bounded."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> _Pictures: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return _Pictures(self._items[index])
        return picture_for_matching(self._items[index])


def find_shared_ground(
    items: Sequence[Item], parts: Sequence[Part], progress: Tell | None = None, *, copies: bool = True
) -> SharedGround:
    """Pairs by coordinates within one CRS, pixel for pixel among pictures without one, and copies among all
    (`copies`: whether they are looked for, which takes most of the time).

    Pictures of more than `_LARGEST_MATCHED_PX` are compared by coordinates only.
    """
    area: Counter[str] = Counter()
    for part in parts:
        area[part.item.id] += part.source_hw[0] * part.source_hw[1]
    places = {item.id: place for place, item in enumerate(items)}
    placed = [part for part in parts if part.grid.crs_wkt is not None]
    # Neighbouring tiles of a mosaic meet at an edge that rounding moves a little.
    shrunk = [part.ground.grown(-1e-3 * pixel_length(part)) for part in placed]
    by_coordinates = {
        (min(a, b), max(a, b))
        for i, j in touching_pairs(shrunk)
        for a, b in [(places[placed[i].item.id], places[placed[j].item.id])]
        if a != b
    }
    known = {part.item.id for part in placed}
    small = [item for item in items if area[item.id] <= _LARGEST_MATCHED_PX]
    free = [item for item in small if item.id not in known]
    by_pixels: tuple[Overlap, ...] = ()
    if len(free) > 1:
        by_pixels = tuple(
            replace(pair, first=places[free[pair.first].id], second=places[free[pair.second].id])
            for pair in find_overlaps(_Pictures(free), progress=progress).pairs
        )
    found = SharedGround(by_pixels, tuple(sorted(by_coordinates)))
    if not copies:
        return found
    features = list(in_parallel(_features, small, stage="looking for copies", progress=progress))
    changed = {
        (places[small[match.first].id], places[small[match.second].id])
        for match in find_copies(features, progress=progress)
    }
    return replace(found, copies=tuple(sorted(changed - set(found.pairs))))


def _features(item: Item) -> Features:
    return describe(own_pixels(item))


def pixel_length(part: Part) -> float:
    """The edge of a pixel in the units of its plane."""
    a, b, _, d, e, _ = part.grid.transform
    return float(np.sqrt(abs(a * e - b * d)))


# ------------------------------------------------------------------------------- pictures on each other


def fitted(
    pairs: Sequence[Pair], items: Sequence[Item], parts: Sequence[Part]
) -> tuple[tuple[Overlap, ...], tuple[Pair, ...]]:
    """Of pairs by coordinates: those whose pixels lie on each other by their grids, and the other pairs.

    The others have another pixel size or direction, are shifted by a part of a pixel, or lie by control
    points.
    """
    by_item = {part.item.id: part for part in parts}
    fit: list[Overlap] = []
    unfit: list[Pair] = []
    for first, second in pairs:
        one, other = by_item.get(items[first].id), by_item.get(items[second].id)
        if one is None or other is None:
            continue
        shift = _pixel_shift(one.grid, other.grid, other.source_hw)
        if shift is None:
            unfit.append((first, second))
            continue
        dy, dx = shift
        height = min(one.source_hw[0], other.source_hw[0] + dy) - max(dy, 0)
        width = min(one.source_hw[1], other.source_hw[1] + dx) - max(dx, 0)
        if height > 0 and width > 0:
            fit.append(Overlap(first, second, dy, dx, height, width))
    return tuple(fit), tuple(unfit)


def _pixel_shift(first: Grid, second: Grid, second_hw: tuple[int, int]) -> tuple[int, int] | None:
    """(dy, dx): pixel (y, x) of the second is pixel (y + dy, x + dx) of the first; None if none is."""
    if first.points or second.points:
        return None
    (a, b, c, d, e, f), (ka, kb, kc, kd, ke, kf) = first.transform, second.transform
    forth = np.array([[a, b, c], [d, e, f], [0, 0, 1]])
    back = np.array([[ka, kb, kc], [kd, ke, kf], [0, 0, 1]])
    height, width = second_hw
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], float)
    there = np.linalg.solve(forth, back @ corners)[:2]
    dx, dy = (round(float(value)) for value in there[:, 0])
    if np.abs(there - corners[:2] - [[dx], [dy]]).max() > _FIT_PX:
        return None
    return dy, dx


def joined_planes(
    parts: Sequence[Part], items: Sequence[Item], overlaps: Sequence[Overlap]
) -> tuple[dict[str, Ground], tuple[Pair, ...]]:
    """The ground of every part, with pictures that share pixels in one plane: that of their first one.

    Also the pairs that then lie otherwise on each other than their overlap says: their scene repeats itself.
    """
    beside: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for pair in overlaps:
        beside[pair.first].append((pair.second, pair.dy, pair.dx))
        beside[pair.second].append((pair.first, -pair.dy, -pair.dx))
    origin: dict[int, tuple[int, int, int]] = {}  # place -> first place of its plane, row and column there
    for start in sorted(beside):
        if start in origin:
            continue
        origin[start] = (start, 0, 0)
        waiting = [start]
        while waiting:
            place = waiting.pop()
            root, row, col = origin[place]
            for other, dy, dx in beside[place]:
                if other not in origin:
                    origin[other] = (root, row + dy, col + dx)
                    waiting.append(other)
    by_id = {items[place].id: (items[root].id, row, col) for place, (root, row, col) in origin.items()}
    grounds = {part.id: _moved(part.ground, by_id.get(part.item.id)) for part in parts}
    torn = tuple(
        (pair.first, pair.second)
        for pair in overlaps
        for (_, row, col), (_, other_row, other_col) in [(origin[pair.first], origin[pair.second])]
        if (other_row - row, other_col - col) != (pair.dy, pair.dx)
    )
    return grounds, torn


def _moved(ground: Ground, origin: tuple[str, int, int] | None) -> Ground:
    if origin is None:
        return ground
    plane, row, col = origin
    return Ground(plane, ground.left + col, ground.top + row, ground.right + col, ground.bottom + row)


# ------------------------------------------------------------------------------------ after the split


def parted_pictures(
    pairs: Sequence[Pair], items: Sequence[Item], parts: Sequence[Part], splits: Mapping[str, str]
) -> list[Pair]:
    """The pairs of which the split puts pictures (all their tiles count) into different splits."""
    of: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        of[part.item.id].add(splits[part.id])
    return [
        (first, second)
        for first, second in pairs
        if (one := of.get(items[first].id)) and (other := of.get(items[second].id)) and len(one | other) > 1
    ]


def describe_ground(
    shared: SharedGround,
    parted: Sequence[Pair],
    items: Sequence[Item],
    parts: Sequence[Part],
    splits: Mapping[str, str],
    *,
    by_area: bool,
) -> tuple[str, ...]:
    """What is known of shared ground and what the split made of it; `parted`: pairs that it parted.

    by_area: the split went by area, so that pictures may be cut in two.
    """
    split_of = {part.item.id: splits[part.id] for part in parts}
    notes = []
    for pairs, how, together in (
        (
            [(pair.first, pair.second) for pair in shared.by_pixels],
            "share ground pixel for pixel",
            "such pictures stay in one split.",
        ),
        (shared.by_coordinates, "overlap by their coordinates", "they stay in one split."),
        (shared.copies, "show the same ground, changed", "they stay in one split."),
    ):
        if not pairs:
            continue
        apart = sorted(set(pairs) & set(parted))
        if apart:
            ids = [(items[first].id, items[second].id) for first, second in apart]
            shown = [
                f"{one} - {other}" if by_area else f"{one} ({split_of[one]}) - {other} ({split_of[other]})"
                for one, other in ids[:_SHOWN]
            ]
            more = ", ..." if len(ids) > _SHOWN else ""
            end = f"{len(ids)} of them lie in different splits, which is a leak: {', '.join(shown)}{more}"
        elif by_area:
            end = "what lies in different splits shares none of it."
        else:
            end = together
        notes.append(f"{len(pairs)} pairs of pictures {how}; {end}")
    return tuple(notes)


def describe_unfit(pairs: Sequence[Pair], items: Sequence[Item]) -> tuple[str, ...]:
    """That masks of these pairs were not merged, if there are any."""
    if not pairs:
        return ()
    shown = ", ".join(f"{items[first].id} - {items[second].id}" for first, second in pairs[:_SHOWN])
    return (
        f"{len(pairs)} pairs overlap by their coordinates on grids whose pixels do not lie on each other; "
        f"their masks were not merged: {shown}{', ...' if len(pairs) > _SHOWN else ''}",
    )
