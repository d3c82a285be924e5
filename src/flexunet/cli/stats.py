"""`flexunet stats`: what a dataset holds."""

from __future__ import annotations

import typer

from .dataset_target import Out, Overrides, Overwrite, Target, folder_for


def stats_command(target: Target, set_: Overrides, out: Out = None, overwrite: Overwrite = False) -> None:
    """Count images, classes, objects, sizes and band values of each split; charts and sample sheets.

    Writes stats.png, SPLIT_sample.png and stats.json.

    Example: flexunet stats WORK/bijie
    """
    from ..check.stats import STATS, stats, write_stats
    from .progress import show_progress

    folder = folder_for(target, set_, out, command="stats", main_file=STATS, overwrite=overwrite)
    with show_progress() as progress:
        found = stats(target, set_, progress=progress)
        written = write_stats(found, folder, overwrite=overwrite)
    typer.echo(found.text())
    for path in written:
        typer.echo(str(path))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats")(stats_command)
