"""What a search leaves for people: the table of trials, the best config, importance, a picture."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..config import Config, dump_toml, without_dial
from ..config.search import Choices, Entry, Search, toml_value
from ..errors import ConfigError
from ..files import write_text
from ..progress import duration
from ..training.hardware import choose_hardware
from ..views.search import SearchedSetting, SearchedTrial, draw_search
from .libraries import optuna
from .storage import SECONDS
from .trial import Recipe, shown_value

BEST, TABLE, SUMMARY, PICTURE = "best.toml", "trials.csv", "tune.json", "tune.png"
OWN = "own"
"""Attribute of the trial that is the config as it is."""
LEAST_FOR_IMPORTANCE = 8
"""Complete trials below which importance would be noise."""
IMPORTANCE = (
    "Share of each setting in what divides good trials from the rest (PED-ANOVA, Watanabe et al. 2023), over "
    "complete trials only; noise with few trials."
)
Row = dict[str, Any]


def trial_folder(folder: Path, number: int) -> Path:
    """The run folder of a trial; `number` counts from 0, the name from 1."""
    return folder / f"trial-{number + 1:04d}"


def files_of(folder: Path) -> list[Path]:
    """Everything a study writes beside its trials and its database."""
    return [folder / name for name in (BEST, TABLE, SUMMARY, PICTURE)]


def trial_rows(trials: Sequence[Any], search: Search, monitor: str) -> list[Row]:
    """A row a trial that has begun, in their order; values as TOML."""
    rows = []
    for trial in trials:
        if trial.state == optuna.trial.TrialState.WAITING:
            continue
        told = trial.user_attrs
        row: Row = {
            "trial": trial.number + 1,
            "state": told.get("state", "failed") if trial.state.is_finished() else "open",
            monitor: shown_value(trial.value if trial.state.is_finished() else None, monitor),
            "epoch": told.get("epoch"),
            "epochs": told.get("epochs"),
            "seconds": None if told.get("seconds") is None else round(told["seconds"], 1),
            "reason": told.get("reason"),
        }
        rows.append(row | {entry.key: _shown(entry, trial.params.get(entry.key)) for entry in search.space})
    return rows


def best_row(rows: Sequence[Row], monitor: str) -> Row | None:
    """The best of the trials that were trained to their end; None where there is none."""
    over = [row for row in rows if row["state"] == "complete" and row[monitor] is not None]
    sign = 1 if monitor == "val_iou" else -1
    return max(over, key=lambda row: sign * row[monitor], default=None)


class Results:
    """Writes the files of one study."""

    def __init__(self, folder: Path, recipe: Recipe, config: Config, search: Search) -> None:
        self.folder, self.recipe, self.config, self.search = folder, recipe, config, search
        self.monitor = config.train.monitor
        self.best = folder / BEST
        self.leakage: dict[str, Any] | None = None
        """What is known of training images that stand in the validation split too."""
        what = "the largest mean foreground IoU" if self.monitor == "val_iou" else "the least loss"
        self.aim = (
            f"The aim is {self.monitor}, {what} on the validation split at the best epoch. The test split is "
            f"not opened."
        )

    def describe(self, row: Row, rows: Sequence[Row]) -> str:
        """One line on a trial that is over, or was stopped."""
        value = row[self.monitor]
        parts = [f"trial {row['trial']}: {row['state']}"]
        parts += [] if value is None else [f"{self.monitor} {value:.4f}"]
        parts += [f"{entry.key} {short(row[entry.key])}" for entry in self.search.space]
        parts += [] if row["seconds"] is None else [duration(row["seconds"])]
        best = best_row(rows, self.monitor)
        end = " (best)" if best is not None and best["trial"] == row["trial"] else ""
        return ", ".join(parts) + end + (f": {row['reason']}" if row["reason"] else "")

    def write_table(self, rows: Sequence[Row]) -> None:
        """The table of all trials, and the best config by now."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["trial"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / TABLE, text.getvalue())
        best = best_row(rows, self.monitor)
        if best is not None:
            write_text(self.best, self._best_config(best, rows))

    def _best_config(self, best: Row, rows: Sequence[Row]) -> str:
        values = {entry.key: _value(entry, best[entry.key]) for entry in self.search.space}
        config = self.recipe.config(values)
        output = config.output.model_copy(update={"dir": config.output.dir / "tuned"})
        preamble = (
            f"Trial {best['trial']} of {len(rows)} of flexunet tune: {self.monitor} "
            f"{best[self.monitor]:.4f} on the validation split.\n"
            f"The best of several on one split is better there than it will be elsewhere; the test split was "
            f"not opened.\n"
            f"Searched: {', '.join(f'{entry.key} = {best[entry.key]}' for entry in self.search.space)}"
        )
        found = without_dial(config).model_copy(update={"output": output})
        return dump_toml(found, preamble=preamble)

    def write_summary(self, rows: Sequence[Row], study: Any, baseline: int | None) -> Row:
        """`tune.json` and the picture; without a complete trial there is neither picture nor best config.

        Raises:
            ConfigError: not one trial was trained to its end.
        """
        best = best_row(rows, self.monitor)
        importance = self._importance(study, rows)
        train = self.config.train
        summary = {
            "format": "flexunet tune",
            "version": 1,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "aim": self.aim,
            "monitor": self.monitor,
            "config": str(self.recipe.path),
            "overrides": list(self.recipe.overrides),
            "search": {entry.key: _described(entry) for entry in self.search.space},
            "pruner": self.search.pruner,
            "leakage": self.leakage,
            "seconds": study.user_attrs.get(SECONDS),
            "hardware": str(choose_hardware(train.accelerator, train.precision)),
            "cpus": os.cpu_count(),
            "optuna": version("optuna"),
            "best": best,
            "baseline_trial": baseline,
            "importance": importance,
            "importance_how": IMPORTANCE,
            "trials": list(rows),
        }
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(self.folder / SUMMARY, text + "\n")
        if best is None:
            return summary
        draw_search(
            [SearchedTrial(row["trial"], row["state"], row[self.monitor]) for row in rows],
            [self._setting(entry, rows, importance) for entry in self.search.space],
            self.folder / PICTURE,
            score=self.monitor,
            larger_is_better=self.monitor == "val_iou",
            baseline=baseline,
            title=f"{self.recipe.path.name}: {len(rows)} trials, best {best[self.monitor]:.4f} (trial "
            f"{best['trial']})",
        )
        return summary

    def _importance(self, study: Any, rows: Sequence[Row]) -> dict[str, float] | None:
        values = [row[self.monitor] for row in rows if row["state"] == "complete"]
        values = [value for value in values if value is not None]
        if len(values) < LEAST_FOR_IMPORTANCE or len(set(values)) < 2:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        return {key: round(float(value), 4) for key, value in found.items()}

    def _setting(
        self, entry: Entry, rows: Sequence[Row], importance: dict[str, float] | None
    ) -> SearchedSetting:
        return SearchedSetting(
            key=entry.key,
            values=tuple(_value(entry, row[entry.key]) if not isinstance(entry, Choices) else row[entry.key]
                         for row in rows),
            choices=entry.texts if isinstance(entry, Choices) else None,
            log=not isinstance(entry, Choices) and entry.log,
            importance=None if importance is None else importance.get(entry.key),
        )  # fmt: skip


