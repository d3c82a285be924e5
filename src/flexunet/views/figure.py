"""One look for all plots: a figure on the Agg canvas, without pyplot and its global state."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ..files import whole_file

INK = "#1f2933"
PALE = "#d9dfe5"
SERIES = ("#1b6ca8", "#d1495b", "#2e8b57", "#e09f3e", "#6d597a", "#40a5a5", "#8d6e63", "#7a869a")

_OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei", "Microsoft YaHei",
    "SimHei", "PingFang SC", "Hiragino Sans GB", "Yu Gothic", "Noto Sans Devanagari", "Nirmala UI",
    "Arial Unicode MS",
)  # fmt: skip


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty white figure that can be saved; inches at 100 pixels each."""
    figure = Figure(figsize=(width_in, height_in), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, or as JPEG if `path` ends so, whole or not at all."""
    with whole_file(path) as beside, _all_letters():
        form, options = _form(path)
        figure.savefig(beside, format=form, pil_kwargs=options)


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """What the figure shows, uint8 (h, w, 3)."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg), "new_figure makes no other"
    with _all_letters():
        canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def save_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write uint8 (h, w, 3) as PNG, or as JPEG if `path` ends so, whole or not at all."""
    with whole_file(path) as beside:
        form, options = _form(path)
        Image.fromarray(pixels).save(beside, format=form, **options)


def _form(path: Path) -> tuple[str, dict[str, Any]]:
    """Pillow's name of the file's form, and how it is written."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return "jpeg", {"quality": 88, "subsampling": 0}
    return "png", {}


@contextmanager
def _all_letters() -> Iterator[None]:
    with (
        warnings.catch_warnings(),
        rc_context({"font.family": ["DejaVu Sans", *installed_other_scripts()]}),
    ):
        # a letter that no font here has is drawn as a box, which says it all
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def tidy(axes: Any) -> None:
    """Thin grey frame on two sides, a faint grid, ink-coloured text."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    axes.grid(color=PALE, linewidth=0.7, alpha=0.7)
    axes.set_axisbelow(True)


def plain(text: str) -> str:
    """Text that matplotlib takes literally: a dollar sign would start a formula."""
    return text.replace("$", r"\$")


@cache
def installed_other_scripts() -> tuple[str, ...]:
    """Fonts of this machine for letters that DejaVu Sans does not have."""
    present = set(font_manager.get_font_names())
    return tuple(name for name in _OTHER_SCRIPTS if name in present)
