"""Which georeferenced pictures cover the same ground, by their footprints."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..raster import Grid


@dataclass(frozen=True, order=True)
class Footprint:
    """Pictures `first` < `second` whose boxes overlap; `share` is of the smaller one."""

    first: int
    second: int
    share: float


def overlapping_footprints(
    grids: Sequence[Grid], sizes: Sequence[tuple[int, int]]
) -> tuple[list[Footprint], list[str]]:
    """Pairs whose boxes overlap by more than one pixel in both directions; notes.

    Boxes are compared within one CRS only. Files that all claim the very same place say nothing and are left
    out with a note.
    """
    notes: list[str] = []
    by_crs: dict[str | None, list[int]] = defaultdict(list)
    for index, grid in enumerate(grids):
        if grid.is_georeferenced:
            by_crs[grid.crs_wkt].append(index)
    if len(by_crs) > 1:
        notes.append(f"the georeferenced pictures are in {len(by_crs)} coordinate systems")
    found: list[Footprint] = []
    for members in by_crs.values():
        common, often = Counter(grids[index].transform for index in members).most_common(1)[0]
        if often > max(2, len(members) // 2):
            notes.append(
                f"{often} of {len(members)} georeferenced pictures claim the same corner: "
                "their footprints are not compared"
            )
            members = [index for index in members if grids[index].transform != common]
        found += _overlaps(members, grids, sizes)
    return sorted(found), notes


def box(grid: Grid, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) of a picture (height, width) in its CRS."""
    a, b, c, d, e, f = grid.transform
    height, width = size
    xs = [c + a * x + b * y for x in (0, width) for y in (0, height)]
    ys = [f + d * x + e * y for x in (0, width) for y in (0, height)]
    return min(xs), min(ys), max(xs), max(ys)


def _overlaps(members: list[int], grids: Sequence[Grid], sizes: Sequence[tuple[int, int]]) -> list[Footprint]:
    if len(members) < 2:
        return []
    boxes = np.array([box(grids[index], sizes[index]) for index in members])
    pixel = np.array([np.hypot(grids[i].transform[0], grids[i].transform[3]) for i in members])
    order = np.argsort(boxes[:, 0], kind="stable")
    found: list[Footprint] = []
    for place, one in enumerate(order.tolist()):
        later = order[place + 1 :]
        later = later[: int(np.searchsorted(boxes[later, 0], boxes[one, 2], "left"))]
        wide = np.minimum(boxes[later, 2], boxes[one, 2]) - np.maximum(boxes[later, 0], boxes[one, 0])
        high = np.minimum(boxes[later, 3], boxes[one, 3]) - np.maximum(boxes[later, 1], boxes[one, 1])
        margin = np.maximum(pixel[later], pixel[one])
        for other in later[(wide > margin) & (high > margin)].tolist():
            w = min(boxes[other, 2], boxes[one, 2]) - max(boxes[other, 0], boxes[one, 0])
            h = min(boxes[other, 3], boxes[one, 3]) - max(boxes[other, 1], boxes[one, 1])
            areas = [(boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1]) for i in (one, other)]
            first, second = sorted((members[one], members[other]))
            found.append(Footprint(first, second, float(w * h / min(areas))))
    return found
