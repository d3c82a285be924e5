"""Native keys set from a reference config, each with the place that a complaint about it should name."""

from __future__ import annotations

from typing import Any

from ..draft import Draft, KeyPath, Place
from .values import Values


class Native:
    """Fills a draft in native keys from the values of a reference config."""

    def __init__(self, values: Values, draft: Draft) -> None:
        self.values = values
        self.draft = draft

    def put(self, native: str, value: Any, *sources: str) -> None:
        """Set a native key; `sources` are the reference's keys that a complaint about it should name."""
        path: KeyPath = tuple(native.split("."))
        holder = self.draft.tree
        for part in path[:-1]:
            holder = holder.setdefault(str(part), {})
        holder[str(path[-1])] = value
        for source in sources:
            section, key = source.split(".")
            written = self.values.written(section, key)
            if written is not None:
                self.draft.places[path] = Place(written.entry.line, written.written_as)
                return
        if sources:
            self.draft.places[path] = Place(None, sources[0])

    def copy(self, native: str, source: str, default: Any = None) -> None:
        """Set a native key to a reference's key, or to the reference's default."""
        section, key = source.split(".")
        value = self.values.get(section, key, default)
        if value is not None:
            self.put(native, value, source)

    def needed(self, native: str, source: str, example: object) -> None:
        """Set a native key to a reference's key that has no default."""
        section, key = source.split(".")
        if self.values.written(section, key) is None:
            self.values.missing(section, key, f"For example {key} = {example}.")
        else:
            self.copy(native, source)
