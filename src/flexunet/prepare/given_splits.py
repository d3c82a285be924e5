"""A split that the user gives: a table, or lists of names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, Problem
from .groups import read_table
from .items import Item
from .split import SPLITS


def read_splits(path: Path, items: Sequence[Item]) -> dict[str, str]:
    """The given split of every item: a CSV with id and split, or train.txt, valid.txt, test.txt in a folder.

    Raises:
        DataError: items without split or with two, unknown ids or splits; everything is named.
    """
    problems: list[Problem] = []
    given: dict[str, str] = {}
    if path.is_dir():
        known = {item.id for item in items} | {item.image.files[0].name for item in items}
        by_name = {item.image.files[0].name: item.id for item in items}
        lists = [(split, path / f"{split}.txt") for split in SPLITS if (path / f"{split}.txt").is_file()]
        if not lists:
            raise DataError(f"{path}: train.txt, valid.txt or test.txt with a name a line are expected.")
        for split, file in lists:
            for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), start=1):
                name = line.strip().replace("\\", "/").rpartition("/")[2]
                if not name:
                    continue
                if name not in known:
                    problems.append(Problem(f"no picture is called {name!r}.", file, number))
                    continue
                key = by_name.get(name, name)
                if key in given:
                    problems.append(Problem(f"{name!r} is also in {given[key]}.", file, number))
                given[key] = split
    else:
        given = read_table(path, items, "split")
        wrong = sorted({split for split in given.values() if split not in SPLITS})
        if wrong:
            problems.append(Problem(f"splits are {', '.join(SPLITS)}, not {', '.join(wrong)}.", path))
    missing = [item.id for item in items if item.id not in given]
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        problems.append(Problem(f"{len(missing)} pictures have no split: {shown}.", path))
    if problems:
        raise DataError("The given split does not fit the pictures:", problems)
    return given
