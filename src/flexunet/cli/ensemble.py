"""`flexunet ensemble`: trained models that speak as one."""

from __future__ import annotations

from pathlib import Path

import typer

from ..errors import ConfigError, OutputExistsError


def ensemble(
    models: list[Path] = typer.Argument(
        ..., metavar="MODEL...", help="Two or more model files, or folders of runs."
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Model file to write, such as together.safetensors."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the file if it is there."),
) -> None:
    """Put trained models into one model file that gives the mean of their probabilities.

    They may differ in architecture and normalisation; classes and bands must be the same. Networks of
    different kinds add more than seeds of one. Folds and seeds of one `train` are put together by it.

    Example: flexunet ensemble runs/bijie runs/bijie-framed -o together.safetensors
    """
    from ..modelfile import save_ensemble
    from ..prediction import locate_model

    if len(models) < 2:
        raise ConfigError(f"{models[0]} alone is no ensemble: name two models or more.")
    if out.suffix.lower() != ".safetensors":
        raise ConfigError(f"{out}: a model file is called NAME.safetensors.")
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is there already. Use --overwrite, or name another file.")
    record = save_ensemble(out, [locate_model(model).model for model in models])
    typer.echo(f"{out}: the mean of {len(record.members)} models.")
    typer.echo(
        f"Not calibrated yet; on data with a validation split that none was trained on:\n"
        f"  flexunet evaluate {out} --data FOLDER --calibrate",
        err=True,
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ensemble")(ensemble)
