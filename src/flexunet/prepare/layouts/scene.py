"""Georeferenced rasters with a vector layer of the objects, optionally a layer of what was looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError, FlexunetError, Problem
from ...files import files_of_layer
from ...raster import RasterReader, open_raster
from ...vector.aoi import AreaOfInterest, LabelLayer
from ...vector.layers import read_layer
from ..items import Item, PictureFile, Source
from ..options import Options
from ..polygons import LayerMask
from .folders import files_with

_VECTORS = (".gpkg", ".geojson", ".shp", ".fgb")
_RASTERS = (".tif", ".tiff", ".img", ".vrt", ".jp2")
_LARGE = 2**24  # pixels from which a raster is read by windows


def matches(root: Path) -> bool:
    """Whether `root` is a raster, or holds rasters and a vector layer."""
    if root.is_file():
        return root.suffix.lower() in _RASTERS
    return bool(files_with(root, _VECTORS)) and bool(files_with(root, _RASTERS))


def read(root: Path, options: Options) -> Source:
    """One item a raster, with the polygons of the layer in whatever CRS as its labels; negatives without any.

    Raises:
        DataError: no layer, or several to choose from; attributes or CRS missing; a layer that meets no
            raster. Everything is named.
    """
    folder = root.parent if root.is_file() else root
    rasters = [root] if root.is_file() else files_with(root, _RASTERS)
    layer = options.vector or _only_layer(folder)
    problems: list[Problem] = []
    notes: list[str] = []
    names, usable = _class_names(layer, rasters, options, problems)
    items = []
    empty: list[str] = []
    for path in usable:
        try:
            with open_raster(path) as reader:
                mask = _mask(layer, reader, names, options, notes)
                large = reader.shape[1] * reader.shape[2] > _LARGE
        except FlexunetError as error:
            problems.append(_fault(error, path))
            continue
        if not len(mask.layer.polygons):
            empty.append(path.name)
        negative = not len(mask.layer.polygons) and mask.aoi is None  # all of it was looked at
        picture = PictureFile(path, options.nodata, windowed=large)
        items.append(Item(path.stem, picture, None if negative else mask))
    if empty and len(empty) == len(items):
        problems.append(Problem(f"no polygon meets {', '.join(empty)}; is it of another place?", layer))
    elif empty:
        notes.append(
            f"{layer.name}: no polygon meets {', '.join(empty)}: nothing there is an object, if the layer is "
            "complete"
        )
    if problems:
        raise DataError("The scenes cannot be used as they are:", problems)
    return Source("scene", folder, tuple(items), ("background", *names), tuple(dict.fromkeys(notes)))


def _only_layer(folder: Path) -> Path:
    layers = files_with(folder, _VECTORS)
    if len(layers) == 1:
        return layers[0]
    found = ", ".join(path.name for path in layers) or "none"
    raise DataError(f"{folder}: name the layer with the objects (--vector); vector files here: {found}.")


def _class_names(
    layer: Path, rasters: list[Path], options: Options, problems: list[Problem]
) -> tuple[tuple[str, ...], list[Path]]:
    """Classes without the background: those given, else the values of the attribute, sorted.

    Also the rasters on which every polygon has a class; what is wrong with the others is reported.
    """
    attribute = options.class_attribute
    if attribute is None:
        return (options.classes[0],) if options.classes else ("object",), rasters
    found: set[str] = set()
    usable = []
    for path in rasters:
        try:
            with open_raster(path) as reader:
                values = read_layer(layer, reader.grid, reader.shape[1:], attribute=attribute).values
        except FlexunetError as error:
            problems.append(_fault(error, path))
            continue
        texts = [text_of(value) for value in (values if values is not None else ())]
        without = sum(not text for text in texts)
        if without:
            told = f"{without} of {len(texts)} polygons on {path.name} have no {attribute!r}."
            problems.append(Problem(told, layer, cure="Give them one, or remove them."))
            continue
        found.update(texts)
        usable.append(path)
    if options.classes is not None:
        return options.classes, usable
    return tuple(
        sorted(found, key=lambda name: (not name.isdecimal(), len(name) if name.isdecimal() else 0, name))
    ), usable


def _fault(error: FlexunetError, raster: Path) -> Problem:
    """What is wrong with a raster or with the layer upon it, with the raster's name."""
    told = str(error)
    return Problem(told, where=None if raster.name in told else raster.name)


def text_of(value: object) -> str:
    """An attribute value as a person writes it: 2006 for 2006.0, nothing for a missing one."""
    if value is None:
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()


def _mask(
    layer: Path, reader: RasterReader, names: tuple[str, ...], options: Options, notes: list[str]
) -> LayerMask:
    """The layer on the grid of the raster, and the area of interest."""
    drawn = LabelLayer.from_file(
        layer,
        reader.grid,
        reader.shape,
        attribute=options.class_attribute,
        values={name: label for label, name in enumerate(names, start=1)}
        if options.class_attribute
        else None,
        all_touched=options.all_touched,
        ignore_boundary_px=options.ignore_buffer,
    )
    notes += drawn.notes
    aoi = None
    if options.aoi is not None:
        aoi = AreaOfInterest.from_file(options.aoi, reader.grid, reader.shape)
        notes += aoi.notes
    _note_small(drawn, reader, layer, notes)
    layers = (layer, options.aoi) if options.aoi is not None else (layer,)
    # Both may be layers of one file.
    files = dict.fromkeys(file for path in layers for file in files_of_layer(path))
    return LayerMask(tuple(files), drawn, aoi)


def _note_small(drawn: LabelLayer, reader: RasterReader, layer: Path, notes: list[str]) -> None:
    """Says how many polygons are smaller than a pixel and so may leave no trace."""
    from ...vector.libraries import shapely

    small = int((shapely.area(drawn.polygons) < 1).sum())
    if small and not drawn.all_touched:
        notes.append(
            f"{layer.name}: {small} of {len(drawn.polygons)} polygons are smaller than a pixel of "
            f"{reader.path.name} and may cover no pixel's centre; --all-touched keeps them"
        )
