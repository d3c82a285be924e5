"""Cutting pictures into tiles, and the ground that tiles and scenes stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..raster import Grid, Window


@dataclass(frozen=True)
class Ground:
    """The bounding box of a picture in a plane: a coordinate system, or the pixels of one scene."""

    plane: str
    left: float
    top: float
    right: float
    bottom: float

    def grown(self, margin: float) -> Ground:
        """With a margin on all sides."""
        return Ground(
            self.plane, self.left - margin, self.top - margin, self.right + margin, self.bottom + margin
        )

    def meets(self, other: Ground) -> bool:
        """Whether both share ground (edges alone do not count)."""
        return (
            self.plane == other.plane
            and self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def tile_windows(size_hw: tuple[int, int], tile_px: int, overlap_px: int) -> tuple[Window, ...]:
    """Windows of `tile_px` that cover a picture; the last of a row or column is moved inwards, not cut.

    A picture smaller than a tile is one window of its own size.
    """
    starts = [_starts(length, tile_px, overlap_px) for length in size_hw]
    height, width = (min(tile_px, length) for length in size_hw)
    return tuple(Window(row, col, height, width) for row in starts[0] for col in starts[1])


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile, tile - overlap))
    return [*starts, length - tile]


def ground_of(scene: str, grid: Grid, window: Window) -> Ground:
    """Where a window lies: in coordinates where the grid has a CRS, else in pixels of its scene."""
    if grid.crs_wkt is None:
        return Ground(scene, window.col, window.row, window.col + window.width, window.row + window.height)
    a, b, c, d, e, f = grid.transform
    cols = np.array([window.col, window.col + window.width] * 2)
    rows = np.array([window.row] * 2 + [window.row + window.height] * 2)
    xs, ys = a * cols + b * rows + c, d * cols + e * rows + f
    return Ground(grid.crs_wkt, float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))


def block_groups(grounds: Mapping[str, Ground], block: float) -> dict[str, str]:
    """The spatial block of each item, by its centre; `block` is the edge in the units of the plane."""
    planes = {plane: number for number, plane in enumerate(sorted({g.plane for g in grounds.values()}))}
    groups = {}
    for name, ground in grounds.items():
        column = int(np.floor((ground.left + ground.right) / 2 / block))
        row = int(np.floor((ground.top + ground.bottom) / 2 / block))
        groups[name] = f"block {planes[ground.plane]}/{row}/{column}"
    return groups


def too_near(
    grounds: Mapping[str, Ground], parts: Mapping[str, str], margin: float, keep_first: Sequence[str]
) -> tuple[str, ...]:
    """Items to leave out so that no two of different parts are nearer than `margin`.

    Of two such items the one whose part comes later in `keep_first` goes.
    """
    rank = {part: place for place, part in enumerate(keep_first)}
    names = sorted(grounds, key=lambda name: (rank[parts[name]], name))
    near: dict[int, list[int]] = {}
    for first, second in touching_pairs([grounds[name].grown(margin / 2) for name in names]):
        if parts[names[first]] != parts[names[second]]:
            near.setdefault(second, []).append(first)
    dropped: set[int] = set()
    for place in range(len(names)):  # those before it are decided
        if any(other not in dropped for other in near.get(place, ())):
            dropped.add(place)
    return tuple(sorted(names[place] for place in dropped))


def touching_pairs(grounds: Sequence[Ground]) -> list[tuple[int, int]]:
    """Places of the pairs that share ground, by a sweep from left to right."""
    order = sorted(range(len(grounds)), key=lambda i: (grounds[i].plane, grounds[i].left))
    pairs = []
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if grounds[j].plane != grounds[i].plane or grounds[j].left >= grounds[i].right:
                break
            if grounds[i].meets(grounds[j]):
                pairs.append((min(i, j), max(i, j)))
    return pairs
