"""`flexunet train`: a config in, a run folder out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..training import Ensemble


def train(
    config: Path = typer.Argument(..., help="Config file in either dialect, or the folder of a run."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a setting."),
    devices: str | None = typer.Option(None, "--devices", help="Processes (GPUs or CPU processes), or auto."),
    budget: str | None = typer.Option(
        None,
        "--budget",
        help="Wall-clock time such as 60m or 1.5h; a short probe chooses the epochs from it.",
    ),
    quality: str | None = typer.Option(
        None, "--quality", help="quick, good or best: decides whatever the config does not."
    ),
    start_from: Path | None = typer.Option(
        None, "--start-from", help="Trained model (file, or folder of a run) to go on from with these data."
    ),
    folds: int | None = typer.Option(
        None, "--folds", help="Train one member for each of so many folds of train and valid together."
    ),
    seeds: int | None = typer.Option(None, "--seeds", help="Members a fold, each with a seed of its own."),
    groups: Path | None = typer.Option(
        None,
        "--groups",
        help="CSV (id, group): images of one group stay in one fold; left out: by manifest.json.",
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run from its last saved state."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in the run folder."),
) -> None:
    """Train a model as a config says.

    With --folds or --seeds several are trained, and ensemble.safetensors is their mean; --budget is then the
    time of all together.

    Example: flexunet train run.toml --set train.epochs=20 --set output.dir=runs/first

    Example: flexunet train other-sensor.toml --start-from runs/bijie --set train.learning_rate=5e-4
    """
    from ..config import read_config
    from ..prediction import locate_model
    from ..training import planned, read_run, train_members
    from ..training import train as train_run

    overrides = list(set_)
    if devices is not None:
        overrides.append(f"train.devices={devices}")
    if start_from is not None:
        overrides.append(f"train.start_from={locate_model(start_from).model.absolute()}")
    if quality is not None:
        overrides.append(f"quality={quality}")
    if budget is not None:
        overrides.append(f"train.budget_minutes={minutes(budget)}")
    loaded = read_run(config, overrides) or read_config(config, overrides)
    # torchrun and SLURM start this command once a process: the first one speaks
    first = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    for note in loaded.notes if first else ():
        typer.echo(f"Note: {note}", err=True)
    source = loaded.path
    if folds is None and seeds is None and resume:
        folds, seeds = planned(loaded.config.output.dir) or (None, None)
    if folds is not None or seeds is not None:
        ensemble = train_members(
            loaded.config, folds=folds, seeds=1 if seeds is None else seeds, groups=groups,
            resume=resume, overwrite=overwrite, show=True,
        )  # fmt: skip
        print_members(ensemble)
        return
    if groups is not None:
        raise ConfigError("--groups says what stays in one fold; it needs --folds.")
    result = train_run(loaded.config, resume=resume, overwrite=overwrite, source=source, show=True)
    if not first:
        return
    for name in ("val_iou", "val_f1", "val_pixel_accuracy", "val_loss"):
        value = result.scores.get(name)
        if value is not None:
            typer.echo(f"{name:20}{value:.4f}  (epoch {result.scores['epoch']})")
    typer.echo(str(result.model))


def print_members(ensemble: Ensemble) -> None:
    """The table of members, the pooled score and the model file."""
    columns = [name for name in ensemble.table[0] if name not in ("fold", "epochs")]
    typer.echo("".join(f"{name:>14}" for name in columns))
    for row in ensemble.table:
        typer.echo("".join(f"{_cell(row.get(name)):>14}" for name in columns))
    for place, what in (("out_of_fold", "out of fold"), ("validation", "validation, mean of the members")):
        if place in ensemble.summary:
            pooled = ensemble.summary[place]["foreground"]
            parts = (f"{name} {_cell(pooled[name])}" for name in ("iou", "f1", "precision", "recall"))
            typer.echo(f"{what}, {ensemble.summary[place]['images']} images pooled: {', '.join(parts)}")
    typer.echo(str(ensemble.model))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def minutes(text: str) -> float:
    """`90` and `90m` are minutes, `1.5h` hours, `600s` seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h)?\s*", text)
    value = float(found.group(1)) * {"s": 1 / 60, "h": 60.0}.get(found.group(2), 1.0) if found else 0.0
    if value <= 0:
        raise ConfigError(f"--budget {text}: expected a time such as 45m, 1.5h or 600s.")
    return value


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)
