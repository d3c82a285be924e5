"""What is made of a finished class map: polygons, an inventory, pictures, a map, styles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...classes import Classes
from ...errors import OutputExistsError
from ...raster import Grid, open_raster
from ...raster.session import gdal_session
from ..unsure import NAME
from .familiarity import describe_applicability_of
from .options import Progress, SceneResult

PolygonFormat = Literal["gpkg", "geojson", "parquet", "shp"]

_CACHE_BYTES = 256 << 20
"""Of GDAL, whose own choice is a share of the machine's memory."""

_MEASURED = {
    "planar": "measured on the projection's plane",
    "geodesic": "measured on the ellipsoid",
    "pixels": "measured in pixels, there is no CRS",
}
"""The methods of `write_polygons` in words."""


@dataclass(frozen=True)
class Products:
    """What is wanted beside the rasters."""

    polygons: PolygonFormat | None = None
    min_area: float = 0.0
    """Of a polygon, in square metres; pixels where the scene has no CRS."""
    simplify: float = 0.0
    """Bends that are left out of polygons, in metres; pixels where the scene has no CRS."""
    dem: Path | None = None
    """Elevations for the polygons' terrain attributes."""
    overlay: bool = False
    html: bool = False

    def check(self, grid: Grid, shape: tuple[int, int]) -> None:
        """Refuse what cannot be made for a scene of `shape` (height, width) before it is predicted.

        Raises:
            DataError, RasterError: elevations that cannot be read or laid over the scene.
            MissingExtraError: polygons without the extra `geo`.
        """
        if self.polygons is None:
            return
        from ...vector.measure import Surveyor
        from ...vector.relief import Terrain

        surveyor = Surveyor(grid, shape)
        if self.dem is not None:
            Terrain(self.dem, surveyor).close()


@dataclass(frozen=True)
class ProductFiles:
    """Where the products of a class map NAME.tif go; all beside it."""

    polygons: Path | None
    inventory: Path | None
    overlay: Path | None
    html: Path | None

    @classmethod
    def of(cls, class_map: Path, products: Products) -> ProductFiles:
        """NAME_polygons.*, NAME_inventory.csv, NAME_overlay.jpg, NAME.html."""

        def beside(ending: str, wanted: object) -> Path | None:
            return class_map.with_name(f"{class_map.stem}{ending}") if wanted else None

        return cls(
            polygons=beside(f"_polygons.{products.polygons}", products.polygons),
            inventory=beside("_inventory.csv", products.polygons),
            overlay=beside("_overlay.jpg", products.overlay),
            html=beside(".html", products.html),
        )

    def refuse_existing(self) -> None:
        """Check that nothing is replaced unasked.

        Raises:
            OutputExistsError: one of the files is there.
        """
        for path in (self.polygons, self.inventory, self.overlay, self.html):
            if path is not None and path.exists():
                raise OutputExistsError(
                    f"{path}: already there. Allow replacing with --overwrite, or choose another folder."
                )


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
    files = ProductFiles.of(result.class_map, products)
    notes: list[str] = []
    if files.polygons is not None:
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
        write_raster_style(result.class_map.with_suffix(".qml"), classes)
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
