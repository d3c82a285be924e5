"""Features of a vector file one after the other, in the coordinates of a raster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from ..errors import DataError
from ..raster import Grid
from .files import GEOMETRY, format_of
from .layers import transformer
from .libraries import pyarrow, pyogrio, shapely

_BATCH = 5000


def read_features(path: Path, grid: Grid, layer: str | None = None) -> Iterator[dict[str, Any]]:
    """GeoJSON features of a file that `write_polygons` can write, with coordinates of `grid`.

    Memory: some thousand features.

    Raises:
        DataError: the file cannot be read, or does not fit the grid.
    """
    with _batches(path, layer) as (crs, batches):
        # GeoJSON without a CRS of its own (pixels, another planet) counts as degrees for any reader.
        carry = None
        if crs is not None and grid.crs_wkt is not None:
            try:
                carry = transformer(path, crs, grid)
            except DataError:
                if format_of(path) != "geojson":
                    raise
        for batch in batches:
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            shapes = shapely.from_wkb(columns.pop(_geometry_name(batch)))
            if carry is not None:
                shapes = shapely.transform(
                    shapes, lambda xy: np.column_stack(carry.transform(xy[:, 0], xy[:, 1]))
                )
            yield from _features(shapes, columns)


def _features(shapes: NDArray[np.object_], columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for place, shape in enumerate(shapes):
        if shape is not None:
            properties = {name: values[place] for name, values in columns.items()}
            yield {"type": "Feature", "geometry": shape.__geo_interface__, "properties": properties}


def _geometry_name(batch: Any) -> str:
    names = batch.schema.names
    return next(name for name in (GEOMETRY, "wkb_geometry", "geom") if name in names)


@contextmanager
def _batches(path: Path, layer: str | None) -> Iterator[tuple[str | None, Iterator[Any]]]:
    """The CRS and the record batches of a file."""
    try:
        if format_of(path) == "parquet":
            with pyarrow.parquet.ParquetFile(path) as file:
                told = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"{}"))
                crs = told.get("columns", {}).get(GEOMETRY, {}).get("crs")
                yield (json.dumps(crs) if crs else None), file.iter_batches(_BATCH)
            return
        options = {"layer": layer, "batch_size": _BATCH, "use_pyarrow": True}
        with pyogrio.raw.open_arrow(path, **options) as (meta, reader):
            yield meta["crs"], iter(reader)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
