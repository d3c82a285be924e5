"""One page of charts about a dataset: counts, classes, objects, sizes, bands, classes that meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from .figure import INK, PALE, SERIES, new_figure, plain, save_figure, tidy

_MOST_BANDS = 8


@dataclass(frozen=True)
class SplitCharts:
    """What the page draws of one split."""

    name: str
    images: int
    negatives: int
    class_pixels: NDArray[np.int64]
    """(K,)"""
    object_areas: Mapping[int, NDArray[np.int64]]
    """Areas in pixels by foreground class."""
    object_counts: NDArray[np.int64]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    histograms: NDArray[np.float64]
    """(C, bins): shares."""
    together: NDArray[np.int64]
    """(K, K)"""


def draw_stats(
    splits: Sequence[SplitCharts],
    classes: Classes,
    band_names: Sequence[str],
    band_ranges: Sequence[tuple[float, float]],
    path: Path,
    *,
    title: str,
) -> None:
    """Write the page as PNG; band histograms run over `band_ranges`, one (low, high) a band."""
    shown = min(len(band_names), _MOST_BANDS)
    band_rows = -(-shown // 4)
    figure = new_figure(15, 8.4 + 2.6 * band_rows)
    grid = figure.add_gridspec(2 + band_rows, 12, height_ratios=[1.1, 1.1, *([0.75] * band_rows)])
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=14, color=INK)
    _counts(figure.add_subplot(grid[0, 0:4]), splits)
    _shares(figure.add_subplot(grid[0, 4:8]), splits, classes)
    _together(figure.add_subplot(grid[0, 8:12]), splits, classes)
    _areas(figure.add_subplot(grid[1, 0:4]), splits, classes)
    _object_counts(figure.add_subplot(grid[1, 4:8]), splits)
    _sizes(figure.add_subplot(grid[1, 8:12]), splits)
    for band in range(shown):
        row, column = divmod(band, 4)
        axes = figure.add_subplot(grid[2 + row, 3 * column : 3 * column + 3])
        _histogram(axes, splits, band, band_names[band], band_ranges[band], legend=band == 0)
    if shown < len(band_names):
        figure.text(0.99, 0.005, f"{len(band_names) - shown} more bands in stats.json", ha="right", color=INK)
    save_figure(figure, path)


def _headed(axes: Any, heading: str) -> None:
    axes.set_title(heading, loc="left", fontsize=11, color=INK)
    tidy(axes)


def _counts(axes: Any, splits: Sequence[SplitCharts]) -> None:
    places = np.arange(len(splits))
    positives = np.array([split.images - split.negatives for split in splits])
    negatives = np.array([split.negatives for split in splits])
    axes.bar(places, positives, 0.6, color=SERIES[0], label="with a mask")
    if negatives.any():
        axes.bar(places, negatives, 0.6, bottom=positives, color=SERIES[3], label="negatives")
        axes.legend(frameon=False, fontsize=9)
    for place, split in zip(places, splits, strict=True):
        axes.annotate(
            str(split.images), (place, split.images), (0, 3), textcoords="offset points", ha="center",
            color=INK, fontsize=10,
        )  # fmt: skip
    axes.set_xticks(places, [plain(split.name) for split in splits])
    axes.margins(y=0.12)
    _headed(axes, "Images")
    axes.grid(axis="x", visible=False)


def _shares(axes: Any, splits: Sequence[SplitCharts], classes: Classes) -> None:
    shown = list(classes.foreground)
    width = 0.8 / max(1, len(splits))
    for number, split in enumerate(splits):
        shares = 100 * split.class_pixels[shown] / max(1, int(split.class_pixels.sum()))
        places = np.arange(len(shown)) + (number - (len(splits) - 1) / 2) * width
        bars = axes.bar(places, shares, 0.92 * width, color=_colour(number), label=plain(split.name))
        if len(shown) * len(splits) <= 12:
            axes.bar_label(bars, fmt="%.3g %%", fontsize=8, color=INK, padding=2)
    names = [plain(classes.names[label]) for label in shown]
    axes.set_xticks(np.arange(len(shown)), names, rotation=30 if len(shown) > 5 else 0)
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=9)
    _headed(axes, "Share of the pixels, %")
    axes.grid(axis="x", visible=False)


def _together(axes: Any, splits: Sequence[SplitCharts], classes: Classes) -> None:
    counts = np.sum([split.together for split in splits], axis=0)
    largest = max(1, int(counts.max()))
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=largest * 1.3)
    names = [plain(name) for name in classes.names]
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= 12:
        for row in range(len(names)):
            for column in range(len(names)):
                axes.text(
                    column, row, str(counts[row, column]), ha="center", va="center", color=INK, fontsize=9
                )
    _headed(axes, "Images that hold both classes")
    axes.grid(visible=False)


def _areas(axes: Any, splits: Sequence[SplitCharts], classes: Classes) -> None:
    everything = [areas for split in splits for areas in split.object_areas.values() if len(areas)]
    if everything:
        largest = max(int(areas.max()) for areas in everything)
        edges = np.geomspace(1, max(10, largest), 30)
        for number, label in enumerate(classes.foreground):
            areas = np.concatenate([split.object_areas.get(label, np.zeros(0)) for split in splits])
            if len(areas):
                name = f"{classes.names[label]} ({len(areas)}, median {np.median(areas):.0f})"
                axes.hist(
                    areas, edges, histtype="step", linewidth=1.6, color=_colour(number), label=plain(name)
                )
        axes.set_xscale("log")
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel("pixels", color=INK, fontsize=9)
    _headed(axes, "Size of objects")


def _object_counts(axes: Any, splits: Sequence[SplitCharts]) -> None:
    counts = np.concatenate([split.object_counts for split in splits])
    if len(counts):
        top = int(np.percentile(counts, 99)) + 1
        axes.hist(np.minimum(counts, top), np.arange(0.5, top + 1.5), color=SERIES[0], rwidth=0.92)
    axes.set_xlabel("objects, in images that have any", color=INK, fontsize=9)
    _headed(axes, "Objects an image")


def _sizes(axes: Any, splits: Sequence[SplitCharts]) -> None:
    for number, split in enumerate(splits):
        axes.scatter(
            split.widths, split.heights, s=9, alpha=0.5, color=_colour(number), label=plain(split.name)
        )
    largest = max(int(max(split.heights.max(), split.widths.max())) for split in splits)
    axes.plot([0, largest], [0, largest], color=PALE, linewidth=1, zorder=0)
    axes.set_xlim(0, largest * 1.05)
    axes.set_ylim(0, largest * 1.05)
    axes.set_xlabel("width, pixels", color=INK, fontsize=9)
    axes.set_ylabel("height, pixels", color=INK, fontsize=9)
    _headed(axes, "Size of images")


def _histogram(
    axes: Any,
    splits: Sequence[SplitCharts],
    band: int,
    name: str,
    limits: tuple[float, float],
    *,
    legend: bool,
) -> None:
    for number, split in enumerate(splits):
        if band < len(split.histograms):
            shares = split.histograms[band]
            edges = np.linspace(*limits, len(shares) + 1)
            axes.stairs(100 * shares, edges, color=_colour(number), linewidth=1.4, label=plain(split.name))
    if legend:
        axes.legend(frameon=False, fontsize=8)
    heading = name if name.lower().startswith("band") else f"Band {name}"
    _headed(axes, f"{plain(heading)}, % of the pixels")


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]
