"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from .figure import INK, new_figure, plain, save_figure

_MOST_WITH_NUMBERS = 16


def draw_confusion(counts: NDArray[np.int64], classes: Classes, path: Path, title: str = "") -> None:
    """Draw pixel counts (K, K), rows truth, columns prediction, as PNG.

    The tint and the large number are the share of the row, that is of the class's true pixels; the small
    number is the count. Rows without pixels stay grey.
    """
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(f"counts have shape {counts.shape}, the classes need {(size, size)}")
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    edge = float(np.clip(2.4 + 1.05 * size, 4.6, 16))
    figure = new_figure(edge + 0.6, edge)
    axes = figure.add_subplot()
    axes.set_facecolor("#e8ebee")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if title:
        axes.set_title(plain(title), color=INK, fontsize=11)
    names = [plain(name) for name in classes.names]
    axes.set_xticks(
        range(size), names, rotation=0 if size <= 3 else 45, ha="center" if size <= 3 else "right"
    )
    axes.set_yticks(range(size), names)
    axes.tick_params(length=0, labelsize=9 if size <= 12 else 7, colors=INK)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("truth", color=INK)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if size <= _MOST_WITH_NUMBERS:
        large = 13 if size <= 4 else 9 if size <= 9 else 7
        for (row, column), share in np.ndenumerate(shares):
            known = bool(np.isfinite(share))
            ink = "white" if known and share > 0.55 else INK
            text = _percent(float(share)) if known else "absent"
            axes.text(column, row - 0.08, text, ha="center", va="center", color=ink, fontsize=large)
            count = f"{int(counts[row, column]):,}"
            axes.text(column, row + 0.24, count, ha="center", va="center", color=ink, fontsize=large * 0.62)
    save_figure(figure, path)


def _percent(share: float) -> str:
    """Never rounded to 0 or 100 % when there is something to say."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"
