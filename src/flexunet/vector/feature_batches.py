"""Record batches of features, geometry and attributes, from traced polygons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from .attributes import columns_of
from .files import GEOMETRY
from .inventory import Inventory
from .libraries import pyarrow, shapely
from .map_strips import MapStrips
from .polygonise import Polygons
from .simplify import Ragged, simplified


class FeatureBatches:
    """Turns finished polygons into record batches."""

    def __init__(
        self,
        source: MapStrips,
        classes: Classes,
        counted: Inventory,
        *,
        min_area: float,
        simplify: float,
        carry: Any | None,
    ) -> None:
        self._source, self._classes, self._counted, self._carry = source, classes, counted, carry
        self._surveyor = source.surveyor
        self._min_area = min_area
        self.tolerance_px = simplify / self._surveyor.typical_pixel
        self.min_pixels = 1
        pixel = self._surveyor.pixel_area
        if pixel is not None:
            # A tolerance for rounding: 100 pixels of 0.01 m² are 1 m².
            self.min_pixels = max(1, int(np.ceil(min_area / pixel * (1 - 1e-12))))
        self.count = 0
        self.without_terrain = 0
        """Polygons in which no elevation is known."""
        self.schema = self._batch(Polygons.none(source.layers)).schema

    def batches(self, polygons: Iterator[Polygons]) -> Iterator[Any]:
        """Record batches with the geometry as WKB and the attributes."""
        for some in polygons:
            batch = self._batch(some)
            if batch.num_rows:
                yield batch

    def _batch(self, polygons: Polygons) -> Any:
        if self._surveyor.pixel_area is None and self._min_area > 0 and len(polygons):
            polygons = self._large(polygons)
        outlines = polygons.outlines
        shape = Ragged(outlines.coordinates, outlines.ring_offsets, outlines.polygon_offsets)  # type: ignore[arg-type]
        if self.tolerance_px > 0 and len(polygons):
            shape = simplified(outlines, self.tolerance_px)
        measured = self._surveyor.measure(shape.coordinates, shape.ring_offsets, shape.polygon_offsets)
        columns = columns_of(
            polygons.objects,
            measured,
            self._surveyor,
            self._classes.names,
            first_id=self.count + 1,
            probability=self._source.probability is not None,
            terrain=self._source.terrain is not None,
            applicability=self._source.applicability is not None,
        )
        self._counted.add(polygons.labels, measured.area)
        self.count += len(polygons)
        if self._source.terrain is not None:
            self.without_terrain += int(np.isnan(columns["elev_min_m"]).sum())
        wkb = self._wkb(shape) if len(polygons) else np.empty(0, object)
        arrays = {name: _arrow(values) for name, values in columns.items()}
        return pyarrow.RecordBatch.from_pydict(arrays | {GEOMETRY: pyarrow.array(wkb, pyarrow.binary())})

    def _large(self, polygons: Polygons) -> Polygons:
        """Those of the minimum area, where pixels differ in area."""
        outlines = polygons.outlines
        area = self._surveyor.measure(
            outlines.coordinates, outlines.ring_offsets, outlines.polygon_offsets
        ).area
        return polygons.take(area >= self._min_area)

    def _wkb(self, shape: Ragged) -> NDArray[np.object_]:
        world = self._surveyor.to_world(shape.coordinates)
        if self._carry is not None:
            world = np.column_stack(self._carry.transform(world[:, 0], world[:, 1]))
        geometries = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, world, (shape.ring_offsets, shape.polygon_offsets)
        )
        wkb: NDArray[np.object_] = shapely.to_wkb(geometries)
        return wkb


def _arrow(values: NDArray[Any]) -> Any:
    """An array whose NaNs are missing values."""
    if values.dtype.kind == "O":
        return pyarrow.array(values, pyarrow.string())
    return pyarrow.array(values, from_pandas=True)
