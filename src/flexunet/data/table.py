"""Tables that say something of each picture: a CSV with the column `id` and one more."""

from __future__ import annotations

import csv
from collections.abc import Collection
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
