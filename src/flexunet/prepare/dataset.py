"""From raw material to `{train,valid,test}/{images,masks,negatives}` and a manifest, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..cores import available_cores
from ..errors import DataError, Problem
from ..files import layer_of
from ..parallel import in_parallel
from ..progress import Tell
from .describing import write_data_configs
from .items import Item, Source
from .layouts import read_layout
from .measuring import Part, measure, with_classes
from .merging import merge_labels
from .offline import read_variants
from .options import Options, read_options
from .pieces import companions_of
from .planning import Plan, make_plan
from .resized_pictures import ResizedImage, with_resized
from .resuming import MANIFEST, Journal, check_destination, growing_folder
from .split import SPLITS
from .writing import Writer

MANIFEST_FORMAT = "flexunet dataset"
MANIFEST_VERSION = 4  # also of the way in which files are written: another one gives other bytes
_PATHS = ("groups", "splits", "vector", "aoi")  # options that name files and folders, beside companions


@dataclass(frozen=True)
class Prepared:
    """What `prepare` has written."""

    dir: Path
    counts: dict[str, dict[str, int]]
    """Pictures by split (or fold) and kind: `images`, `negatives`, `augmented`."""
    group_count: int
    """Groups of two pictures and more."""
    grouped_count: int
    """Pictures in them."""
    notes: tuple[str, ...]


def prepare(
    src: Path,
    dst: Path,
    options: Options | None = None,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Tell | None = None,
    **choices: Any,
) -> Prepared:
    """Turn raw material into a dataset folder: read, group, split, write.

    `choices` are fields of `Options` in place of an `Options`. Pictures of one group never part; only `train`
    (or the folds) is augmented, after the split. Same input, options and versions give the same bytes,
    whatever the number of workers (left out: all cores); a killed run goes on where it was when the same
    call is made again. Memory: a few pictures (or tiles) a worker, and merged masks.

    Raises:
        DataError: options, layout, pairs, pictures or groups that cannot be used; everything found is named.
        OutputExistsError: `dst` is there, and `overwrite` is off or it was not made by prepare.
    """
    problems: list[Problem] = []
    if options is None:
        options, problems = read_options(choices)
    src, dst = src.resolve(), dst.resolve()
    problems += _misplaced(src, dst, options)
    if problems:
        raise DataError("This cannot be prepared:", problems)
    check_destination(dst, overwrite=overwrite)
    variants = read_variants(options.augment)
    source, class_notes = with_classes(read_layout(src, options), options)
    _check_ids(source)
    workers = workers or available_cores()
    source = with_resized(source, options, workers)
    parts, missing_notes = measure(source, options, workers, progress)
    plan = make_plan(source, parts, options, progress)
    _check_planes(source, plan, options)
    merged, merge_notes = _merged(source, plan, options)
    writer = Writer(source, plan, options, variants, merged, _numbers(plan, options))
    with growing_folder(dst, _fingerprint(source, plan, options), overwrite=overwrite) as folder:
        journal = Journal(folder)

        def work(part: Part) -> list[dict[str, Any]]:
            if part.id not in journal.done:
                journal.add(part.id, writer.write(part, folder))
            return journal.done[part.id]

        made = in_parallel(work, plan.parts, workers=workers, ahead=2, stage="writing", progress=progress)
        entries = [entry for of_part in made for entry in of_part]
        counts = _counts(plan, entries)
        _write_manifest(folder / MANIFEST, source, plan, options, entries, counts, writer.mask_style)
        if plan.folds or writer.mask_style != "keep":
            write_data_configs(folder, source, plan, counts, ignored=writer.mask_style != "keep")
        journal.close()

    members = Counter(plan.groups[part.id] for part in plan.parts)
    shared = [count for count in members.values() if count > 1]
    left = Counter(plan.left_out.values())
    notes = (
        *source.notes,
        *class_notes,
        *missing_notes,
        *plan.notes,
        *merge_notes,
        *(f"{count} left out: {why}" for why, count in sorted(left.items())),
    )
    return Prepared(dst, counts, len(shared), sum(shared), notes)


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

    paths = {name: getattr(options, name) for name in _PATHS}
    return options.model_copy(
        update={name: carried(path) for name, path in paths.items() if path is not None}
        | {"companions": tuple(of_companion(text) for text in options.companions)}
    )


# ----------------------------------------------------------------------------------- before writing


def _misplaced(src: Path, dst: Path, options: Options) -> list[Problem]:
    """Files that are not there, folders that overlap."""
    problems = []
    for name in _PATHS:
        path: Path | None = getattr(options, name)
        if path is not None and not layer_of(path)[0].exists():
            problems.append(_absent("file", path, f"--{name}"))
    for text in options.companions:
        place = text.partition("=")[2]
        if place != "own" and not Path(place).exists():
            problems.append(_absent("file or folder", Path(place), "--companion"))
    if src == dst or src in dst.parents or dst in src.parents:
        problems.append(Problem(f"source {src} and destination overlap.", dst, cure="Choose another folder."))
    return problems


def _absent(what: str, path: Path, option: str) -> Problem:
    cure = None if path.is_absolute() else f"Relative paths start at {Path.cwd()}."
    return Problem(f"there is no such {what}.", path, where=option, cure=cure)


def _check_ids(source: Source) -> None:
    """Two items of one id (in any case) would be one file."""
    count = Counter(item.id.casefold() for item in source.items)
    problems = [
        Problem(f"the name {item.id!r} is not unique.", item.image.files[0])
        for item in source.items
        if count[item.id.casefold()] > 1
    ]
    if problems:
        raise DataError("Pictures need names of their own:", problems)


def _check_planes(source: Source, plan: Plan, options: Options) -> None:
    """Blocks of one plane: pictures that share pixels lie on each other at their own sizes only."""
    if options.blocks is None or not plan.overlaps:
        return
    if any(isinstance(item.image, ResizedImage) for item in source.items):
        pair = plan.overlaps[0]
        raise DataError(
            f"--blocks: {source.items[pair.first].id} and {source.items[pair.second].id} share pixels, which "
            "cannot be told for tiles of resized pictures. Leave out --size and --min-side, or --blocks."
        )


def _numbers(plan: Plan, options: Options) -> dict[str, str]:
    """The file name of every part: its id, or the reference's numbers from 10001."""
    if not options.numbered:
        return {part.id: part.id for part in plan.parts}
    return {part.id: str(10000 + number) for number, part in enumerate(plan.parts, start=1)}


