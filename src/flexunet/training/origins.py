"""What a run comes of: weights and models that are there before it, and what they have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..config import Config
from ..errors import ConfigError
from ..modelfile import ORIGINS, learned_from, read_record
from ..nets import check_weights
from .material import open_stores
from .start import with_network_of_start
from .teacher import check_teacher


def with_origins(config: Config) -> Config:
    """`config` with the network that will be trained, after a look at everything that it comes of.

    Nothing is written or removed before this has been called.

    Raises:
        ModelFileError: a model file that cannot be used.
        ConfigError: it does not fit the config, or an ImageNet encoder's weights are missing or damaged.
    """
    config = with_network_of_start(config)
    if config.train.start_from is None:
        check_weights(config.model)
    if config.train.teacher is not None:
        check_teacher(config, config.train.teacher, read_record(config.train.teacher))
    return config


def refuse_own(config: Config, files: Iterable[Path]) -> None:
    """Refuse a model that the run comes of among the files that it writes.

    Raises:
        ConfigError: it would be lost.
    """
    written = {path.resolve() for path in files}
    for part, path in _others(config):
        if path.resolve() in written:
            raise ConfigError(
                f"{ORIGINS[part]}, {path}, lies where this run writes its own. Choose another output.dir: "
                f"--set output.dir=FOLDER."
            )


def refuse_seen(config: Config) -> list[str]:
    """Refuse to hold out images that a model which the runs come of was trained on; what nobody knows.

    Raises:
        ConfigError: it was trained on the train or valid split.
        DataError: images that cannot be used.
    """
    others = list(_others(config))
    stores = open_stores(config.data) if others else ()
    here = {store.fingerprint for store in stores if store is not None}
    unknown = []
    for part, path in others:
        seen = learned_from(read_record(path))
        if seen and here.intersection(seen):
            raise ConfigError(
                f"{ORIGINS[part]}, {path}, was trained on images that are to be held out: the scores would "
                f"be too good to be true. Leave it out (train.{part}), or take other images."
            )
        unknown.append(
            f"Not known whether {ORIGINS[part]}, {path.name}, was trained on images that are held out here."
        )
    return unknown


def _others(config: Config) -> Iterator[tuple[str, Path]]:
    for part in ORIGINS:
        path = getattr(config.train, part)
        if path is not None:
            yield part, path
