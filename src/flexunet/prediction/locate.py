"""Which model file a user means: the file itself, the folder of a run, or the config of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import Config, read_config
from ..errors import ModelFileError

CONFIG_SUFFIXES = (".toml", ".config", ".ini", ".cfg", ".conf")
IN_A_RUN = ("model.safetensors", "models/best_model.safetensors", "best_model.safetensors")


@dataclass(frozen=True)
class Located:
    """A model file, and the config that led to it."""

    model: Path
    config: Config | None = None
    notes: tuple[str, ...] = ()
    """What its owner should know of how the config was understood."""


def locate_model(path: Path) -> Located:
    """The model file that `path` stands for: itself, the best one of a run folder, or the one a config
    trains.

    Raises:
        ModelFileError: no model is there.
        ConfigError: the config cannot be used.
    """
    if path.is_dir():
        found = next((path / name for name in IN_A_RUN if (path / name).is_file()), None)
        if found is None:
            raise ModelFileError(f"{path}: holds no trained model (none of {', '.join(IN_A_RUN)}).")
        return Located(found)
    if path.suffix.lower() not in CONFIG_SUFFIXES:
        return Located(path)
    loaded = read_config(path)
    model = _place(loaded.config)
    if not model.is_file():
        keras = [item for ending in ("*.h5", "*.keras") for item in sorted(model.parent.glob(ending))]
        cure = f"Train it first: flexunet train {path}"
        if keras:
            cure = f"Bring the Keras model over: flexunet convert {keras[0]} --config {path} {model}"
        raise ModelFileError(f"{model}: there is no trained model where {path.name} puts it. {cure}")
    return Located(model, loaded.config, loaded.notes)


def _place(config: Config) -> Path:
    """Where training puts the best model."""
    output = config.output
    if output.layout == "native":
        return output.dir / "model.safetensors"
    return (output.model_dir or output.dir / "models") / "best_model.safetensors"
