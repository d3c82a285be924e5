"""Search for the best settings of a config: trials, one database, the best config as a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..check.verdict import quick_verdict
from ..config import Config
from ..config.loading import parse_config, source_text
from ..config.search import Search, default_search
from ..data import has_validation
from ..errors import ConfigError, Interrupted
from ..progress import Progress
from ..training.folder import clear_run, lighten_run
from ..training.hardware import choose_hardware
from ..training.material import open_stores
from ..training.origins import with_origins
from .comparable import identity, value_in_space
from .libraries import optuna
from .results import OWN, Results, best_row, files_of, trial_folder, trial_rows
from .storage import SECONDS, check_identity, held, open_study, readable_database_errors, remove_study
from .trial import Outcome, Recipe, TrialJob, make_pruner, suggest
from .workers import run_jobs

DATABASE = "tune.db"
MOST_FAILURES = 5
"""After so many failures and not one success the search ends: something is wrong with all of it."""


@dataclass(frozen=True)
class Tuned:
    """What a search leaves: the best config, the folder, and everything in `tune.json`."""

    dir: Path
    best: Path
    """A config that `flexunet train` takes."""
    results: dict[str, Any]


def tune(
    source: Path,
    overrides: Sequence[str] = (),
    *,
    trials: int | None = None,
    budget_minutes: float | None = None,
    workers: int = 1,
    out: Path | None = None,
    overwrite: bool = False,
    show: bool = False,
) -> Tuned:
    """Search the space of a config's `[tune]` section for the settings with the best validation score.

    The aim is `train.monitor` on the validation split, at the best epoch; the test split is not opened. Each
    trial is a run in OUT/trial-0001 and so on, ended early where the others were better at the same point.
    The first one is the config as it is. A study that was stopped in any way goes on when it is called
    again with the same arguments; `trials` and `budget_minutes` are those of the whole study.

    source: config file. overrides: `section.key=value`. trials: trials in all; left out: 30, or as many as
    fit into the budget. workers: trials at once, each a process with its share of the CPU's threads. out:
    folder of the study; left out: `tune` in `output.dir`. overwrite: replace the study that is there.

    Raises:
        ConfigError: a config or search space that cannot be, no validation split, or nothing but failures.
        DataError: images or masks that cannot be used.
        MissingExtraError: without the extra `tune`.
        OutputExistsError: the database is of another study, or nobody's that is known.
        TrainingError: it is locked, or a worker was lost.
        Interrupted: Ctrl-C or SIGTERM; every trial is saved.
    """
    if trials is not None and trials < 1:
        raise ConfigError(f"--trials {trials}: at least 1 is needed.")
    if workers < 1:
        raise ConfigError(f"--workers {workers}: at least 1 is needed.")
    if trials is None and budget_minutes is None:
        trials = 30
    text, _ = source_text(source)
    loaded = parse_config(text, source, overrides)
    config = loaded.config
    choose_hardware(config.train.accelerator, config.train.precision)
    with_origins(config)
    if not has_validation(config.data):
        raise ConfigError("tuning needs a validation split: data.valid, or valid/ in data.root.")
    search = loaded.search
    if search is None or not search.space:
        search = Search(default_search(config).space, search.pruner if search else "median")
    folder = config.output.dir / "tune" if out is None else out.absolute()
    progress = Progress() if show else None
    with held(folder / DATABASE):
        if overwrite:
            open_stores(config.data)  # nothing is removed for a study that cannot begin
            _remove_study(folder)
        recipe = Recipe(text, source, tuple(overrides))
        study = _Study(recipe, config, search, folder, trials, budget_minutes, workers, progress)
        return study.run()


class _Study:
    """A search under way."""

    def __init__(
        self,
        recipe: Recipe,
        config: Config,
        search: Search,
        folder: Path,
        trials: int | None,
        budget_minutes: float | None,
        workers: int,
        progress: Progress | None,
    ) -> None:
        self.recipe, self.config, self.search, self.folder = recipe, config, search, folder
        self.trials, self.workers, self.progress = trials, workers, progress
        self.database = folder / DATABASE
        self.results = Results(folder, recipe, config, search)
        self._line(self.results.aim)
        stores = open_stores(config.data)
        assert stores[1] is not None
        leakage = quick_verdict(stores[0], stores[1], "valid", config.data)
        self._line(leakage.line())
        self.results.leakage = leakage.as_json()
        images = [store.fingerprint for store in stores if store is not None]
        self.study = open_study(self.database, make_pruner(search.pruner))
        with readable_database_errors(self.database):
            if not self.study.user_attrs and not self.study.get_trials(deepcopy=False):
                self._enqueue_own_values()
            check_identity(self.study, identity(config, search, images), self.database)
            self.spent = float(self.study.user_attrs.get(SECONDS, 0.0))
        self.started = time.monotonic()
        self.budget = None if budget_minutes is None else 60 * budget_minutes
        self.until = None if self.budget is None else time.time() + self.budget - self.spent

    def run(self) -> Tuned:
        """Every trial that is still to do, and the results."""
        self._line(self._beginning())
        try:
            run_jobs(self._jobs(), self.workers, self._tell, self._done)
        except KeyboardInterrupt as error:
            self._finish()
            raise Interrupted(
                f"Stopped; every trial is saved in {self.folder}. The same command goes on."
            ) from error
        finally:
            if self.progress is not None:
                self.progress.close()
        return self._finish()

    def _jobs(self) -> Iterator[TrialJob]:
        """Trials that were cut off first, then new ones as long as trials and time are left."""
        for frozen in self._all():
            if frozen.state == optuna.trial.TrialState.RUNNING and self._time_left():
                yield self._job(optuna.trial.Trial(self.study, frozen._trial_id), frozen.number)
        while self._more():
            with readable_database_errors(self.database):
                self._seed(len(self._all()))
                trial = self.study.ask()
                yield self._job(trial, trial.number)

    def _job(self, trial: Any, number: int) -> TrialJob:
        with readable_database_errors(self.database):
            self._seed(number)
            values = suggest(trial, self.search.space)
        return TrialJob(
            number=number,
            trial_id=trial._trial_id,
            recipe=self.recipe,
            values=values,
            folder=trial_folder(self.folder, number),
            database=self.database,
            pruner=self.search.pruner,
            threads=_threads(self.config, self.workers),
            until=self.until,
        )

    def _seed(self, number: int) -> None:
        """The draws of a trial depend on the seed, its number and the trials before, so a study that was
        stopped draws what it would have drawn.
        """
        word = np.random.SeedSequence([self.config.train.seed, number]).generate_state(1)[0]
        self.study.sampler = optuna.samplers.TPESampler(seed=int(word))

    def _more(self) -> bool:
        states = [trial.state.name for trial in self._all()]
        begun = sum(name != "WAITING" for name in states)
        return (self.trials is None or begun < self.trials) and self._time_left()

    def _time_left(self) -> bool:
        return self.until is None or time.time() < self.until

    def _done(self, job: TrialJob, outcome: Outcome) -> None:
        """Write down how a trial went, and what is best by now."""
        with readable_database_errors(self.database):
            if outcome.state != "open":
                trial = optuna.trial.Trial(self.study, job.trial_id)
                for name in ("state", "epoch", "epochs", "seconds", "reason"):
                    trial.set_user_attr(name, getattr(outcome, name))
                if outcome.state == "complete":
                    self.study.tell(job.number, outcome.value)
                else:
                    self.study.tell(job.number, state=optuna.trial.TrialState.PRUNED)
            self._save_time()
        rows = trial_rows(self._all(), self.search, self.config.train.monitor)
        self._line(self.results.describe(rows[job.number], rows))
        self._lighten(rows)
        self.results.write_table(rows)
        _refuse_nothing_but_failures(rows)

    def _finish(self) -> Tuned:
        with readable_database_errors(self.database):
            self._save_time()
            rows = trial_rows(self._all(), self.search, self.config.train.monitor)
        self._lighten(rows)
        self.results.write_table(rows)
        written = self.results.write_summary(rows, self.study, self._baseline())
        return Tuned(self.folder, self.results.best, written)

    def _lighten(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the weights of the best trial only; a trial that may go on keeps its state."""
        best = best_row(rows, self.config.train.monitor)
        for row in rows:
            if row["state"] != "open":
                keep = best is not None and row["trial"] == best["trial"]
                lighten_run(trial_folder(self.folder, row["trial"] - 1), keep_model=keep)

    def _enqueue_own_values(self) -> None:
        """The config as it is becomes the first trial, where the space holds it."""
        own = {entry.key: value_in_space(entry, self.config) for entry in self.search.space}
        outside = [key for key, value in own.items() if value is None]
        if outside:
            self._line(
                f"The config as it is will not be tried: the search space does not hold its "
                f"{', '.join(outside)}."
            )
        else:
            self.study.enqueue_trial(own, user_attrs={OWN: True})

    def _baseline(self) -> int | None:
        """Number, from 1, of the trial that is the config as it is."""
        return next((trial.number + 1 for trial in self._all() if OWN in trial.user_attrs), None)

    def _all(self) -> list[Any]:
        trials: list[Any] = self.study.get_trials(deepcopy=False)
        return trials

    def _save_time(self) -> None:
        self.study.set_user_attr(SECONDS, round(self.spent + time.monotonic() - self.started, 1))

    def _tell(self, words: str) -> None:
        if self.progress is None:
            return
        states = [trial.state.name for trial in self._all()]
        done = sum(name in ("COMPLETE", "PRUNED") for name in states)
        self.progress.update("tuning", done, self._expected(done), unit="trials", note=words)

    def _expected(self, done: int) -> int:
        """Trials in all, as far as can be told: as many as asked, or as the time is likely to hold."""
        in_all = [] if self.trials is None else [self.trials]
        if self.budget is not None:
            elapsed = self.spent + time.monotonic() - self.started
            in_all.append(round(done * self.budget / max(elapsed, 1e-9)))
        return max(done + 1, min(in_all))

    def _beginning(self) -> str:
        entries = ", ".join(self.search.keys)
        states = [trial.state.name for trial in self._all()]
        before = sum(name in ("COMPLETE", "PRUNED") for name in states)
        cut = sum(name == "RUNNING" for name in states)
        parts = [f"Searching {entries}; trials are ended early by: {self.search.pruner}."]
        if before or cut:
            parts.append(f"Going on after {before} trials{f', {cut} of them cut off' if cut else ''}.")
        return " ".join(parts)

    def _line(self, text: str) -> None:
        if self.progress is not None:
            self.progress.line(text)


def _threads(config: Config, workers: int) -> int | None:
    """CPU threads of each worker; None: as the config says."""
    if workers == 1:
        return None
    return max(1, (config.train.threads or os.cpu_count() or 1) // workers)


def _refuse_nothing_but_failures(rows: Sequence[dict[str, Any]]) -> None:
    over = [row for row in rows if row["state"] != "open"]
    failed = [row for row in over if row["state"] == "failed"]
    if len(failed) == len(over) >= MOST_FAILURES:
        reasons = "; ".join(dict.fromkeys(str(row["reason"]) for row in failed))
        raise ConfigError(f"The first {len(failed)} trials all failed: {reasons} Change the search space.")


def _remove_study(folder: Path) -> None:
    """Remove what an earlier study of this folder wrote, and the study last; other files stay.

    Raises:
        OutputExistsError: the database is not one of ours.
    """
    database = folder / DATABASE
    if not database.is_file():
        return
    study = open_study(database, None)
    for trial in study.get_trials(deepcopy=False):
        place = trial_folder(folder, trial.number)
        if (place / "state").is_dir():
            clear_run(place)
    for path in files_of(folder):
        path.unlink(missing_ok=True)
    remove_study(database)
