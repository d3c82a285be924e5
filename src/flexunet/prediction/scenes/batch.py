"""Many scenes into one folder: names that never meet, faults of one that do not stop the others."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import FlexunetError, Interrupted, OutputExistsError, Problem
from ...raster.names import file_of_address, is_address
from ..outputs import name_outputs
from .files import refuse_existing, refuse_losses
from .journal import alone_at, forget_work, only_products_missing, refuse_in_use
from .options import Products, SceneOptions, SceneResult
from .sources import Source

_UNSAFE = re.compile(r"[^\w.-]+")  # in names of files, on one system or another
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
    needed: Iterable[Path] = (),
) -> ScenesReport:
    """Predict every scene to `out/NAME.tif` by `predict_one`, and hand the result to `finish`.

    A scene that cannot be used is reported and the others go on.

    Raises:
        OutputExistsError, DataError, InUseError: see `check_outputs`; nothing is begun.
        Interrupted: by the user; says how many are done.
    """
    started = time.monotonic()
    check_outputs(scenes, out, options, products, needed)
    targets, notes = class_maps(scenes, out)
    results: list[SceneResult] = []
    failed: list[Problem] = []
    for scene, target in targets.items():
        try:
            with alone_at(target) as said:
                result = predict_one(scene, target)
                notes += [f"{scene}: {note}" for note in (*said, *result.notes)]
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


def check_outputs(
    scenes: Sequence[Source],
    out: Path,
    options: SceneOptions,
    products: Products | None = None,
    needed: Iterable[Path] = (),
) -> None:
    """Check what `predict_scenes` would write, before anything is begun.

    Raises:
        DataError: a result would take the place of another one, of a scene, of what is read beside them or of
            what else is `needed`.
        OutputExistsError: one is there already, and `overwrite` is not set.
        InUseError: another command is working on one of them.
    """
    targets, _ = class_maps(scenes, out)
    for target in targets.values():
        refuse_in_use(target)
    refuse_losses(targets, options, products, needed)
    faults = []
    for target in targets.values():
        try:
            refuse_existing(target, options, products)
        except OutputExistsError as error:
            faults.append(str(error))
    if faults:
        raise OutputExistsError(faults[0] + (f" And {len(faults) - 1} more." if len(faults) > 1 else ""))


def class_maps(scenes: Sequence[Source], out: Path) -> tuple[dict[Source, Path], list[str]]:
    """The class map of each scene, named by its stem, and notes on names that could not be."""
    paths: dict[Path, Source] = {}
    for scene in scenes:
        path = _as_file(scene)
        while path in paths:
            path = path.with_stem(f"{path.stem}_")
        paths[path] = scene
    outputs, notes = name_outputs(list(paths), out)
    return {paths[path]: files.raster for path, files in outputs.items()}, notes


def _as_file(scene: Source) -> Path:
    """What results are called by: the path of a scene, or `file_depth.nc` for `NETCDF:"file.nc":depth`."""
    file = file_of_address(str(scene)) if is_address(scene) else None
    if file is None:
        return Path(str(scene))
    within = str(scene).replace('"', "").replace(str(file), "").split(":", 1)[1]
    return file.with_stem(f"{file.stem}_{_UNSAFE.sub('_', within).strip('_')}")
