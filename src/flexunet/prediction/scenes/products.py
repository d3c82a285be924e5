"""What is made of a finished class map: polygons, an inventory, pictures, a map, styles."""

from __future__ import annotations

from pathlib import Path

from ...classes import Classes
from ...raster import open_raster
from ...raster.session import gdal_session
from ..unsure import NAME
from .familiarity import describe_applicability_of
from .files import SceneFiles
from .options import Products, Progress, SceneOptions, SceneResult

_CACHE_BYTES = 256 << 20
"""Of GDAL, whose own choice is a share of the machine's memory."""

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
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Make what is wanted of a scene's results, replacing what is there; gives notes on it.

    Memory: that of each product, see there; none grows with the scene's height.

    Raises:
        DataError, RasterError: a product cannot be made; what is made already stays.
        MissingExtraError: polygons without the extra `geo`.
    """
    with gdal_session(_CACHE_BYTES):
        return _make(scene, result, classes, products, progress)


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
