"""What is said of each picture: by a CSV with the column `id` and one more, or by a pattern on ids."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import DataError, Problem


def read_table(path: Path, known: Collection[str], column: str) -> dict[str, str]:
    """The column `column` by id; empty cells give the id itself, pictures that are left out are not in it.

    Args:
        known: the ids that pictures have.

    Raises:
        DataError: not such a file, an id twice, or ids that no picture has.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not {"id", column} <= set(reader.fieldnames or ()):
                columns = ", ".join(reader.fieldnames or ()) or "none"
                raise DataError(f"{path}: the table needs the columns id and {column}; found: {columns}.")
            for row in reader:
                name = (row["id"] or "").strip()
                if name not in known:
                    problems.append(Problem(f"no picture has the id {name!r}.", path, reader.line_num))
                elif name in values:
                    problems.append(Problem(f"the id {name!r} stands twice.", path, reader.line_num))
                else:
                    values[name] = (row[column] or "").strip() or name
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8.") from error
    if problems:
        raise DataError("The file does not fit the pictures (ids are file names without suffix):", problems)
    return values


def match_ids(pattern: str, ids: Sequence[str], option: str) -> dict[str, str]:
    """What a regular expression finds in each id: what its groups match, or all that it matches.

    Example: `^[a-z]+` finds "df" in df003 and df017. Ids that do not match are not in the result.

    Raises:
        DataError: not a regular expression, or one that matches no id.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(f"{option} {pattern!r} is not a regular expression: {error}.") from error
    found: dict[str, str] = {}
    for name in ids:
        match = expression.search(name)
        if match is not None:
            parts = [part for part in match.groups() if part is not None]
            found[name] = "|".join(parts) if parts else match.group()
    if not found:
        raise DataError(f"{option} {pattern!r} matches no id; the first one is {ids[0]!r}.")
    return found
