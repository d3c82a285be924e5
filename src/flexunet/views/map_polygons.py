"""Polygons made light enough for a browser."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..errors import DataError
from ..raster import Grid

Feature = Mapping[str, Any]
"""A GeoJSON feature (Polygon or MultiPolygon); its coordinates are those of the class map's grid."""

_CLASS_KEYS = ("class", "class_name", "label", "class_id")
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class LightPolygons:
    """What goes into the page."""

    features: list[str]
    """JSON of each: class index `c`, rings `r` in pixels, attribute values `p`; small ones last, so that
    they lie above large ones."""
    keys: list[str]
    """Names of the attributes."""
    given: int
    """How many there were."""


@dataclass
class _Keys:
    """Attribute names in the order they appear."""

    names: dict[str, None] = field(default_factory=dict)

    def values(self, properties: Mapping[str, Any]) -> list[Any]:
        for name in properties:
            self.names.setdefault(str(name))
        return [_plain(properties.get(name)) for name in self.names]


def lighten(
    features: Iterable[Feature],
    grid: Grid,
    classes: Classes,
    *,
    tolerance_px: float,
    most: int,
    most_bytes: int,
) -> LightPolygons:
    """The largest polygons in pixel coordinates, simplified by Douglas and Peucker within `tolerance_px`.

    At most `most` of them and `most_bytes` of JSON; where there are more, the smallest are left out. Parts
    and holes smaller than the tolerance squared vanish. Memory: those kept; `features` is read once.

    Raises:
        DataError: the grid lays all pixels onto a line.
    """
    keys = _Keys()
    kept: list[tuple[float, int, str]] = []
    size = given = 0
    inverse = _inverse(grid)
    for given, feature in enumerate(features, 1):
        parts, area = _parts(feature.get("geometry") or {}, inverse, tolerance_px)
        if not parts:
            continue
        if len(kept) >= most and area <= kept[0][0]:
            continue
        properties = feature.get("properties") or {}
        text = json.dumps(
            {"c": _class_of(properties, classes), "r": parts, "p": keys.values(properties)},
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        heapq.heappush(kept, (area, given, text))
        size += len(text.encode())
        while len(kept) > most or (size > most_bytes and len(kept) > 1):
            size -= len(heapq.heappop(kept)[2].encode())
    kept.sort(key=lambda item: (-item[0], item[1]))
    return LightPolygons([text for _, _, text in kept], list(keys.names), given)


def _parts(
    geometry: Mapping[str, Any], inverse: tuple[float, ...], tolerance_px: float
) -> tuple[list[list[list[float]]], float]:
    """The polygons of a geometry, each a list of flat rings x, y, x, y ... in pixels; their area in
    pixels.
    """
    kind = geometry.get("type")
    coordinates = geometry.get("coordinates") or ()
    if kind == "Polygon":
        coordinates = (coordinates,)
    elif kind != "MultiPolygon":
        return [], 0.0
    parts: list[list[list[float]]] = []
    total = 0.0
    for polygon in coordinates:
        rings = [_to_pixels(ring, inverse) for ring in polygon]
        areas = [_area(ring) for ring in rings]
        least = tolerance_px**2
        light = [
            _simplified(ring, tolerance_px) for ring, area in zip(rings, areas, strict=True) if area > least
        ]
        if light and areas[0] > least:
            parts.append(light)
        total += areas[0] - sum(areas[1:]) if areas else 0.0
    if not parts and coordinates and total > 0:
        # smaller than the picture shows: kept as it is, so that it can be found
        parts = [[_flat(_to_pixels(polygon[0], inverse))] for polygon in coordinates]
    return parts, total


def _to_pixels(ring: Sequence[Sequence[float]], inverse: tuple[float, ...]) -> NDArray[np.float64]:
    xy = np.asarray([point[:2] for point in ring], np.float64).reshape(-1, 2)
    a, b, c, d, e, f = inverse
    return np.column_stack((a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f))


def _simplified(ring: NDArray[np.float64], tolerance_px: float) -> list[float]:
    if tolerance_px > 0 and len(ring) > 5:
        # float32 is exact to 1/256 of a pixel up to 65 536 pixels
        light = cv2.approxPolyDP(ring.astype(np.float32)[:-1, None], tolerance_px, closed=True)[:, 0]
        if len(light) >= 3:
            return _flat(light)
    return _flat(ring)


def _flat(ring: NDArray[Any]) -> list[float]:
    """Rounded to tenths of a pixel, whole numbers without a point."""
    rounded = np.round(ring.astype(np.float64), 1).ravel().tolist()
    return [int(value) if value == int(value) else value for value in rounded]


def _area(ring: NDArray[np.float64]) -> float:
    """Shoelace formula; about the first corner, to keep digits."""
    x, y = (ring - ring[:1]).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _class_of(properties: Mapping[str, Any], classes: Classes) -> int | None:
    """The label that a feature's attributes name."""
    for key in _CLASS_KEYS:
        value = properties.get(key)
        if isinstance(value, str) and value in classes.names:
            return classes.names.index(value)
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < len(classes):
            return int(value)
    return None


def _plain(value: Any) -> str | int | float | bool | None:
    """A value that JSON knows."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _inverse(grid: Grid) -> tuple[float, ...]:
    """From coordinates to pixels."""
    a, b, c, d, e, f = grid.transform
    det = a * e - b * d
    if det == 0:
        raise DataError(
            f"the transform {grid.transform} lays all pixels onto a line: no polygon can be drawn"
        )
    return e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det
