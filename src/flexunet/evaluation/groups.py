"""Which images belong together: the unit that intervals are drawn by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.schema import DataConfig
from ..data import Pair

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Groups:
    """The group of each image, in their order, and where that comes from."""

    names: tuple[str, ...]
    source: str

    @property
    def count(self) -> int:
        """Different groups."""
        return len(set(self.names))


def groups_of(pairs: Sequence[Pair], data: DataConfig) -> Groups:
    """Groups from the `manifest.json` that `flexunet prepare` left in the dataset's folder.

    Where there is none, or it does not know the images, each image is a group of its own; `source` says so.
    """
    folder = _dataset_folder(pairs, data)
    known = {} if folder is None else _groups_by_file(folder)
    names = [known.get(pair.image.resolve()) for pair in pairs]
    if known and all(name is not None for name in names):
        return Groups(tuple(str(name) for name in names), f"groups of {MANIFEST}")
    why = f"no {MANIFEST} beside the data" if not known else f"{MANIFEST} does not know all images"
    return Groups(tuple(pair.id for pair in pairs), f"every image by itself: {why}")


def read_manifest(pairs: Sequence[Pair], data: DataConfig) -> dict[str, Any] | None:
    """The manifest of the dataset that the images are part of."""
    folder = _dataset_folder(pairs, data)
    return None if folder is None else _read(folder / MANIFEST)


def _dataset_folder(pairs: Sequence[Pair], data: DataConfig) -> Path | None:
    """The data root, else the folder above SPLIT/images, whichever holds a manifest."""
    places = [data.root] if data.root is not None else []
    places += [pairs[0].image.parents[2]] if pairs and len(pairs[0].image.parents) > 2 else []
    return next((place for place in places if (place / MANIFEST).is_file()), None)


def _groups_by_file(folder: Path) -> dict[Path, str]:
    manifest = _read(folder / MANIFEST) or {}
    found = {}
    for item in manifest.get("items", []):
        try:
            found[(folder / item["image"]["file"]).resolve()] = str(item["group"])
        except (KeyError, TypeError):
            continue
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
