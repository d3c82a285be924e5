"""A config as native TOML that reads back as the same config."""

from __future__ import annotations

import json
import math
import os
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .describe import expected_at, models_in
from .draft import KeyPath, dotted
from .recipes import RECIPES
from .schema import Config, SplitConfig

_WIDTH = 110
_FOLDERS = '{ images = ["folder"], masks = ["folder"] }'


def dump_toml(
    config: Config,
    *,
    comments: bool = False,
    active: Collection[str] | None = None,
    relative_to: Path | None = None,
    preamble: str = "",
) -> str:
    """`config` as native TOML.

    Args:
        config: what to write; read back, it gives an equal config (paths are made absolute by reading).
        comments: put each field's description above it, and show the fields that are left out.
        active: the dotted keys (`data.root`) that are written out, all others as comments; None: all.
        relative_to: write paths relative to this folder, where the file will lie.
        preamble: text that stands as a comment at the top.
    """
    filled_in = frozenset(RECIPES[config.quality]) if config.quality else frozenset()
    writer = _Writer(comments, None if active is None else set(active), relative_to, filled_in)
    lines = [wrapped for line in preamble.splitlines() for wrapped in _comment(line)]
    for name in type(config).model_fields:
        value = getattr(config, name)
        section = isinstance(value, BaseModel)
        lines += ["", *writer.section((name,), value)] if section else writer.field((name,), value, Config)
    return "\n".join(lines).strip() + "\n"


class _Writer:
    """filled_in: keys that reading would fill in if they were left out."""

    def __init__(
        self, comments: bool, active: set[str] | None, relative_to: Path | None, filled_in: frozenset[str]
    ) -> None:
        self.comments = comments
        self.active = active
        self.relative_to = relative_to
        self.filled_in = filled_in

    def section(self, key_path: KeyPath, model: BaseModel) -> Iterator[str]:
        """A table: its plain fields first, then the tables inside it."""
        inner: list[str] = []
        if self.comments and type(model).__doc__:
            yield from _comment(str(type(model).__doc__).split("\n")[0])
        yield f"[{dotted(key_path)}]"
        for name in type(model).model_fields:
            value, path = getattr(model, name), (*key_path, name)
            if isinstance(value, BaseModel):
                inner += ["", *self.section(path, value)]
            else:
                yield from self.field(path, value, type(model))
        yield from inner

    def field(self, key_path: KeyPath, value: Any, model: type[BaseModel]) -> Iterator[str]:
        name = str(key_path[-1])
        field = model.model_fields[name]
        left_out = value is None and field.default is None and dotted(key_path) not in self.filled_in
        if left_out and not self.comments:
            return
        if self.comments:
            accepts = expected_at(key_path) or ""
            text = (field.description or "").replace("\n", " ")
            yield ""
            yield from _comment(f"{text} ({accepts})" if _plain(accepts) else text)
        if left_out:
            models = models_in(field.annotation)
            example = _FOLDERS if SplitConfig in models else self.value(models[0]()) if models else ""
            yield f"#{name} = {example}".rstrip()
            return
        for number, line in enumerate(self.pair(name, value)):
            if self.is_active(key_path):
                yield line
            else:
                yield f"#{line}" if number == 0 or line == "]" else f"# {line}"

    def is_active(self, key_path: KeyPath) -> bool:
        """Whether a field, or a table around it, is one to be written out."""
        around = (dotted(key_path[:length]) for length in range(1, len(key_path) + 1))
        return self.active is None or any(name in self.active for name in around)

    def pair(self, name: str, value: Any) -> list[str]:
        if value is None:
            return [f'{name} = "none"']
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            return [f"{name} = [", *(f"  {self.value(item)}," for item in value), "]"]
        line = f"{name} = {self.value(value)}"
        if isinstance(value, tuple) and len(line) > _WIDTH:
            return [f"{name} = [", *(f"  {self.value(item)}," for item in value), "]"]
        return [line]

    def value(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, Path):
            return _text(self.path(value))
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, tuple):
            return f"[{', '.join(self.value(item) for item in value)}]"
        assert isinstance(value, BaseModel), value
        pairs = ((name, getattr(value, name)) for name in type(value).model_fields)
        return "{ " + ", ".join(f"{name} = {self.value(v)}" for name, v in pairs if v is not None) + " }"

    def path(self, path: Path) -> str:
        if self.relative_to is not None and path.is_absolute():
            try:
                return Path(os.path.relpath(path, self.relative_to)).as_posix()
            except ValueError:
                return path.as_posix()  # another drive
        return path.as_posix()


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return repr(value)


def _text(text: str) -> str:
    """A basic TOML string: JSON's escapes, and DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> list[str]:
    """A text as comment lines; where it goes on, it is indented a little more."""
    indent = text[: len(text) - len(text.lstrip())]
    more = f"{indent}  " if indent else ""
    lines = textwrap.wrap(text.strip(), _WIDTH - 2, initial_indent=indent, subsequent_indent=more)
    return [f"# {line}".rstrip() for line in lines or [""]]


def _plain(accepts: str) -> bool:
    """Whether the words for a field's values tell more than the value beside them does."""
    return "table with" not in accepts and accepts not in (
        "true or false",
        "text in quotes",
        "a path in quotes",
    )
