"""The scenes of `flexunet predict`: what was asked for as options, and the results as words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..classes import Classes
    from ..prediction import Predictor
    from ..prediction.scenes import Products, SceneOptions, SceneResult, ScenesReport
    from ..prediction.scenes.options import Progress


@dataclass(frozen=True)
class SceneWishes:
    """The options of the command line that are about scenes, as typed."""

    probability: tuple[str, ...] | Literal["all"]
    """Names of classes; `all`: the foreground."""
    probability_type: str | None
    confidence: str | None
    applicability: bool
    overlay: bool
    html: bool
    aoi: Path | None
    resolution: float | None
    strict: bool
    keep_black: bool
    max_memory: str | None
    dask: str | None
    polygons: str | None
    min_area: float
    simplify: float
    dem: Path | None
    truth: Path | None
    truth_attribute: str | None
    overwrite: bool

    @property
    def only_scenes(self) -> tuple[str, ...]:
        """The options named that mean nothing for pictures."""
        named = {
            "--probability-of": self.probability not in ("all", ()),
            "--probability-type": self.probability_type,
            "--confidence": self.confidence,
            "--polygons": self.polygons,
            "--dem": self.dem,
            "--html": self.html,
            "--evaluate": self.truth,
            "--aoi": self.aoi,
            "--resolution": self.resolution,
            "--keep-black": self.keep_black,
            "--dask": self.dask,
        }
        return tuple(option for option, value in named.items() if value)

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read beside the scenes."""
        return tuple(path for path in (self.dem, self.truth, self.aoi) if path is not None)

    def check(self, classes: Classes) -> None:
        """Refuse before anything is done what would be refused later.

        Raises:
            ConfigError: see `options` and `products`.
        """
        self.options(classes)
        self.products()

    def options(self, classes: Classes) -> SceneOptions:
        """As the scene route takes them.

        Raises:
            ConfigError: a class that the model does not know, or a word that means nothing.
        """
        from ..prediction.scenes import SceneOptions, parse_bytes

        if self.probability_type not in (None, "uint8", "float16"):
            raise ConfigError(f"--probability-type {self.probability_type}: uint8 or float16 are possible.")
        stored = self.probability or self.confidence or self.applicability or self.polygons
        if self.probability_type is not None and not stored:
            raise ConfigError(
                "--probability-type says how --probability, --probability-of and --confidence are stored: "
                "add one of them."
            )
        if self.confidence not in (None, "entropy", "margin"):
            raise ConfigError(f"--confidence {self.confidence}: entropy or margin are possible.")
        if self.resolution is not None and not 0 < self.resolution < math.inf:
            raise ConfigError(f"--resolution {self.resolution}: metres a pixel, more than 0.")
        return SceneOptions(
            probability=self._labels(classes),
            probability_type=self.probability_type or "uint8",  # type: ignore[arg-type]  # checked above
            confidence=self.confidence,  # type: ignore[arg-type]  # checked above
            applicability=self.applicability,
            max_memory=parse_bytes(self.max_memory) if self.max_memory is not None else None,
            resolution=(self.resolution, self.resolution) if self.resolution is not None else None,
            strict=self.strict,
            aoi=self.aoi,
            black_is_data=self.keep_black,
            overwrite=self.overwrite,
        )

    def products(self) -> Products:
        """What is made of the rasters.

        Raises:
            ConfigError: a word that means nothing.
        """
        from ..prediction.scenes import Products

        if self.polygons not in (None, "gpkg", "geojson", "parquet", "shp"):
            raise ConfigError(f"--polygons {self.polygons}: gpkg, geojson, parquet or shp are possible.")
        if self.polygons is None and (self.dem is not None or self.min_area or self.simplify):
            raise ConfigError("--dem, --min-area and --simplify are about polygons: add --polygons gpkg.")
        if self.truth is None and self.truth_attribute is not None:
            raise ConfigError("--truth-attribute is about the polygons of --evaluate: add that.")
        for option, value in (("--min-area", self.min_area), ("--simplify", self.simplify)):
            if not 0 <= value < math.inf:
                raise ConfigError(f"{option} {value}: a number of 0 or more.")
        return Products(
            polygons=self.polygons,  # type: ignore[arg-type]  # checked above
            min_area=self.min_area,
            simplify=self.simplify,
            dem=self.dem,
            overlay=self.overlay,
            html=self.html,
            truth=self.truth,
        )

    def _labels(self, classes: Classes) -> tuple[int, ...]:
        named = () if self.probability == "all" else self.probability
        unknown = [name for name in named if name not in classes.names]
        if unknown:
            raise ConfigError(
                f"--probability-of {', '.join(unknown)}: the model knows {', '.join(classes.names)}."
            )
        wanted = tuple(dict.fromkeys(classes.names.index(name) for name in named))
        if self.probability == "all":
            wanted = classes.foreground
        if self.polygons is None:
            return wanted
        # polygons say how probable they are: by the foreground alone, or a band for every class
        alone = len(classes.foreground) == 1 and set(wanted) <= set(classes.foreground)
        return classes.foreground if alone else tuple(range(len(classes)))


