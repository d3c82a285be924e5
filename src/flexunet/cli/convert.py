"""`flexunet convert`: what the reference left behind, in flexunet's own forms."""

from __future__ import annotations

from pathlib import Path

import typer

from ..errors import ConfigError

MODEL_SUFFIXES = (".h5", ".hdf5", ".keras")


def convert_command(
    source: Path = typer.Argument(..., help="The reference's config file, or its best_model.h5."),
    target: Path = typer.Argument(..., help="File to write: new.toml, or model.safetensors."),
    config: Path | None = typer.Option(
        None, "--config", help="For a model: the train_eval_infer.config it was trained with."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace TARGET if it is there."),
) -> None:
    """Translate a config to TOML, or a trained Keras model to a model file.

    Example: flexunet convert train_eval_infer.config run.toml

    Example: flexunet convert best_model.h5 --config train_eval_infer.config model.safetensors
    """
    if source.suffix.lower() in MODEL_SUFFIXES:
        if config is None:
            raise ConfigError(f"{source}: --config names the config that this model was trained with.")
        _convert_model(source, config, target, overwrite=overwrite)
        return
    from ..config import convert_config

    for note in convert_config(source, target, overwrite=overwrite):
        typer.echo(f"Note: {note}", err=True)
    typer.echo(str(target))


def _convert_model(source: Path, config: Path, target: Path, *, overwrite: bool) -> None:
    from ..modelfile import convert_keras_model

    for note in convert_keras_model(source, config, target, overwrite=overwrite):
        typer.echo(f"Note: {note}", err=True)
    typer.echo(str(target))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert")(convert_command)
