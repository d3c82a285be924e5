"""A scene from one end to the other: plan, parts, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ...errors import RasterError
from ...raster.session import gdal_session
from ..predictor import Predictor
from .familiarity import describe_applicability_of
from .files import SceneFiles, refuse_existing
from .job import SceneJob, open_aoi, plan_scene
from .joining import PartDone, in_a_thread, joining
from .journal import Workbench, alone_at, only_products_missing, open_workbench
from .lanes import through_network
from .layers import PartWriter
from .memory import tiles_ahead
from .options import Progress, SceneOptions, SceneResult
from .source import SceneSource
from .stream import Assembler, Event, Run, read_tiles
from .threads import Behind, read_ahead

PixelsDone = Callable[[int], None]
"""Gets the pixels of the scene that are written so far."""


def predict_scene(
    predictor: Predictor,
    scene: str | Path,
    out: Path,
    options: SceneOptions | None = None,
    *,
    job: SceneJob | None = None,
    progress: Progress | None = None,
    products_follow: bool = False,
) -> SceneResult:
    """Write the class map of `scene` to `out` (a `.tif`), and beside it what `options` ask for.

    The scene goes through the network tile by tile and its results go to the disk part by part, where the
    finished parts are joined meanwhile; what has been written when the process dies is found and used by
    the next call with the same arguments. The
    classes do not depend on the parts, on the memory or on interruptions; on the batch size they depend on
    GPUs only, where rounding may decide ties.

    With `products_follow` a note stays in the work folder until `forget_work`: the same call then gives the
    results that are there. The caller then keeps others away meanwhile, by `alone_at`.

    Memory: see `plan_scene`; it grows with tile, batch and bands, not with the scene.

    Raises:
        RasterError: the scene cannot be read to its end, or a result not be written; parts stay.
        DataError, ConfigError: see `plan_scene`.
        OutputExistsError: a result, or finished parts of another job, are there and `overwrite` is not set.
        InUseError: another command is working on it.
    """
    started = time.monotonic()
    options = options or SceneOptions()
    with nullcontext(()) if products_follow else alone_at(out) as notes:
        refuse_existing(out, options)
        job = job or plan_scene(predictor, scene, options)
        bench = open_workbench(job, out)
        if not bench.joined:
            with results_of(bench, out, progress) as finished:
                compute_missing(bench, predictor, progress, finished)
        result = finish_scene(bench, out, started=started, progress=progress, products_follow=products_follow)
    return replace(result, notes=(*result.notes, *notes))


def compute_missing(
    bench: Workbench,
    predictor: Predictor,
    progress: Progress | None = None,
    finished: PartDone = lambda index: None,
) -> None:
    """Compute the parts that are not there, neighbours in one go; `finished` gets the index of every part,
    those that are there already first.
    """
    job = bench.job
    parts = job.plan.parts
    missing = bench.missing()
    total = sum(part.height * part.width for part in parts)
    done = total - sum(parts[index].height * parts[index].width for index in missing)

    for index in sorted(set(range(len(parts))) - set(missing)):
        finished(index)

    def tell(pixels: int) -> None:
        if progress is not None:
            progress(f"{Path(job.name).name}, Mpx", (done + pixels) // 1_000_000, -(-total // 1_000_000))

    for run in neighbours(job, missing):
        compute_parts(job, predictor, run, bench.folder, progress=tell, finished=finished)
        done += sum(parts[index].height * parts[index].width for index in run)


def compute_parts(
    job: SceneJob,
    predictor: Predictor,
    indices: Sequence[int],
    folder: Path,
    *,
    progress: PixelsDone | None = None,
    finished: PartDone = lambda index: None,
) -> None:
    """Compute the parts `indices` of a job, each right below the one before it, into files in `folder`.

    It depends on nothing but its arguments: any process may do it, in any order, with the same result.
    `finished` gets the index of each part when its files are whole.

    Raises:
        RasterError: the scene cannot be read there, or a part not be written.
    """
    parts = [(index, job.plan.parts[index]) for index in indices]
    run = Run.of(job.plan, [part for _, part in parts])
    writer = PartWriter(job.layers, folder, parts, finished)
    assembler = Assembler(run, job.decision.planes, writer.write)
    call = predictor.probabilities_of(job.tta, distance=job.decision.familiar is not None)

    def consume(event: Event) -> None:
        before = writer.pixels
        assembler.take(event)
        if progress is not None and writer.pixels > before:
            progress(writer.pixels)

    ahead = tiles_ahead(job.batch_size)
    through = through_network(predictor.compute.device)
    with gdal_session(job.cache), _named(job, folder):
        aoi = open_aoi(job)
        source = SceneSource(job.scene, predictor.record, collar=job.collar, threads=READ_THREADS)
        with (
            source,
            read_ahead(read_tiles(run, source, job.framing, aoi), ahead) as events,
            Behind(consume, ahead, writer.abandon) as behind,
        ):
            for event in through(events, call, job.framing, job.batch_size):
                behind.give(event)


READ_THREADS = 2
"""Blocks of a window that are decoded together."""


def finish_scene(
    bench: Workbench,
    out: Path,
    *,
    started: float | None = None,
    progress: Progress | None = None,
    products_follow: bool = False,
) -> SceneResult:
    """The results of a scene, joined from its parts where `results_of` did not do so; the parts are removed.

    Raises:
        RasterError: a result cannot be written; the parts stay.
    """
    files = SceneFiles.of(out, bench.job.options).rasters
    if not only_products_missing(out):
        with results_of(bench, out, progress) as finished:
            for index in range(len(bench.job.plan.parts)):
                finished(index)
    if products_follow:
        bench.drop_parts()
    else:
        bench.clear()
    earlier = "the rasters are those" if bench.joined else "continued from the parts"
    notes = (*bench.job.notes, *bench.notes)
    if bench.resumed:
        notes += (f"{earlier} of an earlier attempt",)
    if "applicability" in files:
        notes += (describe_applicability_of(files["applicability"]),)
    return SceneResult(
        class_map=files["classes"],
        probability=files.get("probability"),
        confidence=files.get("confidence"),
        applicability=files.get("applicability"),
        notes=notes,
        megapixels=bench.job.megapixels,
        seconds=time.monotonic() - started if started is not None else 0.0,
    )


@contextmanager
def results_of(bench: Workbench, out: Path, progress: Progress | None = None) -> Iterator[PartDone]:
    """Write the results of a bench whose parts the block makes; it hands over the index of each finished one.

    Parts are joined in a thread while others are made, so little is left to do when the last one is there.
    The results appear when the block ends well, the class map last.

    Raises:
        RasterError: a result cannot be written; the parts stay.
    """
    files = SceneFiles.of(out, bench.job.options).rasters
    with _named(bench.job, bench.folder), gdal_session(bench.job.cache), joining(bench, files) as joiner:
        with in_a_thread(joiner) as finished:
            yield finished
        joiner.finish(progress)


def neighbours(job: SceneJob, indices: Sequence[int]) -> list[list[int]]:
    """The parts in runs that lie below each other in one panel, so that rows of tiles are computed once."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][-1] == index - 1 and job.plan.parts[index].col == job.plan.parts[index - 1].col:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


@contextmanager
def _named(job: SceneJob, folder: Path) -> Iterator[None]:
    """Faults of reading and writing say that the work so far is not lost."""
    try:
        yield
    except PartsStay:
        raise
    except RasterError as error:
        raise PartsStay(
            f"{str(error).rstrip('.')}. The finished parts of {Path(job.name).name} stay in {folder}: "
            "once that is mended, the same command goes on from there."
        ) from error


class PartsStay(RasterError):
    """A fault that says where the finished parts are."""
