"""Going on with a run: the same settings, the same data, the saved state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..config import Config, Loaded, read_config
from ..errors import ConfigError, DataError, Problem
from ..prediction.locate import config_of_run
from .state import Progress, SavedState

MAY_DIFFER = {
    "train": {
        "devices", "num_nodes", "accelerator", "threads", "num_workers", "checkpoint_minutes", "compile",
        "channels_last", "patience",
        "epoch_pictures", "epoch_pictures_images", "epoch_pictures_whole", "epoch_pictures_tiled",
        "calibrate",
    },
    "data": {"cache_dir"},
}  # fmt: skip
"""Keys that a continued run may change: they do not change what is computed, only where and what is shown."""


def read_run(folder: Path, overrides: Sequence[str] = ()) -> Loaded | None:
    """The config of the run in a folder, wherever that has been moved to; None where no run is.

    A run goes on in the folder that it was found in, not in the one that it was begun in; `output.dir` among
    the overrides says otherwise.

    Raises:
        ConfigError: everything wrong in the config and the overrides.
    """
    path = config_of_run(folder)
    if path is None:
        return None
    loaded = read_config(path, overrides)
    output = loaded.config.output
    asked = any(override.partition("=")[0].strip() == "output.dir" for override in overrides)
    if asked or output.layout == "reference" or same_place(output.dir, folder):
        return loaded
    here = output.model_copy(update={"dir": folder.absolute()})
    note = f"the run was begun in {output.dir}; it goes on in {folder}."
    config = loaded.config.model_copy(update={"output": here})
    return replace(loaded, config=config, notes=(*loaded.notes, note))


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths are one folder, links and letter case of the system aside."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False


def continued(config: Config, saved: Path) -> Config:
    """The config to continue a run with: as given, with the number of epochs that a budget was turned into.

    Raises:
        ConfigError: settings differ from the run's that change its result.
    """
    earlier = read_config(saved).config
    if config.train.budget_minutes is not None:
        changes = {"epochs": earlier.train.epochs, "budget_minutes": None}
        config = config.model_copy(update={"train": config.train.model_copy(update=changes)})
    refuse_changes(config, earlier)
    return config


def refuse_changes(config: Config, earlier: Config) -> None:
    """Refuse settings that change the result of what was begun with `earlier`.

    Raises:
        ConfigError: all that differ.
    """
    before, now = earlier.model_dump(mode="json"), config.model_dump(mode="json")
    free = {name: set(keys) for name, keys in MAY_DIFFER.items()}
    if config.train.schedule in ("constant", "plateau"):
        free["train"].add("epochs")
    problems = [
        Problem(f"{now[section][key]!r} now, {value!r} in the run.", where=f"{section}.{key}")
        for section in ("data", "model", "train", "augment")
        for key, value in before[section].items()
        if key not in free.get(section, ()) and now[section].get(key) != value
    ]
    if problems:
        raise ConfigError(
            f"The run in {config.output.dir} was started with other settings. Undo the changes or train anew "
            f"with --overwrite or another output.dir:",
            problems,
        )


def restore(
    saved: SavedState | None,
    fingerprint: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None,
) -> Progress:
    """Put a saved state back into the run's parts; the progress it was saved at, or that of a new run.

    Raises:
        DataError: the training data are not those of the saved run.
        TrainingError: the state belongs to another network.
    """
    if saved is None:
        return Progress()
    if saved.identity.get("fingerprint") != fingerprint:
        raise DataError(
            "The training images or masks have changed since the run was started; it cannot be continued. "
            "Put them back, or train anew with --overwrite."
        )
    saved.restore(network, optimizer, average)
    return saved.progress
