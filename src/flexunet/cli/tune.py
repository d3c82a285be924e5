"""`flexunet tune`: trials in, the best config out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def tune(
    config: Path = typer.Argument(..., help="Config file in either dialect, or the folder of a run."),
    trials: int | None = typer.Option(
        None, "--trials", help="Trials in all, those before a stop counted; left out without --budget: 30."
    ),
    budget: str | None = typer.Option(
        None, "--budget", help="Wall-clock time of the whole search such as 90m or 8h."
    ),
    workers: int = typer.Option(1, "--workers", help="Trials at once; they share the CPU's threads."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a setting."),
    quality: str | None = typer.Option(
        None, "--quality", help="quick, good or best: decides whatever the config does not."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="Folder of the study; left out: `tune` in output.dir."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the study that is in the folder."),
) -> None:
    """Search for the settings with the best score on the validation split.

    What is searched stands in the config's [tune] section, for example
    "train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }; without one a few rates, dropout and
    zoom are. The test split is not opened. The same command goes on after a stop of any kind.

    Example: flexunet tune run.toml --budget 8h --set train.epochs=15
    """
    from ..errors import ConfigError
    from ..prediction import config_of_run
    from ..studies import tune as run_study
    from ..studies.results import refuse_nothing
    from .train import minutes

    if config.is_dir():
        found = config_of_run(config)
        if found is None:
            raise ConfigError(f"{config} is no run folder: it has no config.toml.")
        config = found
    overrides = [*set_, *([] if quality is None else [f"quality={quality}"])]
    tuned = run_study(
        config, overrides, trials=trials, budget_minutes=None if budget is None else minutes(budget),
        workers=workers, out=out, overwrite=overwrite, show=True,
    )  # fmt: skip
    refuse_nothing(tuned.results, tuned.dir)
    print_trials(tuned.results)
    typer.echo(str(tuned.best))


def print_trials(results: dict[str, Any], most: int = 5) -> None:
    """The best trials and the first, importance, and what the score is of."""
    from ..studies.results import short

    monitor, keys = results["monitor"], list(results["search"])
    sign = -1 if monitor == "val_iou" else 1
    over = [row for row in results["trials"] if row["state"] == "complete" and row[monitor] is not None]
    columns = ["trial", monitor, "epoch", "seconds", *keys]
    lines = [columns]
    for row in sorted(over, key=lambda row: sign * row[monitor])[:most]:
        lines.append([
            str(row["trial"]), f"{row[monitor]:.4f}", str(row["epoch"]), f"{row['seconds']:.0f}",
            *(short(row[key]) for key in keys),
        ])  # fmt: skip
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        typer.echo("  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True)))
    states = [row["state"] for row in results["trials"]]
    counts = ", ".join(f"{states.count(name)} {name}" for name in dict.fromkeys(states))
    typer.echo(f"{len(states)} trials: {counts}.")
    if results["importance"]:
        shares = (f"{key} {value:.2f}" for key, value in results["importance"].items())
        typer.echo(f"Importance: {', '.join(shares)}")
    own = next((row for row in results["trials"] if row["trial"] == results["baseline_trial"]), None)
    if own is not None and own[monitor] is not None:
        typer.echo(f"The config as it is: {monitor} {own[monitor]:.4f} (trial {own['trial']}).")
    typer.echo(results["aim"])


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(tune)
