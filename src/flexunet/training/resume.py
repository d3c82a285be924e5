"""Going on with a run: the same settings, the same data, the saved state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..config import Config, Loaded, read_config
from ..errors import ConfigError, DataError, Problem
from ..files import sha256_of
from ..modelfile import ORIGINS, read_record
from ..prediction.locate import config_of_run
from .folder import RunFolder
from .state import SavedState

MAY_DIFFER = {
    "train": {
        "devices", "num_nodes", "accelerator", "threads", "num_workers", "checkpoint_minutes", "compile",
        "channels_last", "patience",
        "epoch_pictures", "epoch_pictures_images", "epoch_pictures_whole", "epoch_pictures_tiled",
        "calibrate",
    },
    "data": {"cache_dir"},
}  # fmt: skip
"""Keys that a continued run may change: they do not change what is computed, only where and what is shown.
How many processes the devices come to, the saved state knows: see `refuse_another_run`.
"""


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


def continued(config: Config, folder: RunFolder) -> Config:
    """The config to continue a run with: as given, with the number of epochs that a budget was turned into.

    A model that the run started from or learns from may have been moved in the meantime.

    Raises:
        ConfigError: settings differ from the run's that change its result.
    """
    earlier = read_config(folder.config).config
    if config.train.budget_minutes is not None:
        changes = {"epochs": earlier.train.epochs, "budget_minutes": None}
        config = config.model_copy(update={"train": config.train.model_copy(update=changes)})
    moved = {
        part: getattr(config.train, part) for part in ORIGINS if _moved(config, earlier, folder.last, part)
    }
    earlier = earlier.model_copy(update={"train": earlier.train.model_copy(update=moved)})
    refuse_changes(config, earlier, epochs=config.train.schedule in ("constant", "plateau"))
    return config


def _moved(config: Config, earlier: Config, last: Path, part: str) -> bool:
    """Whether a model has another place now than when the run was begun, and is the same."""
    now, before = getattr(config.train, part), getattr(earlier.train, part)
    if now is None or before is None or now == before or not last.is_file():
        return False
    known = read_record(last).training.get(part) or {}
    return bool(known.get("sha256") == sha256_of(now))


def refuse_changes(config: Config, earlier: Config, *, epochs: bool = False) -> None:
    """Refuse settings that change the result of what was begun with `earlier`; `epochs`: those may change.

    Raises:
        ConfigError: all that differ.
    """
    before, now = earlier.model_dump(mode="json"), config.model_dump(mode="json")
    free = {name: set(keys) for name, keys in MAY_DIFFER.items()}
    if epochs:
        free["train"].add("epochs")
    if earlier.train.precision == "auto":
        free["train"].add("precision")  # what it stood for is in the state, and is compared there
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


def refuse_another_run(saved: SavedState, identity: Mapping[str, str], config: Config) -> None:
    """Refuse to go on where data, batches or precision are not those that the state was computed with.

    Raises:
        DataError: the training data are others.
        ConfigError: it was computed with another number of images a step or of batches an epoch, or in
            another precision. States of earlier versions do not tell, and are gone on with.
    """
    if saved.identity.get("fingerprint") != identity["fingerprint"]:
        raise DataError(
            "The training images or masks have changed since the run was started; it cannot be continued. "
            "Put them back, or train anew with --overwrite."
        )
    before = {name: saved.identity.get(name, value) for name, value in identity.items()}
    share, problems = config.train.batch_size, []
    if before["global_batch"] != identity["global_batch"]:
        now, then = (int(found["global_batch"]) for found in (identity, before))
        problems.append(Problem(
            f"{now} images a step now ({_processes(now // share)}), {then} in the run.",
            where="train.devices",
            cure=f"Go on with {_processes(then // share)} (train.devices times train.num_nodes).",
        ))  # fmt: skip
    elif before["steps_per_epoch"] != identity["steps_per_epoch"]:
        problems.append(Problem(
            f"{identity['steps_per_epoch']} batches an epoch now, {before['steps_per_epoch']} in the run.",
            where="train.steps_per_epoch", cure="Go on with the version of flexunet that began it.",
        ))  # fmt: skip
    if before["precision"] != identity["precision"]:
        problems.append(Problem(
            f"{identity['precision']} now, {before['precision']} in the run.", where="train.precision",
            cure=f'Set train.precision = "{before["precision"]}", or go on where it was begun.',
        ))  # fmt: skip
    if problems:
        raise ConfigError(
            f"The run in {config.output.dir} would not go on as it was begun. Do as said, or train anew with "
            f"--overwrite or another output.dir:",
            problems,
        )


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
