"""`--set train.epochs=20`: values from the command line over those of the file."""

from __future__ import annotations

import ast
import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel

from ..errors import Problem
from .describe import allows, fields_at, models_in
from .draft import Draft, KeyPath, Place
from .schema import Config


def apply_overrides(draft: Draft, overrides: Sequence[str]) -> None:
    """Put each `section.key=value` into the draft's tree.

    A value is a TOML literal, a Python literal (`True`, `(1, 2)`), or bare text. `none` gives back what a key
    means when it is left out or switched off. Paths count from the working folder.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            _fault(
                draft, override, "is not of the form section.key=value.", "For example --set train.epochs=20."
            )
            continue
        key_path: KeyPath = tuple(int(part) if part.isdigit() else part for part in parts)
        if not fields_at(key_path):
            _fault(draft, override, "sets an unknown key.", _nearest(parts))
            continue
        _put(draft, key_path, _literal(text.strip(), key_path), override)


def _literal(text: str, key_path: KeyPath) -> Any:
    if text.lower() == "none" and any(allows(field, NoneType) for field in fields_at(key_path)):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):
        pass  # not TOML; shells eat quotes, so bare text and Python's spelling are welcome too
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return value if isinstance(value, (bool, int, float, str, list)) else _listed(value, text)


def _listed(value: object, text: str) -> Any:
    return (
        [_listed(item, text) if isinstance(item, tuple) else item for item in value]
        if isinstance(value, tuple)
        else text
    )


def _put(draft: Draft, key_path: KeyPath, value: Any, override: str) -> None:
    holder: Any = draft.tree
    for number, part in enumerate(key_path[:-1]):
        if isinstance(holder, dict):
            is_list = isinstance(key_path[number + 1], int)
            missing = _default_list(key_path[: number + 1]) if is_list else {}
            holder = holder.setdefault(str(part), missing)
        elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
            holder = holder[part]
        else:
            _fault(draft, override, f"reaches into something that has no {part!r}.")
            return
    last = key_path[-1]
    if isinstance(holder, dict):
        if value is None and _default_is_none(key_path):
            holder.pop(str(last), None)
        else:
            holder[str(last)] = value
    elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
        holder[last] = value
    else:
        _fault(draft, override, f"reaches into something that has no {last!r}.")
        return
    for path in [path for path in draft.places if path[: len(key_path)] == key_path]:
        del draft.places[path]
    draft.places[key_path] = Place(None, f"--set {override}")
    draft.from_command_line.add(key_path)


def _default_list(key_path: KeyPath) -> list[Any]:
    """The list that a key stands for when it is left out, to change one item of it."""
    default = next((field.default for field in fields_at(key_path)), ())
    items = default if isinstance(default, tuple) else ()
    return [item.model_dump(mode="json") if isinstance(item, BaseModel) else item for item in items]


def _default_is_none(key_path: KeyPath) -> bool:
    return all(field.default is None for field in fields_at(key_path))


def known_keys() -> list[str]:
    """Every `section.key` of the schema."""
    return [
        f"{section}.{name}"
        for section, field in Config.model_fields.items()
        for model in models_in(field.annotation)
        for name in model.model_fields
    ]


def _nearest(parts: list[str]) -> str:
    known = known_keys()
    near = difflib.get_close_matches(".".join(parts), known, n=1, cutoff=0.5) or [
        name for name in known if name.split(".")[1] == parts[-1]
    ]
    return f"Did you mean {near[0]}?" if near else "Keys are section.key, such as train.epochs."


def _fault(draft: Draft, override: str, what: str, cure: str | None = None) -> None:
    draft.problems.append(Problem(what, None, None, f"--set {override}", cure))


def working_folder() -> Path:
    """The folder that paths on the command line count from."""
    return Path.cwd()
