"""A run from its config to its model file: what is checked, opened, probed, trained and left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import nn

from ..config import Config
from ..errors import ConfigError, DataError, FlexunetError
from ..evaluation.applicability import describe_applicability
from ..evaluation.fitting import calibrate_model, describe_calibration
from ..modelfile import read_record
from .folder import RunFolder, check_folder
from .hardware import Hardware, build_fabric, choose_hardware, gradients_are_final, set_threads
from .interrupts import StopRequest
from .launch import first_process, launch
from .loop import Run, fit
from .material import Material, open_material
from .optim import MovingAverage, OptimizerStep, build_optimizer
from .origins import refuse_own, with_origins
from .outputs import Outputs
from .pictures import readable_images
from .probe import measure
from .record import identity_of, record_of
from .reporter import Reporter
from .resume import continued, refuse_another_run
from .runlog import not_measured
from .start import first_network, start_in_words
from .state import Progress, Row, SavedState, load_state, save_state
from .teacher import Objective, objective, open_teacher

Watch = Callable[[Sequence[Row]], str | None]
"""Sees the rows of the log after each epoch and says why the run ends with it, or None."""


@dataclass(frozen=True)
class RunResult:
    """What a run leaves: its folder, the best model, the scores of the best epoch, and the log."""

    dir: Path
    model: Path
    scores: Row
    rows: tuple[Row, ...]
    stop_asked: bool = False
    """Ctrl-C or SIGTERM came when there was nothing left to stop."""


@dataclass(frozen=True)
class Job:
    """A run as it is handed to each process."""

    config: Config
    hardware: Hardware
    folder: RunFolder
    source: Path | None
    """The config file the user wrote."""
    resume: bool
    show: bool
    watch: Watch | None
    curves: bool


def train(
    config: Config,
    *,
    resume: bool = False,
    overwrite: bool = False,
    source: Path | None = None,
    show: bool = False,
    watch: Watch | None = None,
    curves: bool = True,
) -> RunResult:
    """Train as `config` says and leave a run folder with the model file.

    resume: go on with the run in `config.output.dir`, from its last saved state; one that never got that far
    starts. overwrite: replace the run in `config.output.dir`; files that no run wrote stay. source: the
    config file, copied beside the model in the reference layout. show: a progress bar on a terminal's stderr,
    one line a minute elsewhere; otherwise log records of "flexunet". watch: given the log after each epoch,
    in the first process; its answer ends the run, None lets it go on. curves: draw the log.

    Raises:
        ConfigError: the hardware or the saved run does not fit the config.
        DataError: images or masks that cannot be used.
        OutputExistsError: the run folder is in use.
        TrainingError: a loss that is not finite, a full disk, a lost process.
        Interrupted: Ctrl-C or SIGTERM; everything is saved.
    """
    refuse_both(resume=resume, overwrite=overwrite)
    folder = RunFolder.of(config.output)
    hardware = choose_hardware(config.train.accelerator, config.train.precision)
    config = with_origins(config)
    refuse_own(config, folder.outputs(None))
    check_folder(folder, folder.config_copy(source), resume=resume, overwrite=overwrite)
    if resume and folder.config.exists():
        config = continued(config, folder)
    job = Job(config, hardware, folder, source, resume, show, watch, curves)
    return launch(build_fabric(config.train, hardware), run_process, job)


def refuse_both(*, resume: bool, overwrite: bool) -> None:
    """Refuse what cannot be meant together.

    Raises:
        ConfigError: the run is to be gone on with and to be replaced.
    """
    if resume and overwrite:
        raise ConfigError(
            "--resume goes on with the run that is there and --overwrite replaces it: give one of them."
        )


def run_process(fabric: Fabric, job: Job) -> RunResult:
    """The run as each of its processes sees it."""
    config, folder = job.config, job.folder
    reporter = Reporter(show=job.show, speaks=fabric.is_global_zero)
    threads = set_threads(config.train, fabric.world_size // config.train.num_nodes, job.hardware.accelerator)
    reporter.line(f"Computing on {fabric.world_size} x {job.hardware}, {threads} CPU threads.")
    unknown = not_measured(config.output.metrics, config.data.class_table()) if folder.reference else []
    if unknown:
        reporter.warn(f"train_metrics.csv: {', '.join(unknown)} is not measured and stands as 0.")

    # What is learned from, and what is minimised
    material = open_material(config, fabric, reporter)
    if said := start_in_words(config, material.bands):
        reporter.line(said)
    teacher = open_teacher(config, material.bands)
    minimised = objective(config.train, material.weights, teacher and teacher.to(fabric.device))

    # A new run is tried for a moment; a time budget becomes a number of epochs
    identity = identity_of(config, material, job.hardware, fabric.world_size)
    saved = load_state(folder.state) if job.resume else None
    if saved is None:
        config = probed(config, fabric, material, minimised, reporter)
    else:
        refuse_another_run(saved, identity, config)

    # The files of the run, and its parts
    asked_minutes = job.config.train.budget_minutes
    record = record_of(config, material, job.hardware, fabric.world_size, asked_minutes)
    pictured = readable_images(material.pictured, record, reporter) if fabric.is_global_zero else []
    outputs = Outputs(folder, config, job.source, record, pictured, reporter, curves=job.curves)
    first_process(fabric, partial(outputs.prepare, material.notes, fresh=saved is None))
    run = assemble(job, config, fabric, material, minimised, saved, identity, outputs, reporter)
    del saved  # as large as the weights several times over

    # Train
    finish = partial(outputs.finish, run.progress.rows)
    with run.stop, reporter.started(run.batches_in_all, run.batches_done):
        try:
            fit(run)
        except FlexunetError:
            if fabric.is_global_zero:  # alone: with a fault of one process the others are waited for in vain
                finish()
            raise
        first_process(fabric, finish)
    if material.validation is not None and wants_calibration(config):
        first_process(fabric, partial(calibrate_result, folder.model, config, fabric.device, reporter))
    rows = tuple(run.progress.rows)
    return RunResult(folder.dir, folder.model, _best_row(run.progress), rows, run.stop.asked)


def probed(
    config: Config, fabric: Fabric, material: Material, minimised: Objective, reporter: Reporter
) -> Config:
    """Tell what the run will take; the config with the number of epochs that fit into its time budget."""
    estimate = measure(
        partial(first_network, config, material.bands, fabric.device),
        material.batches,
        material.validation,
        config.train,
        minimised,
        fabric,
        predicted_images=len(material.pictured),
    )
    if config.train.budget_minutes is not None:
        epochs = int(fabric.broadcast(estimate.epochs_within(config.train.budget_minutes)))
        chosen = config.train.model_copy(update={"epochs": epochs, "budget_minutes": None})
        config = config.model_copy(update={"train": chosen})
    reporter.line(estimate.describe(config.train.epochs))
    return config


def assemble(
    job: Job,
    config: Config,
    fabric: Fabric,
    material: Material,
    minimised: Objective,
    saved: SavedState | None,
    identity: dict[str, str],
    outputs: Outputs,
    reporter: Reporter,
) -> Run:
    """Everything the loop needs, at the saved state or at the beginning.

    Raises:
        TrainingError: the saved state is of another network.
    """
    folder = job.folder
    network = first_network(config, material.bands, fabric.device)
    optimizer = build_optimizer(network, config.train)
    average = MovingAverage(network, config.train.ema) if config.train.ema else None
    averaged = average.network if average else None
    progress = Progress()
    if saved is not None:
        saved.restore(network, optimizer, averaged)
        progress = saved.progress
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    module = cast(nn.Module, torch.compile(network)) if config.train.compile else network
    wrapped, wrapped_optimizer = fabric.setup(module, optimizer)
    if progress.scaler:
        fabric.strategy.precision.load_state_dict(dict(progress.scaler))

    def save() -> None:
        progress.scaler = dict(fabric.strategy.precision.state_dict())
        save_state(folder.state, progress, network, optimizer, averaged, identity)

    def enough() -> str | None:
        if folder.take_stop_file():
            return "the stop file asks for it"
        return None if job.watch is None else job.watch(progress.rows)

    return Run(
        train=config.train,
        classes=config.data.class_table(),
        fabric=fabric,
        raw=network,
        network=wrapped,
        optimizer=wrapped_optimizer,
        optimizer_step=OptimizerStep(
            wrapped_optimizer, config.train, gradients_final=gradients_are_final(fabric)
        ),
        average=average,
        batches=material.batches,
        validation=material.validation,
        weights=material.weights,
        objective=minimised,
        progress=progress,
        save_models=lambda run, best: outputs.models(progress, run.result, best=best),
        save_state=save,
        show_epoch=lambda run: outputs.show(progress, run.result),
        enough=enough,
        reporter=reporter,
        stop=StopRequest(),
        how_to_resume=f"flexunet train {folder.config} --resume",
    )


def wants_calibration(config: Config) -> bool:
    """Whether temperature and threshold are fitted at the end; a model of a reference config is left as it
    is unless asked for.
    """
    if config.train.calibrate is not None:
        return config.train.calibrate
    return config.output.layout == "native"


def calibrate_result(model: Path, config: Config, device: torch.device, reporter: Reporter) -> None:
    """Fit the best model's calibration on the validation split and put it into the file."""
    try:
        found = calibrate_model(model, config.data, device=str(device))
    except DataError as error:
        reporter.warn(f"not calibrated: {error}")
        return
    reporter.line(describe_calibration(found))
    reporter.line(describe_applicability(read_record(model).applicability))


def _best_row(progress: Progress) -> Row:
    rows = {row["epoch"]: row for row in progress.rows}
    return rows.get(progress.best.epoch) or (progress.rows[-1] if progress.rows else {})
