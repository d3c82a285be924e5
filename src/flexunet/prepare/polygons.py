"""Masks drawn from polygons in pixel coordinates: mended where they cross themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Problem
from ..raster import Grid, Window
from ..vector.aoi import AreaOfInterest, LabelLayer
from ..vector.libraries import shapely
from .items import Labels
from .options import Options

Ring = tuple[tuple[float, float], ...]
"""Points (x, y) in pixels; (0, 0) is the outer corner of the first pixel."""


@dataclass(frozen=True)
class PolygonMask:
    """Labels drawn from polygons in pixel coordinates; later ones lie on top."""

    files: tuple[Path, ...]
    polygons: tuple[Any, ...] = field(repr=False)
    """shapely geometries, valid."""
    values: tuple[int, ...] = field(repr=False)
    all_touched: bool = False
    ignore_buffer: float = 0.0

    @property
    def copyable(self) -> Path | None:
        return None

    def labels(self, size_hw: tuple[int, int], grid: Grid, window: Window | None = None) -> Labels:
        """See `MaskSource`."""
        shapes = np.empty(len(self.polygons), object)
        shapes[:] = self.polygons
        layer = LabelLayer(
            shapes,
            size_hw,
            labels_of=np.asarray(self.values, np.uint8),
            all_touched=self.all_touched,
            ignore_boundary_px=self.ignore_buffer,
        )
        return layer.labels(window or Window(0, 0, *size_hw))


@dataclass(frozen=True)
class LayerMask:
    """Labels drawn from a vector layer by window; outside the area of interest they are ignored."""

    files: tuple[Path, ...]
    layer: LabelLayer = field(repr=False)
    aoi: AreaOfInterest | None = field(default=None, repr=False)

    @property
    def copyable(self) -> Path | None:
        return None

    def labels(self, size_hw: tuple[int, int], grid: Grid, window: Window | None = None) -> Labels:
        """See `MaskSource`."""
        window = window or Window(0, 0, *size_hw)
        labels = self.layer.labels(window)
        if self.aoi is not None:
            labels[~self.aoi.mask(window)] = 255
        return labels


def polygon_mask(
    path: Path,
    shapes: Sequence[tuple[Ring | Any, int]],
    options: Options,
    problems: list[Problem],
    notes: list[str],
) -> PolygonMask:
    """The mask of rings or shapely areas with their labels. Notes say what was mended or left out."""
    polygons: list[Any] = []
    values: list[int] = []
    reasons: list[str] = []
    lost = 0
    for shape, label in shapes:
        polygon = shapely.Polygon(shape) if isinstance(shape, tuple) else shape
        if not np.isfinite(polygon.bounds).all():
            problems.append(Problem("a polygon has points that are no numbers.", path))
            continue
        if not polygon.is_valid:
            reasons.append(str(shapely.is_valid_reason(polygon)))
            polygon = _areas(shapely.make_valid(polygon))
        if polygon.is_empty or polygon.area == 0:
            lost += 1
            continue
        polygons.append(polygon)
        values.append(label)
    if reasons:
        notes.append(f"{path.name}: mended {len(reasons)} of {len(shapes)} polygons ({reasons[0]})")
    if lost:
        notes.append(f"{path.name}: left out {lost} polygons without area")
    return PolygonMask((path,), tuple(polygons), tuple(values), options.all_touched, options.ignore_buffer)


def _areas(shape: Any) -> Any:
    """The polygons of a mended shape without the lines and points that mending may leave."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= 6).any():
        parts = shapely.get_parts(parts)
    return shapely.union_all(parts[shapely.get_type_id(parts) == 3])
