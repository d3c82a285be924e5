"""A scene over the workers of a cluster: its parts as tasks, the same files as on one machine."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from math import ceil
from pathlib import Path
from platform import node
from threading import Lock

import torch

from ...config.schema import PredictConfig
from ...errors import ClusterError, ModelFileError, RasterError
from ...files import write_bytes
from ...raster.names import is_address
from ..cluster import Crew
from ..compute import Precision
from ..predictor import Predictor
from .files import refuse_existing
from .job import SceneJob, plan_scene
from .joining import PartDone
from .journal import Workbench, alone_at, open_workbench
from .layers import LayerName, part_files
from .options import Progress, SceneOptions, SceneResult
from .plan import cut_parts
from .run import compute_parts, finish_scene, results_of

MOST_ROWS = 32
"""Rows of tiles of a part at most; a part computes one row that its neighbour computes too."""

PartFiles = dict[LayerName, bytes]


@dataclass(frozen=True)
class Recipe:
    """How a worker makes the predictor; it keeps the last one it made."""

    models: tuple[Path, ...]
    device: str
    precision: Precision
    settings: PredictConfig
    digests: tuple[str, ...]
    """SHA-256 of the models' files where the command runs."""

    @classmethod
    def of(cls, predictor: Predictor, models: Sequence[Path], device: str) -> Recipe:
        """The recipe of `predictor`, made from the files `models`.

        Its precision holds for all workers, so that no part is computed in another one.
        """
        precision: Precision = "bf16" if predictor.compute.dtype == torch.bfloat16 else "32"
        files = tuple(path.resolve() for path in models)
        return cls(files, device, precision, predictor.settings, _digests(files))


def predict_scene_on(
    crew: Crew,
    recipe: Recipe,
    predictor: Predictor,
    scene: str | Path,
    out: Path,
    options: SceneOptions | None = None,
    *,
    job: SceneJob | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda note: None,
    products_follow: bool = False,
) -> SceneResult:
    """`predict_scene` with the parts computed by the workers of `crew`, and the same result.

    The workers read the scene and the models themselves, under the same names as here; what they compute
    comes back through the scheduler and is written here alone. Parts lie in the same work folder as without a
    cluster: either way goes on where the other one was interrupted. `max_memory` is that of each worker.

    Raises:
        ClusterError: the cluster is lost, or a worker has another model under that name; parts stay.
        The rest: see `predict_scene`.
    """
    started = time.monotonic()
    options = options or SceneOptions()
    with nullcontext(()) if products_follow else alone_at(out) as notes:
        refuse_existing(out, options)
        bench = open_workbench(job or plan_scene_on(crew, predictor, scene, options), out)
        if not bench.joined:
            with results_of(bench, out, progress) as finished:
                _gather(crew, recipe, bench, progress, tell, finished)
        result = finish_scene(bench, out, started=started, progress=progress, products_follow=products_follow)
    return replace(result, notes=(*result.notes, *notes))


def plan_scene_on(crew: Crew, predictor: Predictor, scene: str | Path, options: SceneOptions) -> SceneJob:
    """The job of predicting `scene` on the workers of `crew`: whole paths, and parts enough for all.

    Raises: see `plan_scene`.
    """
    place = scene if is_address(scene) else Path(scene).resolve()
    if options.aoi is not None:
        options = replace(options, aoi=options.aoi.resolve())
    job = plan_scene(predictor, place, options)
    return job if options.part_rows is not None else share_out(job, max(1, len(crew.workers())))


def _gather(
    crew: Crew,
    recipe: Recipe,
    bench: Workbench,
    progress: Progress | None,
    tell: Callable[[str], None],
    finished: PartDone,
) -> None:
    """Have the missing parts computed, and write them as they come."""
    parts, missing = bench.job.plan.parts, bench.missing()
    total = sum(part.height * part.width for part in parts)
    done = total - sum(parts[index].height * parts[index].width for index in missing)
    names = bench.job.layers.names
    for index in sorted(set(range(len(parts))) - set(missing)):
        finished(index)
    tasks = [(bench.job, recipe, index) for index in missing]
    for number, files in crew.results(compute_part, tasks, tell):
        index = missing[number]
        for name, path in part_files(bench.folder, index, names).items():
            write_bytes(path, files[name])
        finished(index)
        done += parts[index].height * parts[index].width
        if progress is not None:
            progress(f"{Path(bench.job.name).name}, Mpx", done // 1_000_000, -(-total // 1_000_000))


def compute_part(job: SceneJob, recipe: Recipe, index: int, *, threads: int) -> PartFiles:
    """The files of part `index`, computed by a worker with `threads` CPU threads.

    Memory: that of `predict_scene`, and the compressed files.

    Raises:
        ClusterError: the models here are not those of the recipe.
        RasterError: the scene cannot be read here.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        torch.set_num_threads(threads)
        predictor = _predictor(recipe)
        try:
            compute_parts(job, predictor, [index], Path(folder))
        except RasterError as error:
            raise RasterError(str(error).partition(" The finished parts of ")[0]) from error
        files = part_files(Path(folder), index, job.layers.names)
        return {name: path.read_bytes() for name, path in files.items()}


def _scratch() -> str:
    """The worker's own folder: the cluster removes it even if the worker is killed."""
    folder: str = import_module("distributed").get_worker().local_directory
    return folder


_ONE_AT_A_TIME = Lock()
"""A worker of many threads gives them all to one part; more parts would take more memory."""


@lru_cache(maxsize=1)
def _predictor(recipe: Recipe) -> Predictor:
    if _digests(recipe.models) != recipe.digests:
        raise ClusterError(
            f"{', '.join(map(str, recipe.models))}: on a worker it is another model than where the command "
            "runs. Put the same file there, under the same name."
        )
    members = [
        Predictor.from_file(path, device=recipe.device, precision=recipe.precision, settings=recipe.settings)
        for path in recipe.models
    ]
    return Predictor.ensemble(members, [str(path) for path in recipe.models])


def _digests(files: Sequence[Path]) -> tuple[str, ...]:
    digests = []
    for file in files:
        if not file.is_file():
            raise ModelFileError(f"{file}: there is no such model file on {node()}.")
        with file.open("rb") as handle:
            digests.append(hashlib.file_digest(handle, "sha256").hexdigest())
    return tuple(digests)


def share_out(job: SceneJob, workers: int) -> SceneJob:
    """The job in parts that keep `workers` workers busy to the end with few rows computed twice."""
    plan = job.plan
    rows = len(plan.grid.rows)
    panels = len({part.col for part in plan.parts})

    def cost(part_rows: int) -> int:
        return ceil(ceil(rows / part_rows) * panels / workers) * (part_rows + 1)

    best = min(range(1, min(rows, MOST_ROWS) + 1), key=lambda count: (cost(count), -count))
    return job.with_parts(cut_parts(plan.grid, plan.shape, best, -(-len(plan.grid.cols) // panels)))