def short(text: str | None) -> str:
    """A value as people read it: numbers with four digits."""
    try:
        return "" if text is None else f"{float(text):.4g}"
    except ValueError:
        return str(text).replace('"', "")


def refuse_nothing(tuned: Row, folder: Path) -> None:
    """Say that a search found nothing yet.

    Raises:
        ConfigError: not one trial was trained to its end.
    """
    if tuned["best"] is None:
        raise ConfigError(
            f"No trial was trained to its end, so there is no best config yet; what was begun is in "
            f"{folder}. Give more --trials or --budget, or set fewer train.epochs."
        )


def _shown(entry: Entry, value: Any) -> str | None:
    """A value of the database as TOML."""
    if value is None or isinstance(entry, Choices):
        return value if value is None else str(value)
    return toml_value(value)


def _value(entry: Entry, text: str | None) -> Any:
    """The value that `_shown` wrote."""
    if text is None:
        return None
    if isinstance(entry, Choices):
        return entry.values[entry.texts.index(text)]
    return int(text) if entry.whole else float(text)


def _described(entry: Entry) -> Any:
    if isinstance(entry, Choices):
        return list(entry.values)
    found = {"low": entry.low, "high": entry.high, "log": entry.log, "step": entry.step}
    return {name: value for name, value in found.items() if value is not None}
