"""From corners to polygons: outlines put in order for many objects at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .corners import EAST, LEAVES_SIDEWAYS, SOUTH, Corners, Ints


@dataclass(frozen=True)
class Outlines:
    """Polygons as arrays: the outer ring first, then the holes; all rings closed.

    `coordinates`: int32 (V, 2), column and row of pixel corners. Ring r has the vertices
    `ring_offsets[r]:ring_offsets[r + 1]`, polygon p the rings `polygon_offsets[p]:polygon_offsets[p + 1]`.
    """

    coordinates: NDArray[np.int32]
    ring_offsets: Ints
    polygon_offsets: Ints

    def __len__(self) -> int:
        return len(self.polygon_offsets) - 1

    @classmethod
    def none(cls) -> Outlines:
        """No polygon."""
        return cls(np.empty((0, 2), np.int32), np.zeros(1, np.int64), np.zeros(1, np.int64))

    def take(self, which: NDArray[np.bool_]) -> Outlines:
        """Some of the polygons."""
        rings = np.repeat(which, np.diff(self.polygon_offsets))
        vertices = np.repeat(rings, np.diff(self.ring_offsets))
        ring_lengths = np.diff(self.ring_offsets)[rings]
        ring_counts = np.diff(self.polygon_offsets)[which]
        return Outlines(
            self.coordinates[vertices],
            np.concatenate(([0], np.cumsum(ring_lengths))),
            np.concatenate(([0], np.cumsum(ring_counts))),
        )


def assemble(corners: Corners, count: int) -> Outlines:
    """The outlines of `count` objects that own the corners (numbers from 0, each with at least four).

    Corners of one object in a row of the lattice, read from the west, are the ends of its level edges two by
    two; those in one column the ends of its upright edges. Where an object meets itself at a corner, rings
    keep to the pixels that do not belong to it, as GDAL does: a hole closed by a mere corner is a ring
    of its own. Costs about 150 bytes a corner while it runs.
    """
    if count == 0:
        return Outlines.none()
    order = _order(corners.owners, corners.rows, corners.cols)
    owners, rows, cols = corners.owners[order], corners.rows[order], corners.cols[order]
    bits = _meetings_resolved(corners.bits[order], owners, rows, cols)
    partner = _upright_partners(owners, rows, cols, bits)
    # Edge k joins corners 2k and 2k + 1; the walk enters it at `tail`.
    edges = len(owners) // 2
    tail = np.arange(0, 2 * edges, 2) + (bits[1::2] & LEAVES_SIDEWAYS > 0)
    following = partner[tail ^ 1] >> 1
    leader, steps = _rank(following)
    firsts = np.flatnonzero(leader == np.arange(edges))
    length = np.bincount(leader, minlength=edges)[firsts]
    starts = np.concatenate(([0], np.cumsum(length)))
    ring = np.searchsorted(firsts, leader)
    place = starts[ring] + (length[ring] - steps) % length[ring]
    walk = np.empty(edges, np.int64)
    walk[place] = tail
    # Two vertices an edge, and the first one again at the end of each ring.
    offsets = 2 * starts + np.arange(len(starts))
    vertices = np.empty((int(offsets[-1]), 2), np.int32)
    at = 2 * np.arange(edges) + np.repeat(np.arange(len(firsts)), length)
    for shift, corner in ((0, walk), (1, walk ^ 1)):
        vertices[at + shift, 0] = cols[corner]
        vertices[at + shift, 1] = rows[corner]
    vertices[offsets[1:] - 1] = vertices[offsets[:-1]]
    # Rings are ordered by their topmost corner: the outer one of an object comes first.
    polygons = np.searchsorted(owners[2 * firsts], np.arange(count + 1))
    return Outlines(vertices, offsets, polygons)


def _order(
    owners: Ints, major: NDArray[np.int32], minor: NDArray[np.int32], last: Ints | None = None
) -> Ints:
    """The order by owner, major, minor and `last` (0 or 1)."""
    low_major, low_minor = int(major.min()), int(minor.min())
    majors, minors = int(major.max()) - low_major + 1, int(minor.max()) - low_minor + 1
    if (int(owners.max()) + 1) * majors * minors * 2 < 2**63:
        key = (owners * majors + (major - low_major)) * minors + (minor - low_minor)
        if last is not None:
            key = 2 * key + last
        return np.argsort(key, kind="stable")
    return np.lexsort((minor, major, owners) if last is None else (last, minor, major, owners))


def _meetings_resolved(
    bits: NDArray[np.uint8], owners: Ints, rows: NDArray[np.int32], cols: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Two corners of one object in one place turn around the foreign pixels, the western one first."""
    same = np.flatnonzero((owners[1:] == owners[:-1]) & (rows[1:] == rows[:-1]) & (cols[1:] == cols[:-1]))
    main = (bits[same] == LEAVES_SIDEWAYS) | (bits[same] == (EAST | SOUTH | LEAVES_SIDEWAYS))
    bits = bits.copy()
    bits[same] = np.where(main, SOUTH | LEAVES_SIDEWAYS, 0)
    bits[same + 1] = np.where(main, EAST | LEAVES_SIDEWAYS, EAST | SOUTH)
    return bits


def _upright_partners(
    owners: Ints, rows: NDArray[np.int32], cols: NDArray[np.int32], bits: NDArray[np.uint8]
) -> Ints:
    """The corner at the other end of each corner's upright edge."""
    order = _order(owners, cols, rows, (bits & SOUTH > 0).astype(np.int64))
    partner = np.empty(len(order), np.int64)
    partner[order[0::2]] = order[1::2]
    partner[order[1::2]] = order[0::2]
    return partner


def _rank(following: Ints) -> tuple[Ints, Ints]:
    """The lowest member of each cycle, and how many steps each member is before it.

    Every member looks twice as far with each round (pointer doubling): rounds grow with the logarithm of the
    longest ring.
    """
    leader = np.arange(len(following))
    ahead = following
    while True:
        lower = np.minimum(leader, leader[ahead])
        if np.array_equal(lower, leader) and np.array_equal(leader, leader[following]):
            break
        leader, ahead = lower, ahead[ahead]
    is_leader = leader == np.arange(len(following))
    ahead = np.where(is_leader, np.arange(len(following)), following)
    steps = (~is_leader).astype(np.int64)
    while True:
        further = steps[ahead]
        if not further.any():
            return leader, steps
        steps = steps + further
        ahead = ahead[ahead]
