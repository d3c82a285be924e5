"""Polygons of a vector file, of any kind and CRS, brought onto the grid of a raster."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files import layer_of
from ..raster import Grid
from ..raster.ground import placed
from .libraries import pyogrio, pyproj, shapely

_EDGE_PARTS = 100
"""An edge that is brought to another CRS is bent; none is longer than the layer's extent over this."""
_NAMES_SHOWN = 12


@dataclass(frozen=True)
class LayerOnGrid:
    """The polygons of one layer that meet a raster, in its pixel coordinates (column, row)."""

    path: Path
    polygons: NDArray[np.object_]
    """shapely Polygons and MultiPolygons, valid and not empty, in the order of the file."""
    values: NDArray[Any] | None
    """The attribute of each polygon, where one was asked for."""
    notes: tuple[str, ...]
    """What was mended or left out."""


def read_layer(
    path: Path,
    grid: Grid,
    size_hw: tuple[int, int],
    *,
    layer: str | None = None,
    attribute: str | None = None,
    crs: str | None = None,
) -> LayerOnGrid:
    """The polygons of a vector file that meet the raster of `size_hw` pixels on `grid`.

    Coordinates are carried from the layer's CRS to the grid's and from there to pixels; a layer and a grid
    that both have no CRS share their coordinates. Invalid polygons are mended (`shapely.make_valid`) and
    counted in `notes`; lines and points are left out. A grid of control points counts as the affine one that
    fits them best. Costs the memory of the polygons that meet the raster.

    Args:
        path: a file, or `file.gpkg|layername=a`.
        layer: the one that is meant, where the file has several with polygons and `path` names none.
        attribute: read into `values`.
        crs: stands in for the layer's CRS where the file has none.

    Raises:
        DataError: no such file, layer or attribute; no polygons; a CRS on one side only.
    """
    grid = placed(grid)
    path, named = layer_of(path)
    info = _read_info(path, layer or named)
    if attribute is not None:
        attribute = _known(path, "attribute", attribute, [str(name) for name in info["fields"]])
    to_grid = transformer(path, info["crs"] or crs, grid)
    try:
        _, _, wkb, columns = pyogrio.raw.read(
            path,
            layer=info["layer_name"],
            columns=[attribute] if attribute else [],
            bbox=_bounds_in_layer(grid, size_hw, to_grid),
            force_2d=True,
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    geometries = shapely.from_wkb(wkb, on_invalid="fix")
    kept, polygons, notes = _mended(path, geometries)
    if to_grid is not None:
        polygons = _carried(polygons, to_grid)
    a, b, c, d, e, f = _inverse(grid.transform)

    def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack((a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f))

    polygons = shapely.transform(polygons, to_pixels)
    height, width = size_hw
    meets = shapely.intersects(polygons, shapely.box(0, 0, width, height))
    values = columns[0][kept][meets] if attribute else None
    return LayerOnGrid(path, polygons[meets], values, notes)


def layer_meets(path: Path, grid: Grid, size_hw: tuple[int, int], *, layer: str | None = None) -> bool:
    """Whether the extent of a layer meets the raster of `size_hw` pixels on `grid`; True where that cannot be
    told. For files that do not say their extent, all features are read once.

    Raises:
        DataError: see `read_layer`.
    """
    grid = placed(grid)
    path, named = layer_of(path)
    info = _read_info(path, layer or named)
    wanted = _bounds_in_layer(grid, size_hw, transformer(path, info["crs"], grid))
    extent = pyogrio.read_info(path, layer=info["layer_name"], force_total_bounds=True)["total_bounds"]
    if wanted is None or extent is None:
        return True
    left, bottom, right, top = wanted
    return bool(extent[0] <= right and left <= extent[2] and extent[1] <= top and bottom <= extent[3])


def _read_info(path: Path, layer: str | None) -> dict[str, Any]:
    """What the file says of the layer; the only polygon layer where none is named."""
    if not path.exists() and not str(path).startswith("/vsi"):
        raise DataError(f"{path}: no such vector file")
    try:
        layers = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path)]
    except pyogrio.errors.DataSourceError as error:
        raise DataError(f"{path}: cannot be read as a vector file: {str(error).split(';')[0]}") from error
    names = [name for name, _ in layers]
    if layer is not None:
        layer = _known(path, "layer", layer, names)
    else:
        areal = [
            name for name, kind in layers if "Polygon" in kind or kind in ("Unknown", "GeometryCollection")
        ]
        if not areal:
            held = ", ".join(f"{name} ({kind})" for name, kind in layers) or "no layer"
            raise DataError(f"{path}: has no layer with polygons; it has {held}")
        if len(areal) > 1:
            forms = ", ".join(f'"{path}|layername={name}"' for name in areal[:_NAMES_SHOWN])
            more = ", ..." if len(areal) > _NAMES_SHOWN else ""
            raise DataError(f"{path}: has several layers with polygons; say which one: {forms}{more}")
        layer = areal[0]
    try:
        info: dict[str, Any] = pyogrio.read_info(path, layer=layer)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path}: layer {layer} cannot be read: {error}") from error
    return info


