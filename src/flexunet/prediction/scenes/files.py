"""Every file that comes of a scene, in one place; and what none of them may take the place of."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, OutputExistsError, Problem
from ...files import layer_of
from ...raster.members import files_of
from ...raster.names import file_of_address, is_address
from ..outputs import replaced_by
from .journal import only_products_missing, work_folder
from .layers import LayerName
from .options import Products, SceneOptions
from .sources import Source

_CURE = "Choose another folder for the results."


@dataclass(frozen=True)
class SceneFiles:
    """What may be written of a scene; all beside its class map NAME.tif."""

    rasters: dict[LayerName, Path]
    """NAME.tif, NAME_probability.tif, NAME_confidence.tif, NAME_applicability.tif."""
    class_names: Path
    """NAME.tif.aux.xml."""
    polygons: Path | None = None
    """NAME_polygons.*; a Shapefile has more files than this one."""
    inventory: Path | None = None
    """NAME_inventory.csv."""
    raster_style: Path | None = None
    """NAME.qml."""
    polygon_style: Path | None = None
    """NAME_polygons.qml."""
    overlay: Path | None = None
    """NAME_overlay.jpg."""
    html: Path | None = None
    """NAME.html."""
    evaluation: Path | None = None
    """The folder NAME_evaluation."""

    @classmethod
    def of(cls, class_map: Path, options: SceneOptions, products: Products | None = None) -> SceneFiles:
        """Those that `options` and `products` ask for."""
        wanted = products or Products()

        def beside(ending: str) -> Path:
            return class_map.with_name(f"{class_map.stem}{ending}")

        rasters: dict[LayerName, Path] = {"classes": class_map}
        if options.probability:
            rasters["probability"] = beside("_probability.tif")
        if options.confidence is not None:
            rasters["confidence"] = beside("_confidence.tif")
        if options.applicability:
            rasters["applicability"] = beside("_applicability.tif")
        return cls(
            rasters=rasters,
            class_names=class_map.with_name(f"{class_map.name}.aux.xml"),
            polygons=beside(f"_polygons.{wanted.polygons}") if wanted.polygons else None,
            inventory=beside("_inventory.csv") if wanted.polygons else None,
            raster_style=beside(".qml") if wanted.polygons else None,
            polygon_style=beside("_polygons.qml") if wanted.polygons else None,
            overlay=beside("_overlay.jpg") if wanted.overlay else None,
            html=beside(".html") if wanted.html else None,
            evaluation=beside("_evaluation") if wanted.truth is not None else None,
        )

    @property
    def of_rasters(self) -> tuple[Path, ...]:
        """The rasters and what belongs to them."""
        return (*self.rasters.values(), self.class_names)

    @property
    def of_products(self) -> tuple[Path, ...]:
        """The products, each with all its files, and the folder of the evaluation."""
        layer: tuple[Path, ...] = ()
        if self.polygons is not None:
            from ...vector.files import paths_of

            layer = paths_of(self.polygons)
        others = (self.inventory, self.raster_style, self.polygon_style, self.overlay, self.html)
        named = (*others, self.evaluation)
        return (*layer, *(path for path in named if path is not None))

    @property
    def all(self) -> tuple[Path, ...]:
        """Everything."""
        return self.of_rasters + self.of_products


def refuse_existing(class_map: Path, options: SceneOptions, products: Products | None = None) -> None:
    """Check that nothing is replaced unasked.

    What an interrupted attempt wrote may be: rasters that wait for the class map, products that wait for the
    others.

    Raises:
        OutputExistsError: one of the files is there.
    """
    if options.overwrite or only_products_missing(class_map):
        return
    files = SceneFiles.of(class_map, options, products)
    interrupted = work_folder(class_map).exists() and not class_map.exists()
    at_stake = files.of_products if interrupted else files.all
    there = [str(path) for path in at_stake if path.exists()]
    if there:
        raise OutputExistsError(
            f"{', '.join(there)}: already there. Allow replacing with --overwrite, or choose another folder."
        )


def refuse_losses(
    class_maps: Mapping[Source, Path],
    options: SceneOptions,
    products: Products | None = None,
    needed: Iterable[Path] = (),
) -> None:
    """Check that no result takes the place of another one, of a scene or of what is needed beside it.

    Those are the elevations, the truth and the area of interest; all files that one of these consists of; and
    what else is `needed`. Not even `overwrite` allows that.

    Raises:
        DataError: one would; everything in one report.
    """
    made: dict[str, tuple[Path, list[Source]]] = {}
    for scene, class_map in class_maps.items():
        for path in SceneFiles.of(class_map, options, products).all:
            name = unicodedata.normalize("NFC", path.name).casefold()
            made.setdefault(name, (path, []))[1].append(scene)
    problems = [
        Problem(f"would come of {' and of '.join(map(str, scenes))}", path, cure=_CURE)
        for path, scenes in made.values()
        if len(scenes) > 1
    ]
    read = [*class_maps, *_beside(options, products)]
    inputs = [*needed, *(file for source in read for file in _files(source))]
    for path, lost in replaced_by([path for path, _ in made.values()], inputs):
        what = "is needed for the results and would be replaced by one"
        if path != lost:
            what = f"a result that would take the place of {lost}, which is needed for it"
        problems.append(Problem(what, path, cure=_CURE))
    if problems:
        raise DataError("the results would take the place of other files:", problems)


def _beside(options: SceneOptions, products: Products | None) -> list[Path]:
    """The files that are read beside the scenes."""
    named = [options.aoi] if products is None else [options.aoi, products.dem, products.truth]
    return [layer_of(path)[0] for path in named if path is not None]


def _files(source: Source) -> tuple[Path, ...]:
    """Those on this machine that a scene, or what is read beside it, consists of."""
    file = file_of_address(str(source)) if is_address(source) else Path(source)
    return files_of(file) if file is not None else ()
