"""What is to be checked: every pair of every split, of a dataset folder or a config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import read_config
from ..config.schema import DataConfig
from ..data import Pair, pairs_of_split
from ..data.folders import Split
from ..errors import DataError, Problem
from ..progress import Tell
from .survey import survey

SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Member:
    """One pair in its split."""

    split: Split
    pair: Pair

    @property
    def name(self) -> str:
        """`train/df003`, unique in the dataset."""
        return f"{self.split}/{self.pair.id}"


@dataclass(frozen=True)
class Dataset:
    """All pairs of a dataset, sorted by split and id."""

    name: str
    data: DataConfig
    members: tuple[Member, ...]
    splits: tuple[Split, ...]
    """The splits that are there."""
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    """What is wrong with the pairing of images and masks."""
    groups: dict[str, str]
    """Group of each member by its name, as the manifest of `flexunet prepare` says; empty without one."""


def find_dataset(target: Path, overrides: Sequence[str] = (), progress: Tell | None = None) -> Dataset:
    """The dataset that a folder holds or a config names.

    A folder's classes and bands are found by a survey; a config says them. Images without mask and masks
    without image become problems, the rest is checked.

    Raises:
        ConfigError, DataError: no such folder or config, no known layout, no pair at all.
    """
    if target.is_dir():
        _refuse_folds(target)
        found = survey(target, max_files=60, progress=progress)
        data, notes = found.data, list(found.notes)
    else:
        data, notes = read_config(target, overrides).config.data, []
    members: list[Member] = []
    problems: list[Problem] = []
    splits: list[Split] = []
    faults: list[str] = []
    for split in SPLITS:
        try:
            pairing = pairs_of_split(data, split)
        except DataError as error:
            faults.append(str(error))
            continue
        notes += [f"{split}: {note}" for note in pairing.notes if f"{split}: {note}" not in notes]
        problems += pairing.problems
        members += [Member(split, pair) for pair in pairing.pairs]
        if pairing.pairs:
            splits.append(split)
    if not members:
        raise DataError(f"{target} has no pair to check. " + " ".join(faults[:1]), [*problems])
    name = (data.root or (target if target.is_dir() else target.parent)).resolve().name
    groups = _manifest_groups(data.root or target)
    return Dataset(name, data, tuple(members), tuple(splits), tuple(notes), tuple(problems), groups)


def _refuse_folds(folder: Path) -> None:
    """Refuse the folder of all folds: each has a config, in which the others are training."""
    configs = [path for kind in ("fold", "region") for path in sorted(folder.glob(f"{kind}_*.toml"))]
    if configs and not (folder / "train").is_dir():
        raise DataError(
            f"{folder}: holds {len(configs)} folds, each with a config of its own. Give one of them: "
            f"{configs[0]}"
        )


def _manifest_groups(root: Path) -> dict[str, str]:
    """Groups by member name from a manifest of `flexunet prepare`, if one is there and reads as such."""
    path = root / "manifest.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {f"{item['split']}/{item['id']}": str(item["group"]) for item in content["items"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
