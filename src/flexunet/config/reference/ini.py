"""The reference's INI text as entries with lines; tolerant where its author's meaning is plain.

The rules are those of Python's `configparser`, which the reference uses, less its traps: a `%`, a repeated
section or a key written twice alike does not make a whole file unreadable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import Problem

_HEADER = re.compile(r"\[([^\[\]]*)\]\s*(?:[;#].*)?$")
_PAIR = re.compile(r"([^=:\s][^=:]*?)\s*[=:](.*)$", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*$")


@dataclass(frozen=True)
class Entry:
    """One `key = value`: value as text without comments, line of its key."""

    section: str
    key: str
    text: str
    line: int


@dataclass
class Ini:
    """What a text holds, what was noticed on the way, and what is wrong with it."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    sections: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass
class _Open:
    """A value that may still go on."""

    section: str
    key: str
    text: str
    line: int
    indent: int


def read_ini(text: str, path: Path) -> Ini:
    """All entries of an INI text; problems for what cannot be meant in any one way."""
    return _Reader(path).read(text)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.ini = Ini()
        self.section: str | None = None
        self.value: _Open | None = None
        self.headless: list[tuple[str, int]] = []

    def read(self, text: str) -> Ini:
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            content = line.strip()
            if content and content[0] not in ";#":
                self.line(content, number, len(line) - len(line.lstrip()))
        self.close()
        if self.headless:
            names = ", ".join(name for name, _ in self.headless)
            self.problem(self.headless[0][1], f"{names} before the first [section].", "Add [model] above it.")
        return self.ini

    def line(self, content: str, number: int, indent: int) -> None:
        header, pair = _HEADER.match(content), _PAIR.match(content)
        new_key = pair is not None and _NAME.match(pair.group(1)) is not None
        if self.value is not None and not new_key:
            unfinished = bracket_depth(self.value.text) > 0
            section = header is not None and _NAME.match(header.group(1).strip()) is not None
            if (unfinished and not section) or (indent > self.value.indent and header is None):
                self.value.text += "\n" + self.bare(content, number)
                return
        if header is not None:
            self.close()
            self.open_section(header.group(1).strip(), number)
        elif pair is not None:
            if self.value is not None and indent > self.value.indent:
                self.note(number, f"{pair.group(1)} is indented; taken as a key of its own, not as more of")
                self.ini.notes[-1] += f" {self.value.key}."
            self.close()
            self.open_key(pair.group(1).strip().lower(), pair.group(2), number, indent)
        else:
            self.problem(number, f"{_short(content)} is no [section], no key = value and no comment.")

    def open_section(self, name: str, number: int) -> None:
        if name in self.ini.sections:
            self.note(
                number, f"[{name}] again, after line {self.ini.sections[name]}; both are taken together."
            )
        self.ini.sections.setdefault(name, number)
        self.section = name

    def open_key(self, key: str, text: str, number: int, indent: int) -> None:
        if self.section is None:
            self.headless.append((key, number))
        self.value = _Open(self.section or "", key, self.bare(text, number), number, indent)

    def close(self) -> None:
        """Take the value that ends here into the entries."""
        value, self.value = self.value, None
        if value is None or not value.section:
            return
        if "%" in value.text:
            where = f"{value.section}.{value.key}"
            self.note(
                value.line, f"{where} holds a %, which keeps the reference from reading the file at all."
            )
        entry = Entry(value.section, value.key, value.text.strip(), value.line)
        before = self.ini.entries.get((entry.section, entry.key))
        if before is None:
            self.ini.entries[entry.section, entry.key] = entry
        elif before.text == entry.text:
            self.note(entry.line, f"{entry.section}.{entry.key} again, the same as in line {before.line}.")
        else:
            what = f"{_short(entry.text)}, but {_short(before.text)} in line {before.line}."
            self.problem(entry.line, what, "Keep one of them.", f"{entry.section}.{entry.key}")

    def bare(self, text: str, number: int) -> str:
        """A line of a value without its comment."""
        at = _comment_at(text)
        if at is None:
            return text.strip()
        if text[at] == ";":
            self.note(
                number, "what follows the ; is taken as a comment (the reference would drop the value)."
            )
        return text[:at].strip()

    def note(self, line: int, what: str) -> None:
        self.ini.notes.append(f"Line {line}: {what}")

    def problem(self, line: int, what: str, cure: str | None = None, where: str | None = None) -> None:
        self.ini.problems.append(Problem(what, self.path, line, where, cure))


def bracket_depth(text: str) -> int:
    """How many brackets of a value are open at its end; strings are skipped."""
    depth = 0
    for _, character in _outside_strings(text):
        depth += (character in "([{") - (character in ")]}")
    return depth


def _comment_at(text: str) -> int | None:
    for at, character in _outside_strings(text):
        if character in ";#":
            return at
    return None


def _outside_strings(text: str) -> list[tuple[int, str]]:
    """Characters and their places outside quoted strings; a quote that is never closed quotes nothing."""
    found, at = [], 0
    while at < len(text):
        if text[at] in "'\"":
            end = _string_end(text, at)
            if end is not None:
                at = end
                continue
        found.append((at, text[at]))
        at += 1
    return found


def _string_end(text: str, start: int) -> int | None:
    at = start + 1
    while at < len(text) and text[at] != "\n":
        if text[at] == text[start]:
            return at + 1
        at += 1
    return None


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else text[:59] + "…")
