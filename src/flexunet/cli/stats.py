"""`flexunet stats`: what a dataset holds."""

from __future__ import annotations

from pathlib import Path

import typer


def stats_command(
    target: Path = typer.Argument(..., metavar="DATASET|CONFIG", help="Dataset folder, or a config."),
    out: Path | None = typer.Option(
        None, "--out", help="Folder of the page; left out: NAME_stats in the current folder."
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a setting of the config."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the statistics that are there."),
) -> None:
    """Count images, classes, objects, sizes and band values of each split; charts and sample sheets.

    Writes stats.png, SPLIT_sample.png and stats.json.

    Example: flexunet stats WORK/bijie
    """
    from ..check.stats import STATS, stats, write_stats
    from ..errors import DataError, OutputExistsError
    from .progress import show_progress

    if set_ and target.is_dir():
        raise DataError("--set changes a config; give the config in place of the dataset folder.")
    name = target.resolve().name if target.is_dir() else target.stem
    folder = out if out is not None else Path(f"{name}_stats")
    if (folder / STATS).exists() and not overwrite:
        raise OutputExistsError(f"{folder} holds statistics already. Use --overwrite, or another --out.")
    with show_progress() as progress:
        found = stats(target, set_, progress=progress)
        written = write_stats(found, folder, overwrite=overwrite)
    typer.echo(found.text())
    for path in written:
        typer.echo(str(path))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(stats_command)
