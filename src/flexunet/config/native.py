"""Reading the native TOML: values, the line of every key, and every syntax error at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ..errors import Problem
from .draft import Draft, Place, Tree, dotted
from .positions import key_lines

_AT_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)\s*$")
_MOST_SYNTAX_ERRORS = 50


def read_native(text: str, path: Path) -> Draft:
    """A TOML text as a draft. Lines that are not TOML become problems and are left out of the tree."""
    text = text.replace("\r\n", "\n")
    tree, parsed, problems = _parse(text, path)
    draft = Draft(path, tree, problems=problems)
    draft.places = {key: Place(line, dotted(key)) for key, line in key_lines(parsed).items()}
    return draft


def _parse(text: str, path: Path) -> tuple[Tree, str, list[Problem]]:
    """The values, the text they came from (faulty lines blanked), and one problem a faulty line."""
    problems: list[Problem] = []
    lines = text.split("\n")
    while len(problems) < _MOST_SYNTAX_ERRORS:
        try:
            return tomllib.loads("\n".join(lines)), "\n".join(lines), problems
        except RecursionError:
            return {}, "", [Problem("is nested too deeply to be read", path)]
        except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
            what, line = _explain(error)
            if problems and (line is None or not lines[line - 1].strip() or _runs_on(lines, problems, line)):
                return {}, "", problems[:1]  # an open bracket or string: everything behind it is its echo
            problems.append(Problem(what, path, line, None, _cure(lines, line)))
            if line is None:
                break
            lines[line - 1] = ""
    return {}, "", problems


def _runs_on(lines: list[str], problems: list[Problem], line: int) -> bool:
    """Whether the next error stands right behind the one before: what was opened there was never closed."""
    before = problems[-1].line or 0
    between = lines[before : line - 1]
    return line <= before or (
        all(not text.strip() for text in between) and "nclosed" in problems[-1].what.lower()
    )


def _explain(error: ValueError) -> tuple[str, int | None]:
    message = str(error)
    found = _AT_LINE.search(message)
    if found is None:
        return f"is not TOML: {message}", None
    return f"is not TOML: {message[: found.start()]} (column {found.group(2)})", int(found.group(1))


def _cure(lines: list[str], line: int | None) -> str | None:
    if line is None:
        return None
    text = lines[line - 1].strip()
    if re.search(r"=\s*(True|False|None)\b", text):
        return "TOML writes true and false in small letters and leaves out what is None."
    if re.search(r"=\s*\(", text):
        return "TOML writes lists in square brackets: [1, 2]."
    if text.startswith(";"):
        return "TOML comments begin with #."
    if re.search(r"=\s*[A-Za-z_./~]", text):
        return 'Text stands in quotes: key = "value".'
    return None
