"""The line of every key in a TOML text."""

from __future__ import annotations

import re
from contextlib import suppress

from .draft import KeyPath

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'  # multi-line basic
    r"|'''.*?'{3,5}(?!')"  # multi-line literal
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class _Lost(Exception):
    """The text is not the valid TOML it was said to be; what was found so far stands."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Key paths of a valid TOML text, tables and list items among them, with their lines from 1."""
    walk = _Walk(text)
    with suppress(_Lost, RecursionError):  # without a position, an error still names its key
        walk.document()
    return walk.lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}
        self._line, self._counted = 1, 0

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self.peek("["):
                table = self.header()
            else:
                self.pair(table)
                self.skip(_SPACE)

    def header(self) -> KeyPath:
        line = self.line()
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        path = self.under_lists(self.key())
        self.expect("]")
        if many:
            self.expect("]")
            index = self.counts.get(path, 0)
            self.counts[path] = index + 1
            self.lines.setdefault(path, line)
            path = (*path, index)
        self.lines.setdefault(path, line)
        return path

    def under_lists(self, key: list[str]) -> KeyPath:
        """A header's key as a path: each list of tables on the way is entered at its latest item."""
        path: KeyPath = ()
        for number, part in enumerate(key):
            path = (*path, part)
            if path in self.counts and number < len(key) - 1:
                path = (*path, self.counts[path] - 1)
        return path

    def pair(self, table: KeyPath) -> None:
        line = self.line()
        path = table
        for part in self.key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.expect("=")
        self.skip(_SPACE)
        self.value(path)

    def key(self) -> list[str]:
        parts = []
        while True:
            self.skip(_SPACE)
            found = _BARE_KEY.match(self.text, self.at) or _STRING.match(self.text, self.at)
            if found is None:
                raise _Lost
            self.at = found.end()
            parts.append(_plain(found.group()))
            self.skip(_SPACE)
            if not self.peek("."):
                return parts
            self.at += 1

    def value(self, path: KeyPath) -> None:
        if self.peek("["):
            self.items(path)
        elif self.peek("{"):
            self.at += 1
            self.skip(_BLANK)
            while not self.peek("}"):
                self.pair(path)
                self.comma()
            self.at += 1
        else:
            found = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            if found is None:
                raise _Lost
            self.at = found.end()

    def items(self, path: KeyPath) -> None:
        self.at += 1
        self.skip(_BLANK)
        index = 0
        while not self.peek("]"):
            self.lines[*path, index] = self.line()
            self.value((*path, index))
            self.comma()
            index += 1
        self.at += 1

    def comma(self) -> None:
        self.skip(_BLANK)
        if self.peek(","):
            self.at += 1
            self.skip(_BLANK)
        elif not (self.peek("]") or self.peek("}")):
            raise _Lost

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def expect(self, what: str) -> None:
        self.skip(_SPACE)
        if not self.peek(what):
            raise _Lost
        self.at += len(what)

    def skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        assert found is not None  # both patterns match nothing at all
        self.at = found.end()

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line


def _plain(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] == '"':
        return _ESCAPE.sub(_unescape, key[1:-1])
    return key


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    if code[0] in "uU" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
