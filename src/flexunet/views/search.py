"""A search for settings in one picture: its course, what mattered, and each setting against the score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullFormatter

from .figure import INK, PALE, SERIES, new_figure, plain, save_figure, tidy

_COLOURS = {"complete": SERIES[0], "pruned": "#9aa5b1", "failed": SERIES[1]}
_MOST_SLICES = 9
_ACROSS = 3


@dataclass(frozen=True)
class SearchedTrial:
    """One trial: its number from 1, how it ended, its score (None: none)."""

    number: int
    state: str
    score: float | None


@dataclass(frozen=True)
class SearchedSetting:
    """One setting over the trials: numbers, or texts out of `choices`; None where a trial has none."""

    key: str
    values: tuple[Any, ...]
    choices: tuple[str, ...] | None
    log: bool
    importance: float | None


def draw_search(
    trials: Sequence[SearchedTrial],
    settings: Sequence[SearchedSetting],
    path: Path,
    *,
    score: str,
    larger_is_better: bool,
    baseline: int | None = None,
    title: str = "",
) -> None:
    """Draw as PNG: scores in the order of the trials, importance as bars, and a panel for each setting.

    baseline: number of the trial that is marked as what one would have had without a search.
    """
    ordered = sorted(settings, key=lambda setting: -(setting.importance or 0.0))
    shown = ordered[:_MOST_SLICES]
    across = 2 if len(shown) in (2, 4) else _ACROSS
    rows = -(-len(shown) // across)
    figure = new_figure(10.5, 3.6 + 2.7 * rows)
    if title:
        figure.suptitle(plain(title), color=INK, fontsize=12)
    grid = figure.add_gridspec(2, 1, height_ratios=[1.25, rows])
    above, below = grid[0], grid[1]
    top = above.subgridspec(1, 2, width_ratios=[1.9, 1])
    slices = below.subgridspec(rows, across)
    limits = _limits(trials)
    history = figure.add_subplot(top[0, 0])
    _draw_history(history, trials, score, limits, baseline, larger_is_better=larger_is_better)
    _draw_importance(figure.add_subplot(top[0, 1]), ordered)
    for place, setting in enumerate(shown):
        axes = figure.add_subplot(slices[place // across, place % across])
        _draw_slice(axes, trials, setting, limits)
        if place % across == 0:
            axes.set_ylabel(score, color=INK)
    save_figure(figure, path)


def _draw_history(
    axes: Any,
    trials: Sequence[SearchedTrial],
    score: str,
    limits: tuple[float, float],
    baseline: int | None,
    *,
    larger_is_better: bool,
) -> None:
    tidy(axes)
    axes.set_xlabel("trial", color=INK)
    axes.set_ylabel(score, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for state, colour in _COLOURS.items():
        found = [(t.number, t.score) for t in trials if t.state == state and t.score is not None]
        if found:
            ended = {"complete": "trained to the end", "pruned": "ended early", "failed": "failed"}[state]
            axes.plot(*zip(*found, strict=True), "o", color=colour, markersize=4.5, label=ended)
    marked = [(t.number, t.score) for t in trials if t.number == baseline and t.score is not None]
    if marked:
        ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK}
        axes.plot(*zip(*marked, strict=True), "o", **ring, label="the config as it is")
    best: list[tuple[int, float]] = []
    for trial in trials:
        if trial.state == "complete" and trial.score is not None:
            better = not best or (trial.score > best[-1][1]) == larger_is_better
            best.append((trial.number, trial.score if better else best[-1][1]))
    if best:
        best.append((trials[-1].number, best[-1][1]))
        axes.step(*zip(*best, strict=True), where="post", color=SERIES[2], linewidth=1.6, label="best so far")
    axes.set_ylim(*limits)
    axes.legend(fontsize=8, labelcolor=INK, edgecolor=PALE, framealpha=0.9)


def _draw_importance(axes: Any, settings: Sequence[SearchedSetting]) -> None:
    tidy(axes)
    axes.set_title("importance", color=INK, fontsize=10)
    known = [setting for setting in settings if setting.importance is not None]
    if not known:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "too few complete trials", ha="center", va="center", color=INK, fontsize=9)
        return
    places = np.arange(len(known))
    axes.barh(places, [setting.importance for setting in known], color=SERIES[0], height=0.6)
    axes.set_yticks(places, [plain(setting.key) for setting in known])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)


def _draw_slice(
    axes: Any, trials: Sequence[SearchedTrial], setting: SearchedSetting, limits: tuple[float, float]
) -> None:
    tidy(axes)
    axes.set_xlabel(plain(setting.key), color=INK, fontsize=9)
    rng = np.random.default_rng(0)
    for state, colour in _COLOURS.items():
        points = [
            (value, trial.score)
            for trial, value in zip(trials, setting.values, strict=True)
            if trial.state == state and trial.score is not None and value is not None
        ]
        if not points:
            continue
        across: list[float] = [float(0 if setting.choices else value) for value, _ in points]
        if setting.choices is not None:
            # points of one choice are spread a little, so that equal ones are seen
            across = [setting.choices.index(value) + rng.uniform(-0.15, 0.15) for value, _ in points]
        axes.plot(across, [score for _, score in points], "o", color=colour, markersize=4, alpha=0.8)
    if setting.choices is not None:
        labels = [_lines(text) for text in setting.choices]
        longest = max(len(line) for label in labels for line in label.split("\n"))
        size = 9 if longest * len(labels) <= 36 else 7
        axes.set_xticks(range(len(labels)), labels, fontsize=size)
        if longest * len(labels) > 56:
            axes.tick_params(axis="x", labelrotation=90)
        axes.set_xlim(-0.5, len(setting.choices) - 0.5)
    elif setting.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(*limits)


def _limits(trials: Sequence[SearchedTrial]) -> tuple[float, float]:
    """The scores with some room; single bad ones at the bottom do not flatten the rest."""
    scores = [t.score for t in trials if t.score is not None and math.isfinite(t.score)]
    if not scores:
        return 0.0, 1.0
    low, high = min(scores), max(scores)
    room = 0.08 * (high - low) or 0.02
    return low - room, high + room


def _lines(text: str) -> str:
    """A choice without quotes; of a long list each item on a line of its own."""
    text = plain(text.replace('"', ""))
    return text if len(text) <= 14 else text.strip("[]").replace(", ", ",\n")
