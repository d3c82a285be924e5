"""`flexunet preview`: what the network will be shown."""

from __future__ import annotations

from pathlib import Path

import typer


def preview_command(
    config: Path = typer.Argument(..., help="Config file in either dialect."),
    out: Path = typer.Option(Path("preview.png"), "--out", help="Contact sheet to write."),
    count: int = typer.Option(24, "--count", min=1, max=400, help="Samples to draw."),
    epoch: int = typer.Option(0, "--epoch", min=0, help="Epoch they are taken from, counted from 0."),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a setting of the config."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the sheet that is there."),
) -> None:
    """Draw augmented training samples with the outlines of their masks, as the network will see them.

    They are the very samples that training with this config starts with.

    Example: flexunet preview run.toml --count 32 --set augment.rotation=45
    """
    from ..config import read_config
    from ..training.preview import preview

    loaded = read_config(config, set_)
    for note in loaded.notes:
        typer.echo(f"Note: {note}", err=True)
    drawn = preview(loaded.config, out, count=count, epoch=epoch, overwrite=overwrite)
    typer.echo(f"{drawn} samples")
    typer.echo(str(out))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("preview")(preview_command)
