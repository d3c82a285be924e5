"""The entries of a reference config as typed values by their proper section and key."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import Problem
from .ini import Entry, Ini
from .keys import ELDER, KEYS, MISSPELT, SILENT_SECTIONS, WITHOUT_EFFECT, Kind
from .literals import Bare, NoLiteral, Repaired, literal

SAFE_LIKENESS = 0.86
"""From here on a misspelt key is taken for the known one, if no second one is nearly as like."""
_LIKENESS = 0.6
_CLEAR_LEAD = 0.02

Key = tuple[str, str]


@dataclass(frozen=True)
class Value:
    """A value that was written, with the entry it came from."""

    value: Any
    entry: Entry

    @property
    def written_as(self) -> str:
        return f"{self.entry.section}.{self.entry.key}"


class Values:
    """What a config says, asked for by section and key; notes, problems and ignored keys come with it."""

    def __init__(self, ini: Ini, path: Path, about: str = "") -> None:
        self.path = path
        self.about = about
        """What the config is about: all of its text, comments too."""
        self.notes = list(ini.notes)
        self.problems = list(ini.problems)
        self.sections = {_known_section(name) or name for name in ini.sections}
        self.ignored: list[str] = []
        self._ini = ini
        self._found: dict[Key, Value] = {}
        self._note_sections()
        for key, entry in self._resolved().items():
            self._read(key, entry)

    def get(self, section: str, key: str, default: Any = None) -> Any:
        """The value of a key, or `default` where it is not written."""
        found = self._found.get((section, key))
        return default if found is None else found.value

    def written(self, section: str, key: str) -> Value | None:
        """The value with its place, or None where it is not written."""
        return self._found.get((section, key))

    def drop(self, section: str, key: str, why: str) -> None:
        """List a written key as without effect."""
        found = self._found.get((section, key))
        if found is not None:
            self.ignored.append(f"{found.written_as} ({why})")

    def drop_sections(self, sections: tuple[str, ...], why: str) -> None:
        """List sections, as far as anything is written in them, as without effect."""
        written = [name for name in sections if any(section == name for section, _ in self._found)]
        if written:
            self.ignored.append(f"{', '.join(f'[{name}]' for name in written)} ({why})")

    def note(self, entry: Entry, what: str) -> None:
        """Say something about an entry."""
        self.notes.append(f"Line {entry.line}, {entry.section}.{entry.key}: {what}")

    def problem(self, entry: Entry, what: str, cure: str | None = None) -> None:
        """Report an entry as wrong."""
        where = f"{entry.section}.{entry.key}"
        self.problems.append(Problem(what, self.path, entry.line, where, cure))

    def missing(self, section: str, key: str, cure: str) -> None:
        """Report a key that has to be written and is not."""
        if (section, key) in self._failed:
            return
        line = self._ini.sections.get(section)
        self.problems.append(Problem("is needed and missing.", self.path, line, f"{section}.{key}", cure))

    # ------------------------------------------------------------------------------------------- which key

    def _note_sections(self) -> None:
        for name, line in self._ini.sections.items():
            known = _known_section(name)
            if known is not None and known != name:
                self.notes.append(f"Line {line}: [{name}] resembles [{known}] and is taken for it.")

    def _resolved(self) -> dict[Key, Entry]:
        """Entries by their proper section and key: exact names first, then those that only resemble one."""
        self._failed: set[Key] = set()
        found: dict[Key, Entry] = {}
        open_entries: list[tuple[Key, Entry]] = []
        for (section, key), entry in self._ini.entries.items():
            section = _known_section(section) or section
            if key in KEYS.get(section, {}):
                found[section, key] = entry
            elif (section, key) in ELDER:
                found.setdefault(ELDER[section, key], entry)
            else:
                open_entries.append(((section, key), entry))
        for key_pair, entry in open_entries:
            target = self._likely(key_pair, entry, found)
            if target is not None:
                found[target] = entry
        return found

    def _likely(self, written: Key, entry: Entry, found: dict[Key, Entry]) -> Key | None:
        """The known key that an unknown one is taken for, with a note; None where that is unsafe."""
        section, key = written
        if key in WITHOUT_EFFECT.get(section, ()) or section in SILENT_SECTIONS:
            self.ignored.append(f"{entry.section}.{entry.key}")
            return None
        target, like = self._resembling(section, key)
        if target is None:
            self.ignored.append(f"{entry.section}.{entry.key} (unknown)")
            return None
        name = ".".join(target)
        if target in found:
            self.note(entry, f"is no known key; it resembles {name}, which is written too, so it is ignored.")
        elif like < SAFE_LIKENESS:
            self.note(entry, f"is no known key and is ignored; the nearest one is {name}.")
        elif target[1] == key:
            self.note(
                entry, f"stands in the wrong section, where the reference overlooks it; taken as {name}."
            )
            return target
        else:
            self.note(entry, f"is no known key; it resembles {name} and is taken for it.")
            return target
        return None

    def _resembling(self, section: str, key: str) -> tuple[Key | None, float]:
        """The known key most like this one, and how like; 0 where two are nearly as like."""
        if (section, key) in MISSPELT:
            return (section, MISSPELT[section, key]), 1.0
        homes = [name for name, keys in KEYS.items() if key in keys]
        if len(homes) == 1:
            return (homes[0], key), 1.0
        here = list(KEYS.get(section) or dict.fromkeys(name for keys in KEYS.values() for name in keys))
        near = difflib.get_close_matches(key, here, n=2, cutoff=_LIKENESS)
        if not near:
            return None, 0.0
        likeness = [difflib.SequenceMatcher(None, key, name).ratio() for name in near]
        homes = [section] if section in KEYS else [name for name, keys in KEYS.items() if near[0] in keys]
        clear = len(near) == 1 or likeness[0] - likeness[1] > _CLEAR_LEAD
        return (homes[0], near[0]), likeness[0] if clear and len(homes) == 1 else _LIKENESS

    # ----------------------------------------------------------------------------------------- which value

    def _read(self, key: Key, entry: Entry) -> None:
        if not entry.text:
            self.note(entry, "has no value; taken as not written.")
            return
        kind = KEYS[key[0]][key[1]]
        if kind is Kind.PATH:
            text = _path_text(entry.text)
            if text is not None:
                self._found[key] = Value(text, entry)
                return
        try:
            value = self._typed(literal(entry.text), kind, entry)
        except (NoLiteral, _Misfit) as error:
            self._failed.add(key)
            shown = " ".join(entry.text.split())
            shown = shown if len(shown) <= 60 else shown[:59] + "…"
            self.problem(entry, f"{shown} {error}.", f"Expected {kind.value}.")
            return
        if value is not None:
            self._found[key] = Value(value, entry)

    def _typed(self, value: Any, kind: Kind, entry: Entry) -> Any:
        if isinstance(value, Repaired):
            self.note(entry, f"{entry.text} lacks a comma; read as {value.value}.")
            value = value.value
        if isinstance(value, Bare):
            value = self._unquoted(value.text, kind, entry)
        if value is None:
            return None
        if kind is Kind.PAIR:
            value = self._pair(value, entry)
        return _fitting(value, kind)

    def _unquoted(self, text: str, kind: Kind, entry: Entry) -> Any:
        """What text without quotes stands for: itself where text is taken, or a misspelt True or False."""
        if kind in (Kind.TEXT, Kind.PATH):
            self.note(entry, f"{text} lacks quotes (the reference would drop it); taken as text.")
            return text
        near = difflib.get_close_matches(text.lower(), ["true", "false", "none"], n=1, cutoff=0.5)
        if kind is Kind.FLAG and near:
            word = near[0].capitalize()
            self.note(entry, f"{text} resembles {word} and is taken for it.")
            return {"True": True, "False": False, "None": None}[word]
        raise _Misfit

    def _pair(self, value: Any, entry: Entry) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            self.note(entry, f"one number where the reference takes a pair; read as ({value},{value}).")
            return (value, value)
        return value


class _Misfit(ValueError):
    """A literal of another kind than the key takes."""

    def __str__(self) -> str:
        return "does not fit"


def _known_section(name: str) -> str | None:
    """The section a name stands for: itself, another case of it, or a clear misspelling."""
    known = [*KEYS, *SILENT_SECTIONS]
    if name in known:
        return name
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.8)
    return near[0] if near else None


def _path_text(text: str) -> str | None:
    """A quoted path as its writer meant it: a backslash parts folders and escapes nothing."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0] or text[0] in text[1:-1]:
        return None
    inside = text[1:-1].strip()
    if "\\" not in inside:
        return inside or None
    return inside.replace("\\\\", "\\").replace("\\", "/")


