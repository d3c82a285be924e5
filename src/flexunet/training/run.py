"""A run from its config to its model file: what is checked, opened, probed, trained and left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from ..augment import Augmenter, SampleMixer
from ..bands import Bands
from ..check.verdict import quick_verdict
from ..config import Config, DataConfig
from ..data import Loader, PlainSampler, Store, band_statistics, has_validation, open_store
from ..data.ground import ground_resolution
from ..errors import DataError, FlexunetError
from ..evaluation.fitting import calibrate_model, describe_calibration
from ..modelfile import InputRecord, ModelRecord, read_record
from ..nets import check_weights, initial_network
from .folder import RunFolder, check_folder
from .hardware import Hardware, build_fabric, choose_hardware, gradients_are_final, set_threads
from .interrupts import StopRequest
from .launch import first_process, launch
from .loop import Run, fit
from .losses import balanced_weights
from .optim import MovingAverage, OptimizerStep, build_optimizer
from .outputs import Outputs
from .pictures import choose_images
from .probe import Estimate, measure
from .reporter import Reporter
from .resume import continued, restore
from .runlog import not_measured
from .state import Progress, Row, load_state, save_state
from .teacher import about_teacher, check_teacher, objective, open_teacher

Watch = Callable[[Sequence[Row]], str | None]
"""Sees the rows of the log after each epoch and says why the run ends with it, or None."""


@dataclass(frozen=True)
class RunResult:
    """What a run leaves: its folder, the best model, the scores of the best epoch, and the log."""

    dir: Path
    model: Path
    scores: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Job:
    """A run as it is handed to each process."""

    config: Config
    hardware: Hardware
    folder: RunFolder
    source: Path | None
    """The config file the user wrote."""
    resume: bool
    overwrite: bool
    show: bool
    watch: Watch | None


def train(
    config: Config,
    *,
    resume: bool = False,
    overwrite: bool = False,
    source: Path | None = None,
    show: bool = False,
    watch: Watch | None = None,
) -> RunResult:
    """Train as `config` says and leave a run folder with the model file.

    resume: go on with the run in `config.output.dir`, from its last saved state; one that never got that far
    starts. overwrite: replace the run in `config.output.dir`; files that no run wrote stay. source: the
    config file, copied beside the model in the reference layout. show: a progress bar on a terminal's stderr,
    one line a minute elsewhere; otherwise log records of "flexunet". watch: given the log after each epoch,
    in the first process; its answer ends the run, None lets it go on.

    Raises:
        ConfigError: the hardware or the saved run does not fit the config.
        DataError: images or masks that cannot be used.
        OutputExistsError: the run folder is in use.
        TrainingError: a loss that is not finite, a full disk, a lost process.
        Interrupted: Ctrl-C or SIGTERM; everything is saved.
    """
    folder = RunFolder.of(config.output)
    hardware = choose_hardware(config.train.accelerator, config.train.precision)
    check_weights(config.model)
    if config.train.teacher is not None:
        check_teacher(config, config.train.teacher, read_record(config.train.teacher))
    job = Job(config, hardware, folder, source, resume, overwrite, show, watch)
    check_folder(folder, folder.config_copy(source), resume=resume, overwrite=overwrite)
    if resume and folder.config.exists():
        job = replace(job, config=continued(config, folder.config))
    return launch(build_fabric(job.config.train, hardware), run_process, job)


def run_process(fabric: Fabric, job: Job) -> RunResult:
    """The run as each of its processes sees it."""
    config, folder = job.config, job.folder
    show = job.show and fabric.is_global_zero
    reporter = Reporter(show=show)
    threads = set_threads(config.train, fabric.world_size // config.train.num_nodes, job.hardware.accelerator)
    if fabric.is_global_zero:
        reporter.line(f"Computing on {fabric.world_size} x {job.hardware}, {threads} CPU threads.")

    # Data: the first process fills the cache, the others find it filled
    first_process(fabric, lambda: open_stores(config.data))
    store, valid_store = open_stores(config.data)
    bands = band_statistics(store, config.data)
    if valid_store is None and fabric.is_global_zero:
        reporter.warn(
            "no validation split: the weights of the last epoch are kept as the model, early stopping is off."
        )
    unknown = not_measured(config.output.metrics, config.data.class_table()) if folder.reference else []
    if unknown and fabric.is_global_zero:
        reporter.warn(f"train_metrics.csv: {', '.join(unknown)} is not measured and stands as 0.")
    if valid_store is not None and fabric.is_global_zero:
        verdict = quick_verdict(store, valid_store, "valid", config.data)
        (reporter.warn if verdict.status == "leak" else reporter.line)(verdict.line())
        leakage = verdict.as_json()
    else:
        leakage = None
    batches, validation = build_loaders(config, bands, store, valid_store, fabric)
    weights = class_weights(config, store, fabric.device)
    teacher = open_teacher(config, bands)
    minimised = objective(config.train, weights, teacher and teacher.to(fabric.device))
    pictured = choose_images(config, (valid_store or store).pairs)

    # Network: the seed decides its weights
    def build() -> nn.Module:
        torch.manual_seed(config.train.seed)
        network = initial_network(config.model, bands, len(config.data.classes))
        # on CPUs the images' layout decides, and the optimiser would copy kernels that are channels last
        last = config.train.channels_last and fabric.device.type != "cpu"
        layout = torch.channels_last if last else torch.contiguous_format
        return network.to(fabric.device).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]

    # Probe, and the number of epochs if a budget decides it
    saved = load_state(folder.state) if job.resume else None
    estimate: Estimate | None = None
    budget = config.train.budget_minutes
    if saved is None:
        estimate = measure(
            build, batches, validation, config.train, minimised, fabric, predicted_images=len(pictured)
        )
        if budget is not None:
            epochs = int(fabric.broadcast(estimate.epochs_within(budget)))
            chosen = config.train.model_copy(update={"epochs": epochs, "budget_minutes": None})
            config = config.model_copy(update={"train": chosen})
        if fabric.is_global_zero:
            reporter.line(estimate.describe(config.train.epochs))
    outputs = Outputs(folder, config, job.source, pictured)
    first_process(fabric, partial(outputs.prepare, fresh=saved is None))

    # Everything the loop needs
    network = build()
    optimizer = build_optimizer(network, config.train)
    average = MovingAverage(network, config.train.ema) if config.train.ema else None
    averaged = average.network if average else None
    progress = restore(saved, store.fingerprint, network, optimizer, averaged)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    module = cast(nn.Module, torch.compile(network)) if config.train.compile else network
    wrapped, wrapped_optimizer = fabric.setup(module, optimizer)
    if progress.scaler:
        fabric.strategy.precision.load_state_dict(dict(progress.scaler))
    identity = {"fingerprint": store.fingerprint}
    record = ModelRecord(
        model=config.model,
        classes=config.data.class_table(),
        bands=bands,
        data=InputRecord.of(
            config.data, ground_resolution([pair.image for pair in store.pairs], config.data)
        ),
        predict=config.predict,
        training={**training_record(config, job, fabric, store, budget), "leakage": leakage},
        fingerprint=store.fingerprint,
    )

    def save() -> None:
        progress.scaler = dict(fabric.strategy.precision.state_dict())
        save_state(folder.state, progress, network, optimizer, averaged, identity)

    def epoch_done(run: Run, best: bool) -> None:
        scores = {"valid": progress.rows[-1]} if validation is not None else {}
        training = {**record.training, "epoch": progress.epoch, "step": progress.step}
        now = record.model_copy(update={"scores": scores, "training": training})
        outputs.epoch(progress, run.result, now, now.classes, best=best)

    def enough() -> str | None:
        path = folder.stop_file()
        if path is not None:
            path.unlink(missing_ok=True)
            return "the stop file asks for it"
        return None if job.watch is None else job.watch(progress.rows)

    stop = StopRequest()
    run = Run(
        train=config.train,
        classes=record.classes,
        fabric=fabric,
        raw=network,
        network=wrapped,
        optimizer=wrapped_optimizer,
        optimizer_step=OptimizerStep(
            wrapped_optimizer, config.train, gradients_final=gradients_are_final(fabric)
        ),
        average=average,
        batches=batches,
        validation=validation,
        weights=weights,
        objective=minimised,
        progress=progress,
        save_state=save,
        epoch_done=epoch_done,
        enough=enough,
        reporter=reporter,
        stop=stop,
        how_to_resume=f"flexunet train {folder.config} --resume",
    )
    with stop, reporter.started(batches.steps_per_epoch * config.train.epochs, _batches_done(run)):
        try:
            fit(run)
        except FlexunetError:
            first_process(fabric, partial(outputs.draw, progress.rows))
            raise
        first_process(fabric, partial(outputs.draw, progress.rows))
    if validation is not None and wants_calibration(config):
        first_process(fabric, partial(calibrate_result, folder.model, config, fabric.device, reporter))
    scores = _best_row(progress)
    return RunResult(folder.dir, folder.model, scores, tuple(progress.rows))


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


def open_stores(data: DataConfig) -> tuple[Store, Store | None]:
    """Decoded training and validation splits; None where there is no validation split.

    Raises:
        DataError: everything that is wrong with either split, in one report.
    """
    stores: list[Store] = []
    faults: list[DataError] = []
    splits: tuple[Literal["train", "valid"], ...] = ("train", "valid") if has_validation(data) else ("train",)
    for split in splits:
        try:
            stores.append(open_store(data, split))
        except DataError as error:
            faults.append(error)
    if faults:
        raise DataError("\n".join(map(str, faults)))
    return stores[0], stores[1] if len(stores) > 1 else None


def build_loaders(
    config: Config, bands: Bands, store: Store, valid_store: Store | None, fabric: Fabric
) -> tuple[Loader, Loader | None]:
    """Batches of the training split, augmented and shuffled, and of the validation split, plain and in
    order.
    """
    data, train = config.data, config.train
    plain = PlainSampler(bands, data.size, data.sizing)
    sampler = Augmenter(config.augment, bands, data.size, data.sizing) if config.augment.enabled else plain
    place = {"rank": fabric.global_rank, "world_size": fabric.world_size}
    common: dict[str, Any] = {"seed": train.seed, "num_workers": train.num_workers, **place}
    steps = train.steps_per_epoch and train.steps_per_epoch * train.accumulate
    mix = config.augment.mix if config.augment.enabled else None
    mixer = None if mix is None else SampleMixer(mix, data.class_table().background)
    batches = Loader(
        store,
        sampler,
        batch_size=train.batch_size,
        shuffle=True,
        steps_per_epoch=steps,
        mixer=mixer,
        **common,
    )
    if valid_store is None:
        return batches, None
    return batches, Loader(valid_store, plain, batch_size=train.batch_size, shuffle=False, **common)


def class_weights(config: Config, store: Store, device: torch.device) -> torch.Tensor | None:
    """The configured class weights, float32 (K,); `auto` counts the training labels."""
    weights = config.train.class_weights
    if weights == "none":
        return None
    if weights == "auto":
        counts = np.zeros(256, np.int64)
        for index in range(len(store)):
            counts += np.bincount(np.asarray(store.labels(index)).ravel(), minlength=256)
        weights = balanced_weights(counts[: len(config.data.classes)].tolist())
    return torch.tensor(weights, dtype=torch.float32, device=device)


def training_record(
    config: Config, job: Job, fabric: Fabric, store: Store, budget: float | None
) -> dict[str, Any]:
    """How the weights came about, for the model file; where the teacher lies is nobody's business."""
    settings = {name: getattr(config, name).model_dump(mode="json") for name in ("train", "augment")}
    settings["train"]["teacher"] = config.train.teacher and config.train.teacher.name
    return {
        "config": settings,
        "teacher": None if config.train.teacher is None else about_teacher(config.train.teacher),
        "images": len(store),
        "largest_image": [
            max(store.native_size(index)[axis] for index in range(len(store))) for axis in (0, 1)
        ],
        "processes": fabric.world_size,
        "accelerator": job.hardware.accelerator,
        "precision": job.hardware.precision,
        "budget_minutes": budget,
    }


def _batches_done(run: Run) -> int:
    return run.progress.epoch * run.batches.steps_per_epoch + run.progress.batch


def _best_row(progress: Progress) -> Row:
    rows = {row["epoch"]: row for row in progress.rows}
    return rows.get(progress.best.epoch) or (progress.rows[-1] if progress.rows else {})
