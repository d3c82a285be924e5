"""images/ and masks/ (or labels/), optionally negatives/: paired by name."""

from __future__ import annotations

from pathlib import Path

from ...config.schema import SplitConfig
from ...data import match_files
from ...data.folders import first_folder
from ...errors import DataError
from ..items import Item, MaskFile, PictureFile, Source
from ..options import Options
from ..settings import read_settings
from .folders import NEGATIVES

_IMAGES = ("images", "image", "img")
_MASKS = ("masks", "mask", "labels", "label")


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    return first_folder(root, _IMAGES) is not None and first_folder(root, _MASKS) is not None


def read(root: Path, options: Options) -> Source:
    """Pairs by the rules of `data.match_files`: by stem, by words, by numbers."""
    images, masks, negatives = (first_folder(root, names) for names in (_IMAGES, _MASKS, NEGATIVES))
    if images is None or masks is None:
        raise DataError(f"{root}: images/ and masks/ are expected.")
    folders = SplitConfig(images=(images,), masks=(masks,), negatives=(negatives,) if negatives else ())
    pairing = match_files(folders, read_settings(options.settings))
    if pairing.problems:
        raise DataError("Images and masks do not pair up:", pairing.problems)
    items = tuple(
        Item(
            pair.id,
            PictureFile(pair.image, options.nodata),
            MaskFile(pair.mask) if pair.mask is not None else None,
        )
        for pair in pairing.pairs
    )
    return Source("pairs", root, items, None, pairing.notes)
