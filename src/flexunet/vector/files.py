"""Features out to GeoPackage, GeoJSON, GeoParquet and Shapefile, as a stream, whole or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet

from ..errors import DataError, FlexunetError, RasterError
from ..files import SHAPEFILE_SIDES
from .libraries import pyarrow, pyogrio, pyproj

Format = Literal["gpkg", "geojson", "parquet", "shp"]
FORMATS: dict[str, Format] = {
    ".gpkg": "gpkg",
    ".geojson": "geojson",
    ".json": "geojson",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
    ".shp": "shp",
}
_DRIVERS = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile"}
_OPTIONS = {"geojson": {"RFC7946": "YES", "COORDINATE_PRECISION": "9"}, "shp": {"ENCODING": "UTF-8"}}
GEOMETRY = "geometry"


def format_of(path: Path) -> Format:
    """The format that a file name asks for.

    Raises:
        DataError: none that can be written.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise DataError(f"{path}: polygons are written to files that end in {', '.join(FORMATS)}")
    return found


def paths_of(path: Path) -> tuple[Path, ...]:
    """All files that a layer at `path` consists of."""
    if format_of(path) != "shp":
        return (path,)
    return (path, *(path.with_suffix(side) for side in SHAPEFILE_SIDES))


def write_layer(path: Path, schema: Any, batches: Iterable[Any], crs_wkt: str | None, layer: str) -> None:
    """Write record batches with a WKB column `geometry` to a vector file, in the memory of one batch.

    Raises:
        RasterError: the file cannot be written in full; what was there before is untouched.
    """
    kind = format_of(path)
    trouble: list[BaseException] = []
    with _beside(path) as part:
        try:
            if kind == "parquet":
                _write_parquet(part, schema, batches, crs_wkt)
            else:
                stream = pyarrow.RecordBatchReader.from_batches(schema, _watched(batches, trouble))
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "'crs' was not provided")  # pixels have none
                    pyogrio.raw.write_arrow(
                        stream,
                        part,
                        layer=layer if kind != "shp" else None,
                        driver=_DRIVERS[kind],
                        geometry_name=GEOMETRY,
                        geometry_type="Polygon",
                        crs=crs_wkt,
                        dataset_options={"VERSION": "1.3"}
                        if kind == "gpkg"
                        else None,  # QGIS of 2021 reads it
                        layer_options=_OPTIONS.get(kind) if kind != "geojson" or crs_wkt else None,
                    )
        except (FlexunetError, KeyboardInterrupt):
            raise
        except (OSError, RuntimeError, ValueError, pyarrow.ArrowException) as error:
            if trouble:
                raise trouble[0] from None
            raise RasterError(f"{path}: cannot be written: {error}") from error
        if trouble:
            raise trouble[0]


def _watched(batches: Iterable[Any], trouble: list[BaseException]) -> Iterator[Any]:
    """The batches; what goes wrong in making them is kept, as it would be lost on its way through C."""
    try:
        yield from batches
    except BaseException as error:
        trouble.append(error)
        raise


def _write_parquet(path: Path, schema: Any, batches: Iterable[Any], crs_wkt: str | None) -> None:
    """GeoParquet 1.1: WKB and a note about the CRS as PROJJSON (geoparquet.org/releases/v1.1.0)."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": pyproj.CRS.from_user_input(crs_wkt).to_json_dict() if crs_wkt else None,
    }
    told = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    schema = schema.with_metadata({"geo": json.dumps(told)})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A path in a hidden folder beside `path`; all files there take their places when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    folder.mkdir()
    try:
        yield folder / path.name
        # The main file comes last, so that it is never there without its sides.
        for made in sorted(folder.iterdir(), key=lambda item: item.name == path.name):
            made.replace(path.with_name(made.name))
    except OSError as error:
        if isinstance(error, FlexunetError):
            raise
        raise RasterError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