def _merged(
    source: Source, plan: Plan, options: Options
) -> tuple[dict[str, tuple[np.ndarray, int]], tuple[str, ...]]:
    """Labels that merging changed, by item id, with the number of changed pixels; a note."""
    if options.merge_overlaps is None or not plan.overlaps:
        return {}, ()
    places = sorted({place for pair in plan.overlaps for place in (pair.first, pair.second)})
    parts = {part.item.id: part for part in plan.parts}
    here = [place for place in places if source.items[place].id in parts]
    labels = {}
    for place in here:
        item = source.items[place]
        part = parts[item.id]
        labels[place] = (
            np.zeros(part.source_hw, np.uint8)
            if item.mask is None
            else item.mask.labels(part.source_hw, part.grid)
        )
    pairs = [pair for pair in plan.overlaps if pair.first in labels and pair.second in labels]
    merged = {}
    for place, after in merge_labels(labels, pairs, options.merge_overlaps).items():
        changed = int((after != labels[place]).sum())
        if changed:
            merged[source.items[place].id] = (after, changed)
    note = (
        f"{len(merged)} masks on shared ground were changed ({options.merge_overlaps}); the originals are in "
        "masks_original."
    )
    return merged, (note,)


def _fingerprint(source: Source, plan: Plan, options: Options) -> str:
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


# ----------------------------------------------------------------------------------------- after it


def _counts(plan: Plan, entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    counts = {}
    for split in (*plan.folds, "test") if plan.folds else SPLITS:
        kinds = Counter(_kind(entry) for entry in entries if entry["split"] == split)
        if kinds or not plan.folds:
            counts[split] = dict(kinds)
    return counts


def _kind(entry: Mapping[str, Any]) -> str:
    return "augmented" if "parent" in entry else "negatives" if entry["negative"] else "images"


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


def _write_manifest(
    path: Path,
    source: Source,
    plan: Plan,
    options: Options,
    entries: Sequence[Mapping[str, Any]],
    counts: Mapping[str, Mapping[str, int]],
    mask_style: str,
) -> None:
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
