"""A config as it was read, before it is checked: a tree of plain values and where each of them stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import Problem

Tree = dict[str, Any]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value stands: its line (from 1; None: command line) and the key as its writer knows it."""

    line: int | None
    key: str


@dataclass
class Draft:
    """What a reader of one dialect hands over: native keys, their places, and what it noticed on the way."""

    path: Path
    tree: Tree = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    from_command_line: set[KeyPath] = field(default_factory=set)

    def place(self, key_path: KeyPath) -> Place:
        """The place of a key, or of the nearest thing around it that has one."""
        for length in range(len(key_path), 0, -1):
            found = self.places.get(key_path[:length])
            if found is not None:
                return found if length == len(key_path) else Place(found.line, dotted(key_path))
        return Place(None, dotted(key_path))

    def problem(self, key_path: KeyPath, what: str, cure: str | None = None) -> None:
        """Note that the value at `key_path` is wrong."""
        place = self.place(key_path)
        path = None if key_path[: 2 if len(key_path) > 1 else 1] in self.from_command_line else self.path
        self.problems.append(Problem(what, path, place.line, place.key or None, cure))


def dotted(key_path: KeyPath) -> str:
    """`("data", "classes", 1, "name")` as `data.classes[1].name`."""
    text = ""
    for part in key_path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
