"""Folds: the training and the validation split together, divided anew by a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.schema import DataConfig
from ..errors import DataError, Problem
from .folders import Split, split_folders
from .pairs import Pair, Pairing, match_files

COLUMNS = ("id", "group", "fold")
_VALIDATION_NAMES = ("valid", "val", "validation")


@dataclass(frozen=True)
class FoldRow:
    """One image of a table of folds."""

    id: str
    group: str
    fold: int
    """Counted from 1."""


def has_validation(data: DataConfig) -> bool:
    """Whether the config names a validation split or a fold, or the data root holds such a split."""
    if data.fold is not None or data.valid is not None:
        return True
    return data.root is not None and any((data.root / name).is_dir() for name in _VALIDATION_NAMES)


def pairs_of_split(data: DataConfig, split: Split) -> Pairing:
    """The pairs of a split, as its folders or (training and validation of a fold) the table of folds say.

    Raises:
        DataError: no such folders, or a table that does not fit the images.
    """
    if data.fold is None or split == "test":
        return match_files(split_folders(data, split), data)
    assert data.folds is not None
    whole = pairs_of_folds(data)
    folds = {row.id: row.fold for row in read_folds(data.folds)}
    _check_table(data.folds, folds, whole.pairs, data.fold)
    chosen = tuple(pair for pair in whole.pairs if (folds[pair.id] == data.fold) == (split == "valid"))
    return replace(whole, pairs=chosen)


def pairs_of_folds(data: DataConfig) -> Pairing:
    """All that folds are made of: the training split, and the validation split where there is one.

    Ids stay as they are in their split; one of the validation split that the training split has too gets
    `valid_` before it.
    """
    plain = data.model_copy(update={"folds": None, "fold": None})
    train = match_files(split_folders(plain, "train"), plain)
    if not has_validation(plain):
        return train
    valid = match_files(split_folders(plain, "valid"), plain)
    ids: dict[Split, list[str]] = {
        "train": [pair.id for pair in train.pairs],
        "valid": [pair.id for pair in valid.pairs],
    }
    moved = [replace(pair, id=name) for pair, name in zip(valid.pairs, ids_beside(ids)["valid"], strict=True)]
    pairs = sorted([*train.pairs, *moved], key=lambda pair: pair.id)
    return Pairing(tuple(pairs), train.notes + valid.notes, train.problems + valid.problems)


def ids_beside(ids: Mapping[Split, Sequence[str]]) -> dict[Split, list[str]]:
    """Ids of splits that are laid together: one that an earlier split has too gets `valid_` or `test_`."""
    taken: set[str] = set()
    beside: dict[Split, list[str]] = {}
    for split, names in ids.items():
        beside[split] = []
        for name in names:
            while name.casefold() in taken:
                name = f"{split}_{name}"
            beside[split].append(name)
        taken |= {name.casefold() for name in beside[split]}
    return beside


def read_folds(path: Path) -> tuple[FoldRow, ...]:
    """The rows of a table of folds, a CSV with the columns id, group and fold.

    Raises:
        DataError: not such a file, or an image twice.
    """
    rows: dict[str, FoldRow] = {}
    problems = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise DataError(f"{path}: a table of folds needs the columns {', '.join(COLUMNS)}.")
            for raw in reader:
                name, number = raw["id"] or "", raw["fold"] or ""
                if not number.isdecimal() or int(number) < 1:
                    problems.append(
                        Problem(f"fold {number!r} is no number from 1 on.", path, reader.line_num)
                    )
                elif name in rows:
                    problems.append(Problem(f"{name!r} stands twice.", path, reader.line_num))
                else:
                    rows[name] = FoldRow(name, raw["group"] or "", int(number))
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8.") from error
    if problems:
        raise DataError("the table of folds cannot be used:", problems)
    return tuple(rows.values())


def _check_table(path: Path, folds: dict[str, int], pairs: Sequence[Pair], fold: int) -> None:
    """Refuse a table that does not know all images, or knows others."""
    ids = {pair.id for pair in pairs}
    problems = [Problem("is in no fold", path=pair.image) for pair in pairs if pair.id not in folds]
    problems += [Problem(f"no image has the id {name!r}", path=path) for name in folds if name not in ids]
    if problems:
        cure = "Images have come or gone since the folds were made: make them anew with --overwrite."
        raise DataError(
            f"{path} does not fit the images of train and valid:",
            [*problems[:8], replace(problems[-1], cure=cure)],
        )
    if fold not in folds.values():
        raise DataError(
            f"{path} has no fold {fold}; it has {', '.join(map(str, sorted({*folds.values()})))}."
        )
