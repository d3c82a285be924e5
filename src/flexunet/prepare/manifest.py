"""The manifest of a prepared dataset: written, read for `--like`, and what a resumed run must agree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import DataError
from ..files import layer_of
from .items import Item, Source
from .options import Options, read_options
from .pieces import companions_of
from .planning import Plan

MANIFEST_FORMAT = "flexunet dataset"
MANIFEST_VERSION = 4  # also of the way in which files are written: another one gives other bytes
PATH_OPTIONS = ("groups", "splits", "vector", "aoi")  # options that name files and folders, beside companions


def read_manifest_options(path: Path) -> Options:
    """The options that a dataset was made with, from its manifest.

    Relative paths in them start at the current folder; those that are not there, but are from the folder of
    the manifest, start at that one.

    Raises:
        DataError: no manifest of prepare.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a manifest: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != MANIFEST_FORMAT:
        raise DataError(f"{path}: is not the manifest of a dataset that prepare made.")
    options, problems = read_options(manifest.get("options", {}))
    if problems:
        raise DataError(f"{path}: holds options that this version does not know:", problems)
    return _found_from(path.parent, options)


def _found_from(folder: Path, options: Options) -> Options:
    """The options with relative paths that are there only below `folder` carried to it."""

    def carried(place: Path) -> Path:
        there = folder / place
        return there if not layer_of(place)[0].exists() and layer_of(there)[0].exists() else place

    def of_companion(text: str) -> str:
        name, _, place = text.partition("=")
        if place == "own":
            return text
        there = carried(Path(place))
        return text if there == Path(place) else f"{name}={there.as_posix()}"

    paths = {name: getattr(options, name) for name in PATH_OPTIONS}
    return options.model_copy(
        update={name: carried(path) for name, path in paths.items() if path is not None}
        | {"companions": tuple(of_companion(text) for text in options.companions)}
    )


def fingerprint_of(source: Source, plan: Plan, options: Options) -> str:
    """Changes with anything that could change the bytes written."""
    items = {part.item.id: part.item for part in plan.parts}
    files = sorted({path for item in items.values() for path in _files(item, options)})
    stats = [
        (path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()
    ]
    state = [
        MANIFEST_VERSION,
        options.recorded(),
        _versions(),
        [source.layout, source.root.as_posix()],
        stats,
        sorted(plan.splits.items()),
        sorted(plan.groups.items()),
    ]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _files(item: Item, options: Options) -> tuple[Path, ...]:
    """Everything that an item is read from."""
    return (
        *item.image.files,
        *(item.mask.files if item.mask is not None else ()),
        *(path for _, path in companions_of(item, options)),
    )


def _versions() -> dict[str, str]:
    """Of what decides the bytes; the libraries of polygons only where they are installed."""
    found = {
        "flexunet": version("flexunet"),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "rasterio": version("rasterio"),
    }
    for name in ("shapely", "pyogrio", "pyproj"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def write_manifest(
    path: Path,
    source: Source,
    plan: Plan,
    options: Options,
    entries: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, int]],
    mask_style: str,
) -> None:
    """What was made of what, by which options; see docs/prepare.md."""
    first = plan.parts[0]
    manifest = {
        "format": MANIFEST_FORMAT,
        "version": MANIFEST_VERSION,
        "options": {**options.recorded(), "layout": source.layout},
        "groups_from": plan.origin,
        "versions": _versions(),
        "classes": list(source.class_names or ()),
        "colours": [list(colour) for colour in source.class_colours],
        "masks": {"keep": "as their source", "index": "class indices, 255 = ignore", "colours": "colours"}[
            mask_style
        ],
        "bands": list(first.bands),
        "counts": counts,
        "left_out": dict(sorted(plan.left_out.items())),
        "notes": [*source.notes, *plan.notes],
        "items": entries,
    }
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
