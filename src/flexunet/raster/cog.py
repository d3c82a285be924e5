"""Parts of a raster joined to one Cloud-Optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
import rasterio.shutil
import rasterio.windows

from ..files import write_bytes
from .grid import Grid
from .window import Window
from .writers import Colours, creating

BLOCK = 512
"""Edge of the blocks of a COG."""

_TYPES = {"uint8": "Byte", "float32": "Float32"}


@dataclass(frozen=True)
class Layer:
    """What a raster of results holds beside its pixels."""

    bands: int
    dtype: Literal["uint8", "float32"]
    nodata: float
    descriptions: tuple[str, ...]
    scale: float | None = None
    """Value = stored number times this; None: the number itself."""
    half: bool = False
    """Floats are stored in 16 bits."""
    colours: Colours | None = None
    """Colour table of a band of classes; its overviews are the most frequent class."""
    class_names: tuple[str, ...] | None = None


def write_cog(
    path: Path,
    layer: Layer,
    parts: Sequence[tuple[Path, Window]],
    shape: tuple[int, int],
    grid: Grid,
    threads: int = 1,
) -> None:
    """Join `parts`, files that hold the windows of a raster of `shape` (height, width), to one COG.

    It has overviews, the grid (transform or ground control points, and CRS) and what `layer` says; pixels
    that no part covers are nodata. Memory: GDAL's block cache. Time: reading, compressing and writing once.

    Raises:
        RasterError: a part cannot be read, or the file not written in full.
    """
    mosaic = parts[0][0].with_name(f"{path.stem}.vrt")
    mosaic.write_bytes(_vrt(layer, parts, shape, grid))
    options: dict[str, Any] = {
        "BLOCKSIZE": BLOCK,
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES" if layer.colours is None else "NO",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": threads,
        "OVERVIEW_RESAMPLING": "MODE" if layer.colours is not None else "AVERAGE",
    }
    if layer.half:
        options["NBITS"] = 16
    with creating(path) as beside:
        rasterio.shutil.copy(mosaic, beside, driver="COG", **options)
        _check_whole(beside, shape)
        if layer.class_names is not None:
            _name_classes(path, layer.class_names)
    mosaic.unlink()


@contextmanager
def create_part(path: Path, layer: Layer, shape: tuple[int, int]) -> Iterator[Any]:
    """Write a part of a layer by rows; yields `write(pixels (C, h, W), window)`; quick compression.

    Raises:
        RasterError: the file cannot be written in full.
    """
    height, width = shape
    options: dict[str, Any] = {"compress": "deflate", "zlevel": 1, "BIGTIFF": "IF_SAFER", "SPARSE_OK": True}
    if layer.bands > 1 or layer.dtype != "uint8":
        options |= {"photometric": "minisblack", "alpha": "no", "interleave": "band"}
    if layer.half:
        options["nbits"] = 16
    with creating(path) as beside:
        with rasterio.open(
            beside, "w", driver="GTiff", count=layer.bands, height=height, width=width, dtype=layer.dtype,
            nodata=layer.nodata, blockysize=min(height, 32), **options,
        ) as target:  # fmt: skip

            def write(pixels: Any, window: Window) -> None:
                place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
                target.write(pixels, window=place)

            yield write
        _check_whole(beside, shape)


def _check_whole(path: Path, shape: tuple[int, int]) -> None:
    """GDAL reports a full disk late or never; a cut file fails when its last block is read."""
    with rasterio.open(path) as written:
        last = rasterio.windows.Window(shape[1] - 1, shape[0] - 1, 1, 1)
        written.read(written.count, window=last)
        for level in range(len(written.overviews(1))):
            with rasterio.open(path, overview_level=level) as reduced:
                corner = rasterio.windows.Window(reduced.width - 1, reduced.height - 1, 1, 1)
                reduced.read(reduced.count, window=corner)


def _vrt(layer: Layer, parts: Sequence[tuple[Path, Window]], shape: tuple[int, int], grid: Grid) -> bytes:
    """The mosaic of the parts in GDAL's virtual format."""
    height, width = shape
    root = Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    if grid.points:
        listed = SubElement(root, "GCPList", Projection=grid.crs_wkt or "")
        for number, p in enumerate(grid.points, 1):
            place = {"Id": number, "Pixel": p.col, "Line": p.row, "X": p.x, "Y": p.y, "Z": p.z}
            SubElement(listed, "GCP", {key: repr(value) for key, value in place.items()})
    elif grid.is_georeferenced:
        a, b, c, d, e, f = grid.transform
        SubElement(root, "GeoTransform").text = ", ".join(repr(float(value)) for value in (c, a, b, f, d, e))
        if grid.crs_wkt:
            SubElement(root, "SRS").text = grid.crs_wkt
    if layer.class_names is not None:
        tags = SubElement(root, "Metadata")
        for index, name in enumerate(layer.class_names):
            SubElement(tags, "MDI", key=f"CLASS_{index}").text = name
    for index in range(1, layer.bands + 1):
        band = SubElement(root, "VRTRasterBand", dataType=_TYPES[layer.dtype], band=str(index))
        SubElement(band, "Description").text = layer.descriptions[index - 1]
        SubElement(band, "NoDataValue").text = repr(layer.nodata)
        if layer.scale is not None:
            SubElement(band, "Scale").text = repr(layer.scale)
        if layer.colours is not None:
            SubElement(band, "ColorInterp").text = "Palette"
            table = SubElement(band, "ColorTable")
            for entry in _table(layer.colours):
                SubElement(table, "Entry", dict(zip(("c1", "c2", "c3", "c4"), map(str, entry), strict=True)))
        else:
            SubElement(band, "ColorInterp").text = "Gray" if layer.bands == 1 else "Undefined"
        for path, window in parts:
            source = SubElement(band, "SimpleSource")
            SubElement(source, "SourceFilename", relativeToVRT="1").text = path.name
            SubElement(source, "SourceBand").text = str(index)
            size = {"xSize": str(window.width), "ySize": str(window.height)}
            SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
            SubElement(source, "DstRect", {"xOff": str(window.col), "yOff": str(window.row), **size})
    return bytes(tostring(root, encoding="utf-8", xml_declaration=False))


def _table(colours: Colours) -> list[tuple[int, int, int, int]]:
    """256 entries: the classes opaque, all other values transparent."""
    entries = [(*colour, 255) for colour in colours]
    return entries + [(0, 0, 0, 0)] * (256 - len(entries))


def _name_classes(path: Path, names: Sequence[str]) -> None:
    """Class names as GDAL and QGIS read them: the category names in the `.aux.xml` beside."""
    root = Element("PAMDataset")
    band = SubElement(root, "PAMRasterBand", band="1")
    listed = SubElement(band, "CategoryNames")
    for name in names:
        SubElement(listed, "Category").text = name
    write_bytes(path.with_name(path.name + ".aux.xml"), tostring(root, encoding="utf-8"))


def class_layer(colours: Colours, names: tuple[str, ...], nodata: int) -> Layer:
    """The layer of a class map."""
    return Layer(1, "uint8", nodata, ("class",), colours=tuple(colours), class_names=names)


def share_layer(descriptions: tuple[str, ...], *, half: bool) -> Layer:
    """A layer of numbers from 0 to 1, a band a description: in bytes of 1/254 with 255 for nodata, or as
    16-bit floats with NaN for nodata.
    """
    if half:
        return Layer(len(descriptions), "float32", float("nan"), descriptions, half=True)
    return replace(Layer(len(descriptions), "uint8", 255, descriptions), scale=1 / 254)
