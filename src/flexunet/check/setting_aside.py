"""What `flexunet check --fix` does: leaking copies leave the training split, nothing is deleted."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..errors import DataError
from ..files import write_text
from .report import Check

FOLDER = "set_aside"
LARGEST_SHARE = 0.5
"""Of a split: if more than this would go, splitting again is the better cure."""
_RANK = {"train": 0, "valid": 1, "test": 2}


def leaking_copies(check: Check) -> list[int]:
    """Members that have to leave: of each leaking pair the one further from the test."""
    chosen: set[int] = set()
    for link in check.leaks:
        chosen.add(min((link.first, link.second), key=lambda index: _RANK[check.facts[index].member.split]))
    return sorted(chosen)


def set_aside(check: Check) -> tuple[Path, int]:
    """Move leaking training (and validation) pictures and their masks to ROOT/set_aside/SPLIT/...

    Returns the log, a CSV with the columns from,to (relative to ROOT), and the number of pictures moved.

    Raises:
        DataError: the files do not lie below data.root, too many would go, or a place is taken.
        OSError: a file cannot be moved; those moved before are moved back.
    """
    root = check.dataset.data.root
    if root is None:
        raise DataError("--fix moves files within data.root, and this dataset names its folders one by one.")
    members = [check.facts[index].member for index in leaking_copies(check)]
    for split in check.dataset.splits:
        going, there = (
            sum(member.split == split for member in group) for group in (members, check.dataset.members)
        )
        if going > LARGEST_SHARE * there:
            raise DataError(
                f"{going} of {there} pictures of {split} would have to go. Split again instead: "
                "flexunet prepare SRC DST --groups groups.csv."
            )
    moves: list[tuple[Path, Path]] = []
    for member in members:
        for path in (member.pair.image, member.pair.mask):
            if path is None:
                continue
            if not path.is_relative_to(root):
                raise DataError(f"--fix moves files within data.root only; {path} lies outside {root}.")
            target = root / FOLDER / path.relative_to(root)
            if target.exists():
                raise DataError(f"{target} is there already; move it away first.")
            moves.append((path, target))
    log = _free_name(root / FOLDER / "moved.csv")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["from", "to"])
    writer.writerows((a.relative_to(root).as_posix(), b.relative_to(root).as_posix()) for a, b in moves)
    if moves:
        write_text(log, buffer.getvalue())
        _move_all(moves)
    return log, len(members)


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.replace(source)
        raise


def _free_name(path: Path) -> Path:
    number = 2
    free = path
    while free.exists():
        free = path.with_stem(f"{path.stem}_{number}")
        number += 1
    return free
