"""Which model file a user means: the file itself, the folder of a run, or the config of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import Config, read_config
from ..errors import ModelFileError

CONFIG_SUFFIXES = (".toml", ".config", ".ini", ".cfg", ".conf")
MODELS_OF_RUNS = (
    "model.safetensors",
    "models/best_model.safetensors",
    "best_model.safetensors",
    "ensemble.safetensors",
)
"""Where the best model lies in a run folder of either layout, or in the reference's `models`."""
CONFIGS_OF_RUNS = ("config.toml", "models/config.toml")
"""Where the resolved config lies beside it."""


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
        found = model_of_run(path)
        if found is None:
            begun = config_of_run(path) is not None
            cure = f" Train it, or go on: flexunet train {path} --resume" if begun else ""
            raise ModelFileError(
                f"{path}: holds no trained model (none of {', '.join(MODELS_OF_RUNS)}).{cure}"
            )
        return Located(found)
    if path.suffix.lower() not in CONFIG_SUFFIXES:
        return Located(path)
    loaded = read_config(path)
    return Located(model_of_config(loaded.config, path), loaded.config, loaded.notes)


def model_of_run(folder: Path) -> Path | None:
    """The best model in a run folder."""
    return _first(folder, MODELS_OF_RUNS)


def config_of_run(folder: Path) -> Path | None:
    """The resolved config in a run folder."""
    return _first(folder, CONFIGS_OF_RUNS)


def model_of_config(config: Config, path: Path) -> Path:
    """The model where training by `config`, read from `path`, puts it.

    Raises:
        ModelFileError: there is none; the message says how to come by it.
    """
    output = config.output
    if output.layout == "native":
        expected = output.dir / "model.safetensors"
    else:
        expected = (output.model_dir or output.dir / "models") / "best_model.safetensors"
    found = _first(expected.parent, (expected.name, *MODELS_OF_RUNS))
    if found is not None:
        return found
    keras = [item for ending in ("*.h5", "*.keras") for item in sorted(expected.parent.glob(ending))]
    cure = f"Train it first: flexunet train {path}"
    if keras:
        cure = f"Bring the Keras model over: flexunet convert {keras[0]} --config {path} {expected}"
    raise ModelFileError(f"{expected}: there is no trained model where {path.name} puts it. {cure}")


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
