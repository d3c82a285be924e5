"""`flexunet init DATASET > run.toml`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer


def init_command(
    dataset: Path = typer.Argument(
        ..., help="Dataset folder: {train,valid,test}/{images,masks}, or images/ with masks/, or raw Bijie."
    ),
    masks: int = typer.Option(200, "--masks", min=1, help="Masks that are looked into, evenly spread."),
    out: Path | None = typer.Option(None, "--out", help="Write this file in place of the standard output."),
) -> None:
    """Write a config for a dataset: classes and colours found in its masks, every option explained.

    What was found stands at the top of the config; what needs attention is also said on the screen.

    Example: flexunet init WORK/bijie > run.toml
    """
    from ..check.survey import survey
    from ..check.survey_config import config_text
    from ..errors import OutputExistsError
    from ..files import write_text
    from .progress import show_progress

    if out is not None and out.exists():
        raise OutputExistsError(f"{out} is already there; name another file or remove it.")
    with show_progress() as progress:
        found = survey(dataset, max_files=masks, progress=progress)
    for problem in found.problems:
        typer.echo(f"To look at: {problem}", err=True)
    text = config_text(found, None if out is None else out.parent)
    if out is None:
        sys.stdout.buffer.write(text.encode("utf-8"))  # a TOML file is UTF-8 whatever the terminal is
    else:
        write_text(out, text)
        typer.echo(str(out))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init_command)
