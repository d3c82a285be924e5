"""What a score becomes elsewhere, in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .figure import INK, PALE, SERIES, new_figure, plain, save_figure, tidy

_COLOURS = (SERIES[0], SERIES[3], SERIES[1])


@dataclass(frozen=True)
class GapPoint:
    """The score of one way to hold images out, its intervals by groups and by regions, and of each seed."""

    label: str
    score: float | None
    by_groups: tuple[float, float] | None
    by_regions: tuple[float, float] | None
    seeds: tuple[float | None, ...]


def draw_gap(
    points: Sequence[GapPoint],
    regions: Mapping[str, tuple[int, float | None, float | None]],
    path: Path,
    title: str = "",
) -> None:
    """Draw as PNG: the score of each way to hold images out with both intervals; and the regions.

    points: first the easiest way, last the hardest. regions: by name the number of images and their scores
    the easiest and the hardest way.
    """
    figure = new_figure(10.5, 5.0)
    if title:
        figure.suptitle(plain(title), color=INK, fontsize=12)
    grid = figure.add_gridspec(1, 2, width_ratios=[1.15, 1])
    _draw_points(figure.add_subplot(grid[0, 0]), points)
    _draw_regions(figure.add_subplot(grid[0, 1]), regions)
    save_figure(figure, path)


def _draw_points(axes: Any, points: Sequence[GapPoint]) -> None:
    tidy(axes)
    for place, point in enumerate(points):
        colour = _COLOURS[place % len(_COLOURS)]
        if point.score is None:
            continue
        if point.by_regions is not None:
            axes.plot([place] * 2, point.by_regions, color=colour, linewidth=1.4, alpha=0.75)
        if point.by_groups is not None:
            axes.plot(
                [place] * 2, point.by_groups, color=colour, linewidth=7, alpha=0.45, solid_capstyle="butt"
            )
        axes.plot(place, point.score, "o", color=colour, markersize=9)
        axes.annotate(f"{point.score:.3f}", (place + 0.09, point.score), color=INK, va="center")
        measured = [value for value in point.seeds if value is not None]
        if len(measured) > 1:
            axes.plot([place - 0.12] * len(measured), measured, "_", color=INK, markersize=9)
    axes.set_xticks(range(len(points)), [plain(point.label) for point in points])
    axes.set_xlim(-0.5, len(points) - 0.4)
    axes.set_ylabel("IoU, pooled over the same images", color=INK)
    axes.plot([], [], color="#7a869a", linewidth=7, alpha=0.45, label="95 %, groups drawn again")
    axes.plot([], [], color="#7a869a", linewidth=1.4, label="95 %, regions drawn again")
    if any(len(point.seeds) > 1 for point in points):
        axes.plot([], [], "_", color=INK, markersize=9, label="each seed")
    _legend_below(axes, -0.1)


def _draw_regions(axes: Any, regions: Mapping[str, tuple[int, float | None, float | None]]) -> None:
    tidy(axes)
    known = [
        (name, images, easy, hard)
        for name, (images, easy, hard) in regions.items()
        if easy is not None and hard is not None
    ]
    known.sort(key=lambda row: row[2] - row[3])
    for place, (_, _, easy, hard) in enumerate(known):
        axes.plot([easy, hard], [place] * 2, color=PALE, linewidth=3, zorder=1)
    places = np.arange(len(known))
    axes.plot([row[2] for row in known], places, "o", color=_COLOURS[0], label="held out at random")
    axes.plot([row[3] for row in known], places, "o", color=_COLOURS[-1], label="the region left out")
    axes.set_yticks(places, [f"{plain(name)} ({images})" for name, images, _, _ in known])
    axes.set_xlabel("IoU on the region's images", color=INK)
    axes.set_ylim(-0.6, len(known) - 0.4)
    _legend_below(axes, -0.16)


def _legend_below(axes: Any, height: float) -> None:
    axes.legend(
        fontsize=8, labelcolor=INK, edgecolor=PALE, loc="upper center", bbox_to_anchor=(0.5, height), ncols=3
    )
