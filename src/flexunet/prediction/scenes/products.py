"""What is made of a finished class map: polygons, an inventory, pictures, a map, styles."""

from __future__ import annotations

from pathlib import Path

from ...classes import Classes
from ...machine import give_back_memory
from ...raster import open_raster
from ...raster.session import gdal_session
from ..unsure import NAME
from .familiarity import describe_applicability_of
from .files import SceneFiles
from .memory import LEAST_CACHE
from .options import Products, Progress, SceneOptions, SceneResult

_CACHE_BYTES = 256 << 20
"""Of GDAL, whose own choice is a share of the machine's memory."""
_CACHE_SHARE = 8
"""Of the memory allowed; the larger part are the libraries and the network, which stay."""

_MEASURED = {
    "planar": "measured on the projection's plane",
    "geodesic": "measured on the ellipsoid",
    "pixels": "measured in pixels, there is no CRS",
}
"""The methods of `write_polygons` in words."""


def make_products(
    scene: str | Path,
    result: SceneResult,
    classes: Classes,
    products: Products,
    *,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Make what is wanted of a scene's results, replacing what is there; gives notes on it.

    Memory: that of each product, see there; none grows with the scene's height. GDAL's cache is kept to a
    share of `max_memory` (bytes of the process).

    Raises:
        DataError, RasterError: a product cannot be made; what is made already stays.
        MissingExtraError: polygons without the extra `geo`.
    """
    give_back_memory()
    with gdal_session(products_cache(max_memory)):
        return _make(scene, result, classes, products, progress)


def products_cache(max_memory: int | None) -> int:
    """Bytes of GDAL's block cache while products are made."""
    if max_memory is None:
        return _CACHE_BYTES
    return min(_CACHE_BYTES, max(LEAST_CACHE, max_memory // _CACHE_SHARE))


def _make(
    scene: str | Path, result: SceneResult, classes: Classes, products: Products, progress: Progress | None
) -> tuple[str, ...]:
    files = SceneFiles.of(result.class_map, SceneOptions(), products)
    notes: list[str] = []
    if files.polygons is not None and files.raster_style is not None:
        from ...vector import write_polygons, write_raster_style

        def rows(done: int, total: int) -> None:
            if progress is not None:
                progress("polygons, rows", done, total)

        summary = write_polygons(
            result.class_map,
            files.polygons,
            classes=classes,
            probability=_matching(result, classes),
            applicability=result.applicability,
            open_class=classes.names[-1] == NAME,
            dem=products.dem,
            min_area=products.min_area,
            simplify=products.simplify,
            inventory=files.inventory,
            overwrite=True,
            progress=rows,
        )
        notes += [f"{summary.polygons} polygons ({_MEASURED[summary.method]})", *summary.notes]
        write_raster_style(files.raster_style, classes)
    if files.overlay is None and files.html is None:
        return tuple(notes)
    from ...views import draw_scene_overlay, write_html_map

    if files.overlay is not None:
        title = describe_applicability_of(result.applicability) if result.applicability is not None else None
        draw_scene_overlay(scene, result.class_map, files.overlay, classes, title=title)
    if files.html is not None:
        features = None
        if files.polygons is not None:
            from ...vector.features import read_features

            with open_raster(result.class_map) as raster:
                features = read_features(files.polygons, raster.grid)
        notes += write_html_map(files.html, scene, result.class_map, classes, features)
    return tuple(notes)


def _matching(result: SceneResult, classes: Classes) -> Path | None:
    """The probabilities, where their bands are those that polygons can be given: one, or one a class."""
    if result.probability is None:
        return None
    with open_raster(result.probability) as raster:
        known = len(classes) - (classes.names[-1] == NAME)
        return result.probability if raster.shape[0] in (1, known) else None
