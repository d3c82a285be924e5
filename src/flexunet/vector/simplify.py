"""Outlines with fewer vertices whose shared borders stay shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .corners import Ints
from .libraries import shapely
from .rings import Outlines


@dataclass(frozen=True)
class Ragged:
    """Polygons as arrays like `Outlines`, with vertices anywhere: float64 (V, 2)."""

    coordinates: NDArray[np.float64]
    ring_offsets: Ints
    polygon_offsets: Ints


def simplified(outlines: Outlines, tolerance_px: float) -> Ragged:
    """The polygons without the bends that are smaller than `tolerance_px`.

    Bends of less than about the tolerance squared in area go (Visvalingam and Whyatt 1993), the same ones on
    both sides of a border, so that no gap or overlap appears between neighbours; places where three polygons
    meet stay (GEOS CoverageSimplifier). All polygons that touch each other have to be given at once.
    """
    vertices, rings = with_junctions(outlines)
    shapes = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, vertices.astype(np.float64), (rings, outlines.polygon_offsets)
    )
    smooth = shapely.coverage_simplify(shapes, tolerance_px)
    kind, coordinates, offsets = shapely.to_ragged_array(smooth)
    assert kind == shapely.GeometryType.POLYGON
    return Ragged(coordinates, np.asarray(offsets[0], np.int64), np.asarray(offsets[1], np.int64))


def with_junctions(outlines: Outlines) -> tuple[NDArray[np.int32], Ints]:
    """Vertices and ring offsets with a vertex wherever an edge runs through a corner of another ring."""
    points = outlines.coordinates.astype(np.int64)
    last = outlines.ring_offsets[1:] - 1
    step = np.zeros_like(points)
    step[:-1] = points[1:] - points[:-1]
    step[last] = 0
    first = np.zeros(len(points), np.int64)
    count = np.zeros(len(points), np.int64)
    between: list[tuple[NDArray[np.bool_], NDArray[Any], int]] = []
    for axis in (0, 1):  # edges along the rows, then along the columns
        moving = step[:, axis] != 0
        wide = int(points[:, axis].max()) + 1
        keys = np.unique(points[:, 1 - axis] * wide + points[:, axis])
        start = points[moving, 1 - axis] * wide + points[moving, axis]
        end = start + step[moving, axis]
        low = np.searchsorted(keys, np.minimum(start, end), side="right")
        first[moving] = low
        count[moving] = np.searchsorted(keys, np.maximum(start, end), side="left") - low
        between.append((moving, keys, wide))
    place = np.arange(len(points)) + np.cumsum(count) - count
    result = np.empty((len(points) + int(count.sum()), 2), np.int32)
    result[place] = points
    for axis, (moving, keys, wide) in enumerate(between):
        edge = np.repeat(np.flatnonzero(moving), count[moving])
        many = count[moving]
        turn = np.arange(len(edge)) - np.repeat(np.cumsum(many) - many, many)
        back = step[edge, axis] < 0
        key = keys[first[edge] + np.where(back, count[edge] - 1 - turn, turn)]
        result[place[edge] + 1 + turn, 1 - axis] = key // wide
        result[place[edge] + 1 + turn, axis] = key % wide
    offsets = np.concatenate((place[outlines.ring_offsets[:-1]], [len(result)])).astype(np.int64)
    return result, offsets