def predict_all_scenes(
    predictor: Predictor,
    scenes: Sequence[str | Path],
    folder: Path,
    wishes: SceneWishes,
    *,
    models: Sequence[Path],
    pictures: Sequence[Path] = (),
    device: str,
    threads: int | None,
) -> ScenesReport:
    """Predict the scenes, say what becomes of them, and give the report."""
    from ..prediction.scenes import (
        SceneFiles,
        make_products,
        only_products_missing,
        plan_scene,
        predict_scene,
        predict_scenes,
        products_cache,
    )
    from ..prediction.scenes.forecast import forecast
    from ..prediction.scenes.source import open_scene
    from .progress import show_progress

    classes = predictor.record.classes
    options, products = wishes.options(classes), wishes.products()

    def check(scene: str | Path) -> None:
        """Before the work, what would fail after it."""
        with open_scene(scene) as raster:
            grid, shape = raster.grid, raster.shape[1:]
        products.check(grid, shape)
        if wishes.truth is not None:
            from ..evaluation.scene import check_truth

            cache = products_cache(options.max_memory)
            check_truth(wishes.truth, grid, shape, classes, wishes.truth_attribute, cache_bytes=cache)

    with ExitStack() as stack:
        crew = None
        if wishes.dask is not None:
            from ..prediction.cluster import connect
            from ..prediction.scenes.on_cluster import Recipe, plan_scene_on, predict_scene_on

            crew = stack.enter_context(connect(wishes.dask, threads=threads))
            recipe = Recipe.of(predictor, models, device)
        tell = stack.enter_context(show_progress())

        def predict_one(scene: str | Path, target: Path) -> SceneResult:
            check(scene)
            if crew is not None:
                job = plan_scene_on(crew, predictor, scene, options)
            else:
                job = plan_scene(predictor, scene, options)
            if not only_products_missing(target):
                workers = crew.threads() if crew is not None else None
                expected = forecast(job, predictor, target, workers)
                typer.echo(f"{Path(str(scene)).name}: {expected}", err=True)
            if crew is not None:
                return predict_scene_on(
                    crew,
                    recipe,
                    predictor,
                    scene,
                    target,
                    options,
                    job=job,
                    progress=tell,
                    tell=_note,
                    products_follow=True,
                )
            return predict_scene(
                predictor, scene, target, options, job=job, progress=tell, products_follow=True
            )

        def finish(scene: str | Path, result: SceneResult) -> list[str]:
            notes = list(
                make_products(
                    scene,
                    result,
                    predictor.classes,
                    products,
                    max_memory=options.max_memory,
                    progress=tell,
                )
            )
            evaluation = SceneFiles.of(result.class_map, options, products).evaluation
            if wishes.truth is not None and evaluation is not None:
                open_label = len(classes) if predictor.unsure is not None else None
                notes += _evaluate(
                    scene,
                    result,
                    classes,
                    evaluation,
                    wishes.truth,
                    wishes.truth_attribute,
                    open_label,
                    products_cache(options.max_memory),
                    tell,
                )
            return notes

        report = predict_scenes(scenes, folder, options, predict_one, finish, products, [*models, *pictures])
    for note in report.notes:
        _note(note)
    for problem in report.failed:
        typer.echo(f"Not predicted: {problem}", err=True)
    if report.results:
        megapixels = sum(result.megapixels for result in report.results)
        seconds = sum(result.seconds for result in report.results)
        count = len(report.results)
        typer.echo(
            f"{count} scene{'s' * (count != 1)}, {megapixels:.1f} Mpx in {seconds:.1f} s "
            f"({megapixels / max(seconds, 1e-9):.2f} Mpx/s)"
        )
    return report


def _note(note: str) -> None:
    typer.echo(f"Note: {note}", err=True)


def _evaluate(
    scene: str | Path,
    result: SceneResult,
    classes: Classes,
    folder: Path,
    truth: Path,
    attribute: str | None,
    open_label: int | None,
    cache_bytes: int,
    progress: Progress,
) -> list[str]:
    """The scores of a scene, in its `folder` and in words."""
    from ..evaluation.scene import evaluate_scene, scene_table

    found = evaluate_scene(
        result.class_map,
        truth,
        classes,
        folder,
        scene=scene,
        attribute=attribute,
        open_label=open_label,
        overwrite=True,
        cache_bytes=cache_bytes,
        progress=progress,
    )
    typer.echo(scene_table(found.scores))
    return list(found.notes)
