"""Who is validated when: the images of train and valid divided into folds, groups kept whole."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import DataConfig
from ..data import FoldRow, Pair, Store, has_validation, open_store, pairs_of_folds
from ..data.folds import COLUMNS
from ..data.table import read_table
from ..errors import ConfigError, DataError
from ..evaluation.groups import Groups, groups_of
from ..files import write_text


@dataclass(frozen=True)
class FoldPlan:
    """The fold of every image, and where the groups come from."""

    rows: tuple[FoldRow, ...]
    source: str

    def describe(self) -> str:
        """One line for the user."""
        sizes = Counter(row.fold for row in self.rows)
        groups = len({row.group for row in self.rows})
        counts = ", ".join(str(sizes[fold]) for fold in sorted(sizes))
        return (
            f"{len(self.rows)} images in {groups} groups ({self.source}) make {len(sizes)} folds "
            f"of {counts} images."
        )


def plan_folds(data: DataConfig, count: int, seed: int, table: Path | None = None) -> FoldPlan:
    """Divide the training and validation split into `count` folds; the test split is not looked at.

    Groups come from `table` (columns id and group; an image that it leaves out is a group of its own), else
    from the dataset's manifest.json, else each image is one. Images with and without an object are spread
    evenly as far as whole groups allow.

    Raises:
        ConfigError: fewer than two folds.
        DataError: fewer groups than folds, a table that does not fit, or images that cannot be used.
    """
    if count < 2:
        raise ConfigError(f"--folds {count}: at least 2 folds are needed.")
    pairs = pairs_to_divide(data)
    groups = groups_of(pairs, data) if table is None else read_groups(table, pairs)
    return divide(pairs, groups, images_with_objects(data), count, seed)


def pairs_to_divide(data: DataConfig) -> tuple[Pair, ...]:
    """The pairs of train and valid.

    Raises:
        DataError: some cannot be used.
    """
    pairing = pairs_of_folds(data)
    if pairing.problems:
        raise DataError("the images of train and valid cannot be used:", pairing.problems)
    return pairing.pairs


def divide(
    pairs: Sequence[Pair], groups: Groups, shown: Mapping[Path, bool], count: int, seed: int
) -> FoldPlan:
    """Divide pairs into `count` folds, groups kept whole; `shown`: whether an image has an object.

    Raises:
        DataError: fewer groups than folds.
    """
    if groups.count < count:
        raise DataError(
            f"{count} folds need at least {count} groups; there are {groups.count} in {len(pairs)} images "
            f"({groups.source}). Ask for at most {groups.count} folds, or give finer groups with --groups."
        )
    by_id = {pair.id: name for pair, name in zip(pairs, groups.names, strict=True)}
    strata = {pair.id: shown.get(pair.image, False) for pair in pairs}
    folds = assign_folds(by_id, strata, count, seed)
    return FoldPlan(tuple(FoldRow(name, by_id[name], folds[name]) for name in by_id), groups.source)


def assign_folds(
    groups: Mapping[str, str], strata: Mapping[str, bool], count: int, seed: int
) -> dict[str, int]:
    """The fold (from 1) of each item: largest groups first, each to the fold that has least of its strata.

    No fold stays empty where there are as many groups as folds: an empty one is taken before all others. The
    result depends on ids, groups and seed only, never on the order of the mappings.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for item in sorted(groups):
        members[groups[item]].append(item)
    names = sorted(members)
    shuffled = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    sizes = Counter(strata.values())
    filled = [Counter[bool]() for _ in range(count)]
    folds: dict[str, int] = {}
    for name in sorted(shuffled, key=lambda group: -len(members[group])):
        need = Counter(strata[item] for item in members[name])

        def cost(fold: int, need: Counter[bool] = need) -> tuple[float, int]:
            crowded = sum(number * filled[fold][kind] / sizes[kind] for kind, number in need.items())
            return crowded, filled[fold].total()

        chosen = min(range(count), key=cost)
        filled[chosen].update(need)
        folds |= dict.fromkeys(members[name], chosen + 1)
    return folds


def read_groups(path: Path, pairs: Sequence[Pair]) -> Groups:
    """Groups from a CSV with the columns id (file name without its ending) and group.

    Raises:
        DataError: not such a file, an id twice, or ids that no image has.
    """
    known = {name for pair in pairs for name in (pair.id, pair.image.stem)}
    found = read_table(path, known, "group")
    names = (found.get(pair.id, found.get(pair.image.stem, pair.id)) for pair in pairs)
    return Groups(tuple(names), f"groups of {path.name}")


def write_folds(path: Path, rows: Sequence[FoldRow]) -> None:
    """Write the table that `data.folds` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.id, row.group, row.fold) for row in rows)
    write_text(path, text.getvalue())


def images_with_objects(data: DataConfig) -> dict[Path, bool]:
    """Whether each image that can be decoded has an object, by its file."""
    plain = data.model_copy(update={"folds": None, "fold": None})
    stores: list[Store] = [open_store(plain, "train")]
    if has_validation(plain):
        stores.append(open_store(plain, "valid"))
    foreground = range(1, len(data.classes))
    return {
        pair.image: bool(np.isin(store.labels(index), foreground).any())
        for store in stores
        for index, pair in enumerate(store.pairs)
    }