def _fitting(value: Any, kind: Kind) -> Any:
    """The value as the kind wants it.

    Raises:
        _Misfit: when it is of another kind.
    """
    match kind, value:
        case Kind.FLAG, bool():
            return value
        case Kind.FLAG, 0 | 1:
            return bool(value)
        case ((Kind.WHOLE | Kind.NUMBER | Kind.NUMBERS | Kind.TEXTS), bool()):
            raise _Misfit
        case Kind.WHOLE, int():
            return value
        case Kind.WHOLE, float() if value.is_integer():
            return int(value)
        case Kind.NUMBER, int() | float():
            return value
        case ((Kind.TEXT | Kind.PATH), str()) if value.strip():
            return value.strip()
        case Kind.TEXTS, str():
            return [value]
        case Kind.TEXTS, list() | tuple() if all(isinstance(item, str) for item in value):
            return list(value)
        case Kind.NUMBERS, int() | float():
            return [value]
        case Kind.NUMBERS, list() | tuple() if all(_is_number(item) for item in value):
            return list(value)
        case Kind.PAIR, list() | tuple() if len(value) == 2 and all(_is_whole(item) for item in value):
            return tuple(value)
        case Kind.POINTS, list() | tuple() if all(_is_point(item) for item in value):
            return [list(item) for item in value]
        case Kind.COLOURS, dict() if value and all(_is_colour(k) and _is_whole(v) for k, v in value.items()):
            return value
    raise _Misfit


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_point(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(item) for item in value)


def _is_colour(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(_is_whole(v) and 0 <= v <= 255 for v in value)
