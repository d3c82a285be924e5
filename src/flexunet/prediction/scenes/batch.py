"""Many scenes into one folder: names that never meet, faults of one that do not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DataError, FlexunetError, Interrupted, OutputExistsError, Problem
from ...raster.reader import is_address
from ..outputs import name_outputs
from .journal import forget_work, only_products_missing
from .options import SceneOptions, SceneResult
from .products import ProductFiles, Products
from .run import refuse_existing
from .sources import Source

_GOES_ON = "the same command goes on from what is done"

PredictOne = Callable[[Source, Path], SceneResult]
"""A scene and its class map to be."""
Finish = Callable[[Source, SceneResult], Sequence[str]]
"""What else is made of a scene and its results; notes on it."""


@dataclass(frozen=True)
class ScenesReport:
    """What became of every scene."""

    results: tuple[SceneResult, ...]
    failed: tuple[Problem, ...]
    notes: tuple[str, ...]
    seconds: float


def predict_scenes(
    scenes: Sequence[Source],
    out: Path,
    options: SceneOptions,
    predict_one: PredictOne,
    finish: Finish = lambda scene, result: (),
    products: Products | None = None,
) -> ScenesReport:
    """Predict every scene to `out/NAME.tif` by `predict_one`, and hand the result to `finish`.

    A scene that cannot be used is reported and the others go on.

    Raises:
        OutputExistsError, DataError: a result is there already, or would replace a scene; nothing is begun.
        Interrupted: by the user; says how many are done.
    """
    started = time.monotonic()
    targets, notes = class_maps(scenes, out)
    for scene, target in targets.items():
        if not is_address(scene) and target.exists() and target.samefile(scene):
            raise DataError(f"{target} is one of the scenes; choose another folder for the results.")
    faults = []
    for target in targets.values():
        try:
            refuse_existing(target, options)
            if not options.overwrite and not only_products_missing(target):
                ProductFiles.of(target, products or Products()).refuse_existing()
        except OutputExistsError as error:
            faults.append(str(error))
    if faults:
        raise OutputExistsError(faults[0] + (f" And {len(faults) - 1} more." if len(faults) > 1 else ""))
    results: list[SceneResult] = []
    failed: list[Problem] = []
    for scene, target in targets.items():
        try:
            result = predict_one(scene, target)
            notes += [f"{scene}: {note}" for note in result.notes]
            notes += [f"{scene}: {note}" for note in finish(scene, result)]
            forget_work(target)
            results.append(result)
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"Interrupted: {len(results)} of {len(scenes)} scenes are done in {out}; {_GOES_ON} "
                f"of {Path(str(scene)).name}."
            ) from error
        except (FlexunetError, OSError) as error:
            problem = Problem.of_file(Path(str(scene)), error)
            if only_products_missing(target):
                problem = replace(problem, cure=f"The rasters are finished: {_GOES_ON}.")
            failed.append(problem)
    return ScenesReport(tuple(results), tuple(failed), tuple(notes), time.monotonic() - started)


def class_maps(scenes: Sequence[Source], out: Path) -> tuple[dict[Source, Path], list[str]]:
    """The class map of each scene, named by its stem, and notes on names that could not be."""
    paths = {Path(str(scene)): scene for scene in scenes}
    outputs, notes = name_outputs(list(paths), out)
    return {paths[path]: files.raster for path, files in outputs.items()}, notes
