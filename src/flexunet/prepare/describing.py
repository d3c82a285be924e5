"""The `[data]` section of a dataset whose masks we wrote, and one config for each fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .items import Source
from .picture_files import IGNORE_COLOUR
from .planning import Plan


def write_data_configs(
    folder: Path, source: Source, plan: Plan, counts: Mapping[str, Mapping[str, int]], *, ignored: bool
) -> None:
    """`data.toml` for a plain split, or `fold_1.toml`, `fold_2.toml` ...: configs that train as they are.

    A fold validates (regions: the next one validates, its own is tested), the others are trained on.
    """
    classes = _classes(source, ignored=ignored)
    if not plan.folds:
        splits = {split: [split] for split in ("train", "valid", "test") if counts.get(split)}
        _write(folder / "data.toml", splits, counts, classes, folds=False)
        return
    regions = plan.folds[0].startswith("region_")
    for place, fold in enumerate(plan.folds):
        if regions:
            valid = plan.folds[(place + 1) % len(plan.folds)]
            splits = {"test": [fold]}
        else:
            valid = fold
            splits = {"test": ["test"]} if counts.get("test") else {}
        train = [name for name in plan.folds if name not in (valid, *splits.get("test", ()))]
        _write(
            folder / f"{fold}.toml", {"train": train, "valid": [valid], **splits}, counts, classes, folds=True
        )


def _write(
    path: Path,
    splits: Mapping[str, Sequence[str]],
    counts: Mapping[str, Mapping[str, int]],
    classes: str,
    *,
    folds: bool,
) -> None:
    text = ["[data]", classes]
    for split, parts in splits.items():
        text.append(f"\n[data.{split}]")
        for kind, folders in (("images", "images"), ("masks", "masks"), ("negatives", "negatives")):
            has = "negatives" if kind == "negatives" else "images"
            places = [part for part in parts if counts.get(part, {}).get(has)]
            there = [f"{part}/{folders}" for part in places]
            if split == "train":
                there += [
                    f"{part}/augmented/{folders}"
                    for part in places
                    if counts[part].get("augmented") and folds
                ]
            if there:
                text.append(f"{kind} = {json.dumps(there)}")
    path.write_text("\n".join(text) + "\n", encoding="utf-8", newline="\n")


def _classes(source: Source, *, ignored: bool) -> str:
    lines = []
    if ignored:
        lines += ["ignore_value = 255", f"ignore_colour = {json.dumps(list(IGNORE_COLOUR))}"]
    lines.append("classes = [")
    for name, colour in zip(source.class_names or (), source.class_colours, strict=True):
        lines.append(
            f"  {{ name = {json.dumps(name, ensure_ascii=False)}, colour = {json.dumps(list(colour))} }},"
        )
    lines.append("]")
    return "\n".join(lines)
