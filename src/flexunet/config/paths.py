"""Relative paths become absolute: from the config's folder, or from where they are really found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .draft import Draft, KeyPath
from .schema import Config

OUTPUTS = {
    ("output",),
    ("predict", "out"),
    ("predict", "tiled_out"),
    ("data", "cache_dir"),
}
"""Keys whose folders are made, not looked for."""


def absolute(config: Config, draft: Draft, working: Path) -> Config:
    """`config` with every path absolute.

    Paths in a file count from the file's folder; if what is to be read is not there but is below the working
    folder, that is taken, and the draft gets a note. Paths from the command line count the other way round.
    """
    home = draft.path.parent.resolve()
    changed: dict[Path, None] = {}

    def place(path: Path, key_path: KeyPath) -> Path:
        if path.parts[:1] == ("~",):
            path = _from_home(path)
        by_hand = any(key_path[: len(key)] == key for key in draft.from_command_line)
        first, second = (working, home) if by_hand else (home, working)
        if path.is_absolute():
            return _joined(path, path)
        here, there = _joined(first, path), _joined(second, path)
        is_output = any(key_path[: len(key)] == key for key in OUTPUTS)
        if is_output or here == there or _exists(here) or not _exists(there):
            return here
        changed[there] = None
        return there

    result: Config = _map_paths(config, (), place)
    if changed:
        names = ", ".join(str(path) for path in changed)
        where = "the working folder" if working != home else "the config's folder"
        draft.notes.append(f"Not found from the folder of {draft.path.name}, so taken from {where}: {names}")
    return result


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # nobody's home
        return path


def _joined(folder: Path, path: Path) -> Path:
    # `folder` is free of links, so `..` may be taken away by name; `*` stays as it is
    return Path(os.path.normpath(folder / path))


def _exists(path: Path) -> bool:
    """Whether a path is there; of one with `*`, whether anything matches."""
    parts = path.parts
    stars = [number for number, part in enumerate(parts) if "*" in part or "?" in part]
    try:
        if not stars:
            return path.exists()
        start = Path(*parts[: stars[0]])
        return start.is_dir() and any(True for _ in start.glob("/".join(parts[stars[0] :])))
    except (OSError, ValueError):
        return False


def _map_paths(value: Any, key_path: KeyPath, place: Any) -> Any:
    if isinstance(value, Path):
        return place(value, key_path)
    if isinstance(value, tuple):
        return tuple(_map_paths(item, (*key_path, number), place) for number, item in enumerate(value))
    if isinstance(value, BaseModel):
        changes = {
            name: new
            for name, old in fields_of(value)
            if (new := _map_paths(old, (*key_path, name), place)) != old
        }
        # every field is set, so that two configs that say the same are the same however they were written
        return value.model_copy(update=changes) if changes else value
    return value


def fields_of(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Names and values of a model's fields, in the schema's order."""
    for name in type(model).model_fields:
        yield name, getattr(model, name)
