"""From a class map to a layer of polygons with attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..errors import DataError, OutputExistsError
from ..files import whole_file
from ..raster import RasterReader, Window, open_raster
from ..raster.session import gdal_session
from .attributes import columns_of
from .files import GEOMETRY, format_of, paths_of, write_layer
from .inventory import Inventory, write_inventory
from .libraries import pyarrow, pyproj, shapely
from .measure import Method, Surveyor
from .polygonise import Polygons, Tracer
from .relief import Terrain
from .simplify import Ragged, simplified
from .styles import write_polygon_style

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows there are."""

_READ_PIXELS = 2**20
_MOST_OPEN_CORNERS = 10_000_000
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
        source = _Source(stack, class_map, len(classes) - open_class, probability, applicability, dem)
        surveyor = source.surveyor
        counted = Inventory(classes.names, "px" if surveyor.method == "pixels" else "m2")
        crs, carry, notes = _target_crs(kind, surveyor)
        maker = _FeatureMaker(
            source, classes, counted, min_area=min_area, simplify=simplify, carry=carry
        )  # fmt: skip
        batches = maker.batches(source.polygons((*skipped, IGNORE_INDEX), maker, progress))
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


class _Source:
    """The class map with what lies over it, strip by strip."""

    def __init__(
        self,
        stack: ExitStack,
        class_map: Path,
        classes: int,
        probability: Path | None,
        applicability: Path | None,
        dem: Path | None,
    ) -> None:
        self.reader = reader = stack.enter_context(open_raster(class_map))
        if reader.shape[0] != 1 or reader.dtype == "float32":
            raise DataError(
                f"{class_map}: has {reader.shape[0]} bands of {reader.dtype}; a class map has one band of "
                "whole numbers"
            )
        self.size_hw = reader.shape[1:]
        self.surveyor = Surveyor(reader.grid, self.size_hw)
        self.probability = self._open(stack, probability, (1, classes), class_map)
        self.applicability = self._open(stack, applicability, (1,), class_map)
        self.terrain: Terrain | None = None
        if dem is not None:
            self.terrain = Terrain(dem, self.surveyor)
            stack.callback(self.terrain.close)

    def _open(
        self, stack: ExitStack, path: Path | None, bands: tuple[int, ...], class_map: Path
    ) -> RasterReader | None:
        """A raster with one of these numbers of bands on the grid of the class map."""
        if path is None:
            return None
        reader = stack.enter_context(open_raster(path))
        found, size_hw = reader.shape[0], reader.shape[1:]
        if size_hw != self.size_hw or found not in bands:
            expected = "1" if len(bands) == 1 else f"1 or {bands[1]} (one a class)"
            raise DataError(
                f"{path}: has {found} bands of {size_hw[0]} x {size_hw[1]} pixels; expected {expected} "
                f"of {self.size_hw[0]} x {self.size_hw[1]}, like {class_map}"
            )
        return reader

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the values that are gathered for each polygon."""
        terrain = ("elevation", "slope", "east", "north") if self.terrain is not None else ()
        probability = ("probability",) if self.probability is not None else ()
        applicability = ("applicability",) if self.applicability is not None else ()
        return probability + applicability + terrain

    def polygons(
        self, skip: Sequence[int], maker: _FeatureMaker, progress: Progress | None
    ) -> Iterator[Polygons]:
        """All polygons, as they close."""
        height, width = self.size_hw
        tracer = Tracer(
            width,
            skip=skip,
            layers=self.layers,
            min_pixels=maker.min_pixels,
            together=maker.tolerance_px > 0,
            max_open_corners=_MOST_OPEN_CORNERS if maker.tolerance_px > 0 else None,
        )
        rows = max(1, _READ_PIXELS // width)
        for row in range(0, height, rows):
            window = Window(row, 0, min(rows, height - row), width)
            labels = self._labels(window)
            yield from tracer.add(labels, self._values(window, labels, skip))
            if progress is not None:
                progress(row + window.height, height)
        yield from tracer.finish()

    def _labels(self, window: Window) -> NDArray[np.uint8]:
        pixels, valid = self.reader.read_valid(window)
        labels: NDArray[Any] = pixels[0]
        if labels.dtype != np.uint8:
            low, high = int(labels.min()), int(labels.max())
            if (low < 0 or high > IGNORE_INDEX) and not valid.all():
                labels = np.where(valid, labels, IGNORE_INDEX)
                low, high = int(labels.min()), int(labels.max())
            if low < 0 or high > IGNORE_INDEX:
                raise DataError(f"{self.reader.path}: has values {low} to {high}; classes are 0 to 254")
            labels = labels.astype(np.uint8)
        if self.reader.nodata != 0 and not valid.all():
            labels = np.where(valid, labels, np.uint8(IGNORE_INDEX))
        return labels

    def _values(
        self, window: Window, labels: NDArray[np.uint8], skip: Sequence[int]
    ) -> dict[str, NDArray[np.floating]]:
        values: dict[str, NDArray[np.floating]] = {}
        if self.probability is not None:
            pixels, valid = self.probability.read_valid(window)
            if len(pixels) > 1:
                own = np.minimum(labels, len(pixels) - 1)[None].astype(np.intp)
                values["probability"] = _shares(np.take_along_axis(pixels, own, axis=0)[0], valid)
                values["probability"][labels >= len(pixels)] = np.nan
            else:
                values["probability"] = _shares(pixels[0], valid)
        if self.applicability is not None:
            pixels, valid = self.applicability.read_valid(window)
            values["applicability"] = _shares(pixels[0], valid)
        if self.terrain is not None:
            wanted = ~np.isin(np.arange(256), list(skip))[labels]
            values |= self.terrain.read(window.row, wanted)
        return values


def _shares(stored: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values of 0 to 1 from bytes of 1/254 or floats; NaN where there are none."""
    scale = np.float32(254.0 if stored.dtype == np.uint8 else 1.0)
    shares: NDArray[np.float32] = np.where(valid, stored / scale, np.float32(np.nan)).astype(np.float32)
    return shares


class _FeatureMaker:
    """Turns finished polygons into record batches."""

    def __init__(
        self,
        source: _Source,
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