def _known(path: Path, what: str, wanted: str, names: Sequence[str]) -> str:
    """`wanted`, if it is one of `names`.

    Raises:
        DataError: it is not; the nearest name is told.
    """
    if wanted in names:
        return wanted
    lower = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(wanted.casefold(), lower, n=1)
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
    hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
    raise DataError(f"{path}: has no {what} {wanted!r}.{hint} It has: {shown or 'none'}.")


def transformer(path: Path, layer_crs: str | None, grid: Grid) -> Any | None:
    """From the layer's CRS to the grid's; None where they are the same or both are missing."""
    if layer_crs is None and grid.crs_wkt is None:
        return None
    if layer_crs is None:
        raise DataError(
            f"{path}: does not say its coordinate reference system, and the raster has one. Save it with its "
            "CRS (for a Shapefile: the .prj file)."
        )
    if grid.crs_wkt is None:
        raise DataError(
            f"{path}: its coordinates are in {crs_name(layer_crs)}, but the raster has no coordinate "
            "reference system, so the two cannot be laid over each other. Give the raster its CRS "
            "(gdal_edit.py -a_srs), or use polygons in pixel coordinates."
        )
    try:
        source, target = pyproj.CRS.from_user_input(layer_crs), pyproj.CRS.from_wkt(grid.crs_wkt)
        if source == target:
            return None
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise DataError(f"{path}: cannot be brought to the CRS of the raster: {error}") from error


def crs_name(crs: str) -> str:
    """A CRS as people call it."""
    try:
        known = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        return crs[:40]
    code = known.to_authority()
    return ":".join(code) if code else str(known.name)


def _bounds_in_layer(
    grid: Grid, size_hw: tuple[int, int], to_grid: Any | None
) -> tuple[float, float, float, float] | None:
    """The raster's bounding box in the layer's CRS; None where it has none (a pole, another planet)."""
    height, width = size_hw
    a, b, c, d, e, f = grid.transform
    xs = [c, c + a * width, c + b * height, c + a * width + b * height]
    ys = [f, f + d * width, f + e * height, f + d * width + e * height]
    box = (min(xs), min(ys), max(xs), max(ys))
    if to_grid is None:
        return box
    try:
        left, bottom, right, top = to_grid.transform_bounds(*box, densify_pts=51, direction="INVERSE")
    except pyproj.exceptions.ProjError:
        return None
    if not np.isfinite([left, bottom, right, top]).all() or left > right:
        return None
    return left, bottom, right, top


def _mended(
    path: Path, geometries: NDArray[np.object_]
) -> tuple[NDArray[np.intp], NDArray[np.object_], tuple[str, ...]]:
    """Places and shapes of the areal geometries, all of them valid, and what happened to the others."""
    notes = []
    kinds = shapely.get_type_id(geometries)
    areal = np.isin(kinds, (3, 6, 7)) & ~shapely.is_empty(geometries)
    if len(geometries) and not areal.any():
        raise DataError(f"{path}: has no polygons among its {len(geometries)} features")
    foreign = int((~areal & (kinds >= 0)).sum())
    if foreign:
        notes.append(f"{path}: {foreign} of {len(geometries)} features are no polygons and were left out.")
    kept = np.flatnonzero(areal)
    polygons = geometries[kept]
    bad = ~shapely.is_valid(polygons) | (kinds[kept] == 7)
    if bad.any():
        reason = shapely.is_valid_reason(polygons[bad][0])
        polygons[bad] = [_areal_part(shape) for shape in shapely.make_valid(polygons[bad])]
        notes.append(f"{path}: mended {int(bad.sum())} of {len(polygons)} polygons ({reason}).")
    full = ~shapely.is_empty(polygons)
    return kept[full], polygons[full], tuple(notes)


def _areal_part(shape: Any) -> Any:
    """The polygons of a mended shape without the lines and points that mending may leave."""
    parts = shapely.get_parts(shape)
    while (shapely.get_type_id(parts) >= 6).any():
        parts = shapely.get_parts(parts)
    return shapely.union_all(parts[shapely.get_type_id(parts) == 3])


def _carried(polygons: NDArray[np.object_], to_grid: Any) -> NDArray[np.object_]:
    """The polygons in the grid's CRS, with long edges bent as the projections bend them."""
    if not len(polygons):
        return polygons
    left, bottom, right, top = shapely.total_bounds(polygons)
    step = max(right - left, top - bottom) / _EDGE_PARTS
    dense = shapely.segmentize(polygons, step) if step > 0 else polygons

    def carry(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = to_grid.transform(xy[:, 0], xy[:, 1])
        return np.column_stack((x, y))

    carried = shapely.transform(dense, carry)
    finite = np.isfinite(shapely.bounds(carried)).all(axis=1)
    broken = ~shapely.is_valid(carried) & finite
    carried[broken] = [_areal_part(shape) for shape in shapely.make_valid(carried[broken])]
    carried[~finite] = shapely.Polygon()
    result: NDArray[np.object_] = carried
    return result


def _inverse(
    transform: tuple[float, float, float, float, float, float],
) -> tuple[float, float, float, float, float, float]:
    """The way back from coordinates to pixels."""
    a, b, c, d, e, f = transform
    det = a * e - b * d
    if det == 0:
        raise DataError(f"the raster's transform {transform} squeezes all pixels onto a line")
    return e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det
