"""`stats`: the numbers of a dataset, a page of charts and sample sheets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, OutputExistsError
from ..files import write_text
from ..progress import Tell
from ..views import Card, display_rgb, gallery
from ..views.stats_page import SplitCharts, draw_stats
from .dataset import Dataset, find_dataset
from .facts import Facts, gather, read_labels, read_member, usable
from .statistics import SplitNumbers, as_json, histograms, numbers_of

STATS = "stats.json"
SAMPLES = 12
"""Pairs on each sample sheet."""


@dataclass(frozen=True)
class Stats:
    """Numbers of every split of a dataset."""

    dataset: Dataset
    facts: tuple[Facts, ...]
    numbers: tuple[SplitNumbers, ...]
    unreadable: int

    def text(self) -> str:
        """A table for people."""
        classes = self.dataset.data.class_table()
        names = [classes.names[label] for label in classes.foreground]
        rows = [["split", "images", "negatives", "height", "width", "objects", *names]]
        for item in self.numbers:
            total = max(1, int(item.class_pixels.sum()))
            shares = [f"{100 * item.class_pixels[label] / total:.2f} %" for label in classes.foreground]
            objects = sum(len(areas) for areas in item.objects.values())
            sizes = [f"{values.min()}-{values.max()}" for values in (item.heights, item.widths)]
            rows.append([item.split, str(item.images), str(item.negatives), *sizes, str(objects), *shares])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(w) if n == 0 else cell.rjust(w)
                for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        if self.unreadable:
            lines.append(f"{self.unreadable} pictures cannot be read and are left out: see flexunet check")
        return "\n".join(lines)


def stats(target: Path, overrides: Sequence[str] = (), *, progress: Tell | None = None) -> Stats:
    """Count a dataset folder or the dataset that a config names.

    Raises:
        ConfigError, DataError: nothing there that could be counted.
    """
    dataset = find_dataset(target, overrides, progress)
    looked = list(gather(dataset, find_copies=False, progress=progress))
    facts = usable(looked)
    if not facts:
        raise DataError(f"no picture of {dataset.name} can be read; see flexunet check.")
    classes = dataset.data.class_table()
    numbers = [
        numbers_of(split, members, classes)
        for split in dataset.splits
        if (members := [item for item in facts if item.member.split == split])
    ]
    return Stats(dataset, tuple(facts), tuple(numbers), len(looked) - len(facts))


def write_stats(found: Stats, out: Path, *, overwrite: bool = False) -> list[Path]:
    """Write `stats.png`, a sheet `SPLIT_sample.png` of each split, and, last, `stats.json`.

    Raises:
        OutputExistsError: `out` holds statistics and `overwrite` is False.
    """
    if (out / STATS).exists() and not overwrite:
        raise OutputExistsError(
            f"{out} holds statistics already. Use --overwrite, or another folder with --out."
        )
    names, ranges = _bands(found)
    charts = [_charts(found, item, ranges) for item in found.numbers]
    classes = found.dataset.data.class_table()
    title = f"{found.dataset.name}: {len(found.facts)} images"
    draw_stats(charts, classes, names, ranges, out / "stats.png", title=title)
    written = [out / "stats.png"]
    for item in found.numbers:
        path = out / f"{item.split}_sample.png"
        _draw_sample(found, item.split, path)
        written.append(path)
    content = {
        "format": "flexunet stats",
        "version": 1,
        "dataset": found.dataset.name,
        "classes": list(classes.names),
        "bands": list(names),
        "splits": {item.split: as_json(item, classes) for item in found.numbers},
        "unreadable": found.unreadable,
    }
    write_text(out / STATS, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return [*written, out / STATS]


def _bands(found: Stats) -> tuple[list[str], list[tuple[float, float]]]:
    """Names of the bands and the range of each histogram: all of uint8, else percentiles without outliers."""
    first = found.facts[0]
    count = found.numbers[0].image_means.shape[1]
    names = [first.band_names[b] if b < len(first.band_names) else str(b + 1) for b in range(count)]
    if all(item.dtype == "uint8" for item in found.facts):
        return names, [(0.0, 256.0)] * count
    ranges = []
    for band in range(count):
        values = np.concatenate([item.sample[band] for item in found.facts if band < len(item.sample)])
        low, high = (float(v) for v in np.percentile(values, (0.5, 99.5))) if len(values) else (0.0, 1.0)
        ranges.append((low, high if high > low else low + 1.0))
    return names, ranges


def _charts(found: Stats, item: SplitNumbers, ranges: Sequence[tuple[float, float]]) -> SplitCharts:
    members = [facts for facts in found.facts if facts.member.split == item.split]
    shares = np.stack([histograms(members, *limits, band) for band, limits in enumerate(ranges)])
    return SplitCharts(
        item.split, item.images, item.negatives, item.class_pixels, item.objects, item.object_counts,
        item.heights, item.widths, shares, item.together,
    )  # fmt: skip


def _draw_sample(found: Stats, split: str, path: Path) -> None:
    """Pictures and masks evenly spread over a split."""
    members = [item for item in found.facts if item.member.split == split]
    count = min(SAMPLES, len(members))
    cards: list[Card] = []
    for item in (members[number * len(members) // count] for number in range(count)):
        picture = read_member(item.member, found.dataset.data)
        rgb = display_rgb(picture.pixels, picture.valid, band_names=picture.band_names)
        labels: Any = read_labels(item.member, found.dataset.data, item.size)
        height, width = item.size
        cards.append(Card(rgb, labels, None, f"{item.member.pair.id}   {height} x {width}"))
    classes = found.dataset.data.class_table()
    gallery(cards, classes, path, title=f"{found.dataset.name}: {split}", columns=4, panel_px=180)
