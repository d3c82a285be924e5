"""{train,valid,test}/{images,masks}: a dataset that is split already, to be split anew."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from ...config.schema import SplitConfig
from ...data import ids_beside, match_files, split_folders
from ...data.folders import Split
from ...errors import DataError, Problem
from ..items import Item, MaskFile, PictureFile, Source
from ..options import Options
from ..settings import read_settings


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    return root.is_dir() and len(_folders(root, Options())) > 1


def read(root: Path, options: Options) -> Source:
    """All pairs of all splits; an id that two of them have gets the later split's name before it."""
    settings = read_settings(options.settings)
    found = {split: match_files(folders, settings) for split, folders in _folders(root, options).items()}
    if not found:
        raise DataError(f"{root}: train/, valid/ or test/ are expected, each with images/ and masks/.")
    problems: list[Problem] = [problem for pairing in found.values() for problem in pairing.problems]
    if problems:
        raise DataError("Images and masks do not pair up:", problems)
    ids = ids_beside({split: [pair.id for pair in pairing.pairs] for split, pairing in found.items()})
    items = tuple(
        Item(
            name,
            PictureFile(pair.image, options.nodata),
            MaskFile(pair.mask) if pair.mask is not None else None,
        )
        for split, pairing in found.items()
        for name, pair in zip(ids[split], pairing.pairs, strict=True)
    )
    notes = tuple(f"{split}: {note}" for split, pairing in found.items() for note in pairing.notes)
    return Source("splits", root, items, None, notes)


def _folders(root: Path, options: Options) -> dict[Split, SplitConfig]:
    """The folders of the splits that are there."""
    data = read_settings(options.settings).model_copy(update={"root": root})
    there: dict[Split, SplitConfig] = {}
    for split in get_args(Split):
        try:
            there[split] = split_folders(data, split)
        except DataError:
            continue
    return there
