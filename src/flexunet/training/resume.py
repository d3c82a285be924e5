"""Going on with a run: the same settings, the same data, the saved state."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..config import Config, read_config
from ..errors import ConfigError, DataError, Problem
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
