"""Training curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from .figure import INK, PALE, SERIES, new_figure, plain, save_figure, tidy

Columns = Mapping[str, Sequence[float | None]]

_X_AXIS = "epoch"
_VALIDATION = ("val_", "valid_")
_RATES = ("lr", "learning_rate")


def draw_curves(columns: Columns, path: Path, title: str = "") -> None:
    """Draw the columns of a training log over the epochs, as PNG: losses, scores and learning rate in panels.

    A `val_` (or `valid_`) column shares the colour of its training column, drawn solid where training is
    pale; the best value on validation is marked. `epoch` is the x axis where given, else 1, 2, ...; None
    and NaN are gaps.
    """
    panels = _panels([name for name in columns if name != _X_AXIS])
    figure = new_figure(8, 6) if len(panels) < 2 else new_figure(8, 3.4 * len(panels) + 0.4)
    if title:
        figure.suptitle(plain(title), color=INK, fontsize=12)
    for index, (heading, names) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, index + 1)
        _draw_panel(axes, columns, heading, names)
        if index == len(panels) - 1:
            axes.set_xlabel("epoch", color=INK)
    save_figure(figure, path)


def _panels(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    rates = [name for name in names if name in _RATES]
    losses = [name for name in names if "loss" in name]
    scores = [name for name in names if name not in rates and name not in losses]
    panels = [("loss", losses), ("score", scores), ("learning rate", rates)]
    return [panel for panel in panels if panel[1]] or [("", [])]


def _draw_panel(axes: Any, columns: Columns, heading: str, names: Sequence[str]) -> None:
    tidy(axes)
    axes.set_ylabel(heading, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    stems = list(dict.fromkeys(_stem(name) for name in names))
    both = {stem: sum(_stem(name) == stem for name in names) > 1 for stem in stems}
    for name in names:
        values = [math.nan if value is None else float(value) for value in columns[name]]
        numbered = columns.get(_X_AXIS, range(1, len(values) + 1))
        epochs = [float(epoch or 0) for epoch in numbered][: len(values)]
        colour = SERIES[stems.index(_stem(name)) % len(SERIES)]
        trained = both[_stem(name)] and not name.startswith(_VALIDATION)
        best = None
        if name.startswith(_VALIDATION):
            best = _best(epochs, values, least=heading == "loss")
        axes.plot(
            epochs,
            values,
            color=colour,
            linewidth=1.6,
            alpha=0.45 if trained else 1.0,
            linestyle="--" if trained else "-",
            marker="o" if len(values) <= 40 else None,
            markersize=3,
            label=plain(name) if best is None else f"{plain(name)}, best {best[1]:.4f} at {best[0]:g}",
        )
        if best is not None:
            axes.plot(*best, marker="o", markersize=8, markerfacecolor="white", markeredgecolor=colour)
    if heading == "learning rate":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    elif names and heading == "score":
        _zero_to_one_if_it_fits(axes, columns, names)
    if names:
        axes.legend(fontsize=8, labelcolor=INK, edgecolor=PALE, framealpha=0.9)


def _best(epochs: Sequence[float], values: Sequence[float], *, least: bool) -> tuple[float, float] | None:
    """Epoch and value of the best measured point."""
    measured = [pair for pair in zip(epochs, values, strict=False) if math.isfinite(pair[1])]
    return (min if least else max)(measured, key=lambda pair: pair[1]) if measured else None


def _zero_to_one_if_it_fits(axes: Any, columns: Columns, names: Sequence[str]) -> None:
    values = [value for name in names for value in columns[name] if value is not None]
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) >= 0 and max(finite) <= 1:
        axes.set_ylim(0, 1.05)


def _stem(name: str) -> str:
    for prefix in _VALIDATION:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
