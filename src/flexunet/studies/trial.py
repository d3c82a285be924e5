"""One trial: settings drawn from the search space, trained as an ordinary run that is watched."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..config import Config, read_config
from ..config.loading import parse_config
from ..config.search import Choices, Entry, overrides_of
from ..errors import ConfigError, DivergedError
from ..quiet import quiet
from ..training import train
from ..training.epochs import monitored
from ..training.folder import RunFolder
from ..training.state import Row
from .libraries import optuna
from .storage import join_study, readable_database_errors

STEPS = 20
"""Points on the way of a trial at which it is compared with others: shares of its epochs, so that trials of
different lengths can be.
"""
WARMUP_STEPS = 5
"""No trial is ended before this point."""
STARTUP_TRIALS = 5
"""No trial is ended before so many have been trained to their end."""

State = Literal["complete", "pruned", "failed", "open"]
Tell = Callable[[str], None]
"""Takes a few words on where a trial is."""


@dataclass(frozen=True)
class Recipe:
    """The user's config, from which each trial's is made by overrides, as `--set` would."""

    text: str
    path: Path
    overrides: tuple[str, ...]

    def config(self, values: Mapping[str, Any]) -> Config:
        """The config with `values` by key in it.

        Raises:
            ConfigError: the values do not go together.
        """
        return parse_config(self.text, self.path, [*self.overrides, *overrides_of(values)]).config


@dataclass(frozen=True)
class TrialJob:
    """A trial as it is handed to a worker."""

    number: int
    trial_id: int
    recipe: Recipe
    values: Mapping[str, Any]
    folder: Path
    database: Path
    pruner: str
    threads: int | None
    until: float | None
    """Time of day at which it stops; it can be gone on with."""


@dataclass(frozen=True)
class Outcome:
    """How a trial went. `value` is what is maximised, at the best epoch."""

    number: int
    state: State
    value: float | None
    epoch: int | None
    epochs: int
    seconds: float
    reason: str | None = None
    stop_asked: bool = False
    """Ctrl-C came when the trial had nothing left to stop: the search is meant."""


def suggest(trial: Any, space: Sequence[Entry]) -> dict[str, Any]:
    """Values by key for a trial; those it has already stay."""
    values: dict[str, Any] = {}
    for entry in space:
        if isinstance(entry, Choices):
            text = trial.suggest_categorical(entry.key, entry.texts)
            values[entry.key] = entry.values[entry.texts.index(text)]
        elif entry.whole:
            step = {} if entry.step is None else {"step": int(entry.step)}
            low, high = int(entry.low), int(entry.high)
            values[entry.key] = trial.suggest_int(entry.key, low, high, log=entry.log, **step)
        else:
            values[entry.key] = trial.suggest_float(
                entry.key, entry.low, entry.high, log=entry.log, step=entry.step
            )
    return values


def make_pruner(name: str) -> Any:
    """The rule that ends trials early."""
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_STEPS)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=WARMUP_STEPS, max_resource=STEPS)
    return optuna.pruners.NopPruner()


def trial_config(job: TrialJob) -> Config:
    """The run of a trial: one device, no pictures, no calibration.

    Raises:
        ConfigError: the values do not go together.
    """
    config = job.recipe.config(job.values)
    train_changes = {
        "epoch_pictures": 0, "calibrate": False, "devices": 1, "num_nodes": 1,
        "threads": job.threads or config.train.threads,
    }  # fmt: skip
    places = dict.fromkeys(("model_dir", "eval_dir", "epoch_pictures_dir", "epoch_pictures_tiled_dir"))
    output = {"dir": job.folder, "layout": "native", **places}
    return config.model_copy(update={
        "train": config.train.model_copy(update=train_changes),
        "output": config.output.model_copy(update=output),
    })  # fmt: skip


def run_trial(job: TrialJob, tell: Tell | None = None) -> Outcome:
    """Train the trial, or go on with it.

    What its own settings make impossible (values that exclude each other, a loss that is not finite, too
    little memory) is an outcome; everything else is raised.

    Raises:
        Interrupted: the trial is saved.
        DataError, OSError, TrainingError: what would stop every trial.
    """
    started = time.monotonic()

    def outcome(state: State, rows: Sequence[Row], reason: str | None = None) -> Outcome:
        best, epoch = best_of(config, rows) if config is not None and rows else (None, None)
        trained = sum(row["seconds"] or 0.0 for row in rows)
        return Outcome(
            job.number, state, best, epoch, len(rows), max(trained, time.monotonic() - started), reason
        )

    config: Config | None = None
    try:
        config = trial_config(job)
    except ConfigError as error:
        return outcome("failed", [], " ".join(problem.what for problem in error.problems) or str(error))
    watch = _Watch(job, config, tell)
    try:
        with quiet("flexunet", logging.ERROR):  # a study tells of its trials itself
            result = train(config, resume=True, watch=watch, curves=False)
    except DivergedError as error:
        return outcome("failed", watch.rows, str(error).split(". ")[0] + ".")
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        return outcome("failed", watch.rows, f"too little memory: {str(error).splitlines()[0]}")
    return replace(outcome(watch.ended or "complete", result.rows), stop_asked=result.stop_asked)


def best_of(config: Config, rows: Sequence[Row]) -> tuple[float, int]:
    """The best monitored value, larger is better, and its epoch."""
    values = [monitored(config.train, row, objects=_some_found(rows)) for row in rows]
    place = max(range(len(rows)), key=values.__getitem__)
    return values[place], place + 1


def _some_found(rows: Sequence[Row]) -> bool:
    """Whether any epoch found objects; until then the loss tells epochs apart, below every IoU."""
    return any(row["val_iou"] for row in rows)


class _Watch:
    """Reports a run's validation scores to the study and ends it where it promises little, or time is up."""

    def __init__(self, job: TrialJob, config: Config, tell: Tell | None) -> None:
        self.job, self.config, self.tell = job, config, tell
        self.rows: Sequence[Row] = ()
        self.ended: State | None = None
        self._epochs: int | None = None
        with readable_database_errors(job.database):
            study = join_study(job.database, make_pruner(job.pruner))
            self._trial = optuna.trial.Trial(study, job.trial_id)
            frozen = study.get_trials(deepcopy=False)[job.number]
            self._reported = max(frozen.intermediate_values, default=0)

    def __call__(self, rows: Sequence[Row]) -> str | None:
        self.rows = rows
        epochs = self._all_epochs()
        if self.tell is not None:
            self.tell(f"trial {self.job.number + 1}, epoch {len(rows)}/{epochs}")
        new = False
        with readable_database_errors(self.job.database):
            for place, row in enumerate(rows, 1):
                step = STEPS * place // epochs
                if step > self._reported:
                    value = monitored(self.config.train, row, objects=_some_found(rows))
                    self._trial.report(value, step)
                    self._reported, new = step, True
            if len(rows) >= epochs:
                return None
            if new and self._trial.should_prune():
                self.ended = "pruned"
                return "other trials were better at this point"
        if self.job.until is not None and time.time() > self.job.until:
            self.ended = "open"
            return "the time of the study is over"
        return None

    def _all_epochs(self) -> int:
        """The run's epochs; a time budget for each trial is known as epochs once the run has begun."""
        if self._epochs is None:
            written = RunFolder.of(self.config.output).config
            self._epochs = read_config(written).config.train.epochs
        return self._epochs


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def shown_value(value: float | None, monitor: str) -> float | None:
    """What is maximised, as the user knows it: a loss is small where it is good.

    An IoU below 0 is the loss of a trial that found nothing, by which such trials are told apart.
    """
    if value is None or not math.isfinite(value):
        return None
    return max(0.0, value) if monitor == "val_iou" else -value
