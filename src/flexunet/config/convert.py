"""A config of the reference as native TOML that trains identically."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, OutputExistsError, Problem
from ..files import write_text
from .loading import parse_config, read_config
from .writing import dump_toml


def convert_config(source: Path, target: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Write the config of `source` (either dialect) to `target` as commented TOML; gives the reader's notes.

    Paths are written relative to the new file where that reads back as the same path.

    Raises:
        ConfigError: everything wrong in `source`.
        OutputExistsError: `target` is there and `overwrite` is not given.
    """
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} is already there; allow to replace it with --overwrite.")
    loaded = read_config(source)
    preamble = "\n".join([f"Translated from {source.name}.", *loaded.notes])
    for folder in (target.parent.resolve(), None):
        text = dump_toml(loaded.config, comments=True, relative_to=folder, preamble=preamble)
        if parse_config(text, target).config == loaded.config:
            write_text(target, text)
            return loaded.notes
    raise ConfigError("The translation differs from its source:", [Problem("please report it.", source)])
