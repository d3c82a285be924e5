"""From a class map to a layer of polygons with attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..classes import IGNORE_INDEX, Classes
from ..errors import OutputExistsError
from ..files import whole_file
from ..raster.session import gdal_session
from .feature_batches import FeatureBatches
from .files import GEOMETRY, format_of, paths_of, write_layer
from .inventory import Inventory, write_inventory
from .libraries import pyproj
from .map_strips import MapStrips, Progress
from .measure import Method, Surveyor
from .styles import write_polygon_style

_CACHE_BYTES = 128 * 2**20
_LONLAT = "EPSG:4326"


@dataclass(frozen=True)
class PolygonSummary:
    """What came of `write_polygons`."""

    path: Path
    polygons: int
    """Written; those below the minimum area are not counted."""
    method: Method
    """How areas and lengths were measured: `planar`, `geodesic`, or in `pixels` where there is no CRS."""
    classes: tuple[dict[str, Any], ...]
    """The inventory: a row a class, see `Inventory.rows`."""
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    """Everything that was written."""


def write_polygons(
    class_map: Path,
    out: Path,
    *,
    classes: Classes,
    probability: Path | None = None,
    applicability: Path | None = None,
    dem: Path | None = None,
    min_area: float = 0.0,
    simplify: float = 0.0,
    skip: Sequence[int] | None = None,
    open_class: bool = False,
    layer: str = "polygons",
    inventory: Path | None = None,
    table: Path | None = None,
    style: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PolygonSummary:
    """Write the polygons of a class map to a vector file, in one pass from the top, whole or not at all.

    Memory: strips of a million pixels and the polygons that are not complete, see `polygonise`; with
    `simplify` also all that touch those.

    Args:
        class_map: uint8 labels, one band. Its nodata value (but 0) and `IGNORE_INDEX` are no polygons.
        out: `.gpkg`, `.geojson`, `.parquet` or `.shp`. GeoJSON is in longitude and latitude (RFC 7946), all
            others in the CRS of the class map; pixels (column, row) where it has none.
        probability: one band, or one band a class, on the grid of the class map; bytes are 1/254.
        applicability: one band on the grid of the class map; bytes are 1/254.
        dem: elevations in metres, on any grid with a CRS.
        min_area: smaller polygons are left out, before simplification: m², or pixels without a CRS.
        simplify: bends that are smaller go, in metres, or pixels without a CRS; shared borders stay shared.
        skip: labels that become no polygons, instead of the background of `classes`.
        open_class: the last class is what was left open and has no probability of its own.
        inventory: a CSV with a row a class. table: a CSV with a row a polygon.
        style: write a QGIS style beside the layer, as `<out's stem>.qml`.

    Raises:
        DataError: the rasters do not fit each other or are not what they should be.
        RasterError: a file cannot be read, or not be written in full.
        OutputExistsError: a file is there and `overwrite` is not given.
    """
    kind = format_of(out)
    qml = out.with_suffix(".qml") if style else None
    files = (*paths_of(out), *(path for path in (qml, inventory, table) if path is not None))
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(f"{there[0]}: already there. Allow replacing with --overwrite.")
    background = () if classes.background is None else (classes.background,)
    skipped = tuple(skip) if skip is not None else background
    with ExitStack() as stack:
        stack.enter_context(gdal_session(_CACHE_BYTES))
        source = MapStrips(stack, class_map, len(classes) - open_class, probability, applicability, dem)
        surveyor = source.surveyor
        counted = Inventory(classes.names, "px" if surveyor.method == "pixels" else "m2")
        crs, carry, notes = _target_crs(kind, surveyor)
        maker = FeatureBatches(
            source, classes, counted, min_area=min_area, simplify=simplify, carry=carry
        )  # fmt: skip
        polygons = source.polygons(
            (*skipped, IGNORE_INDEX), min_pixels=maker.min_pixels, together=maker.tolerance_px > 0,
            progress=progress,
        )  # fmt: skip
        batches = maker.batches(polygons)
        if table is not None:
            beside = stack.enter_context(whole_file(table))
            batches = _also_to_csv(batches, beside, maker.schema)
        write_layer(out, maker.schema, batches, crs, layer)
    if maker.without_terrain:
        some = "none" if maker.without_terrain == maker.count else f"{maker.count - maker.without_terrain}"
        notes += (f"{dem} has elevations for {some} of the {maker.count} polygons.",)
    foreground = tuple(label for label in range(len(classes)) if label not in skipped)
    rows = counted.rows(foreground)
    if qml is not None:
        write_polygon_style(qml, classes)
    if inventory is not None:
        write_inventory(inventory, rows)
    written = tuple(path for path in files if path.exists())
    return PolygonSummary(
        out, maker.count, surveyor.method, tuple(rows), (*surveyor.notes, *notes), written
    )  # fmt: skip


def _target_crs(kind: str, surveyor: Surveyor) -> tuple[str | None, Any | None, tuple[str, ...]]:
    """The CRS to write, the way there, and what to say about it."""
    wkt = surveyor.grid.crs_wkt
    if kind != "geojson" or wkt is None:
        return wkt, None, ()
    try:
        if surveyor.crs == pyproj.CRS.from_user_input(_LONLAT):
            return _LONLAT, None, ()
        return _LONLAT, pyproj.Transformer.from_crs(surveyor.crs, _LONLAT, always_xy=True), ()
    except pyproj.exceptions.ProjError:
        note = (
            f"GeoJSON knows no {surveyor.crs.name}: its coordinates are those of the raster, without saying "
            "so. A GeoPackage keeps the coordinate reference system."
        )
        return None, None, (note,)


def _also_to_csv(batches: Iterator[Any], path: Path, schema: Any) -> Iterator[Any]:
    """The batches, whose attributes are written to a table on their way."""
    import pyarrow.csv

    fields = pyarrow.schema([field for field in schema if field.name != GEOMETRY])
    with pyarrow.csv.CSVWriter(path, fields) as writer:
        for batch in batches:
            writer.write_batch(batch.drop_columns([GEOMETRY]))
            yield batch
