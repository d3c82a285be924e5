"""`flexunet train`: a config in, a run folder out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import typer

from ..errors import ConfigError


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
    resume: bool = typer.Option(False, "--resume", help="Go on with the run from its last saved state."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in the run folder."),
) -> None:
    """Train a model as a config says.

    Example: flexunet train run.toml --set train.epochs=20 --set output.dir=runs/first
    """
    from ..config import read_config
    from ..prediction import config_of_run
    from ..training import train as train_run

    if config.is_dir():
        config = config_of_run(config) or config
    overrides = list(set_)
    if devices is not None:
        overrides.append(f"train.devices={devices}")
    if quality is not None:
        overrides.append(f"quality={quality}")
    if budget is not None:
        overrides.append(f"train.budget_minutes={minutes(budget)}")
    loaded = read_config(config, overrides)
    # torchrun and SLURM start this command once a process: the first one speaks
    first = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
    for note in loaded.notes if first else ():
        typer.echo(f"Note: {note}", err=True)
    result = train_run(loaded.config, resume=resume, overwrite=overwrite, source=config, show=True)
    if not first:
        return
    for name in ("val_iou", "val_f1", "val_pixel_accuracy", "val_loss"):
        value = result.scores.get(name)
        if value is not None:
            typer.echo(f"{name:20}{value:.4f}  (epoch {result.scores['epoch']})")
    typer.echo(str(result.model))


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
