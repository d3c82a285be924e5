"""From raw material to `{train,valid,test}/{images,masks,negatives}` and a manifest, all of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..cores import available_cores
from ..errors import DataError, Problem
from ..files import layer_of
from ..parallel import in_parallel
from ..progress import Tell
from .describing import write_data_configs
from .items import Source
from .layouts import read_layout
from .manifest import PATH_OPTIONS, fingerprint_of, write_manifest
from .measuring import Part, measure, with_classes
from .merging import merge_labels
from .offline import read_variants
from .options import Options, read_options
from .planning import Plan, make_plan
from .resized_pictures import ResizedImage, with_resized
from .resuming import MANIFEST, Journal, check_destination, growing_folder
from .split import SPLITS
from .writing import Writer


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
    with growing_folder(dst, fingerprint_of(source, plan, options), overwrite=overwrite) as folder:
        journal = Journal(folder)

        def work(part: Part) -> list[dict[str, Any]]:
            if part.id not in journal.done:
                journal.add(part.id, writer.write(part, folder))
            return journal.done[part.id]

        made = in_parallel(work, plan.parts, workers=workers, ahead=2, stage="writing", progress=progress)
        entries = [entry for of_part in made for entry in of_part]
        counts = _counts(plan, entries)
        write_manifest(folder / MANIFEST, source, plan, options, entries, counts, writer.mask_style)
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


# ----------------------------------------------------------------------------------- before writing


def _misplaced(src: Path, dst: Path, options: Options) -> list[Problem]:
    """Files that are not there, folders that overlap."""
    problems = []
    for name in PATH_OPTIONS:
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
