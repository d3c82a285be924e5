"""The drawing of a network as a U."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, Polygon

from .figure import INK, new_figure, plain, save_figure

if TYPE_CHECKING:
    from ..nets import Stage

Place = Literal["above", "below", "left", "right"]
Point = tuple[float, float]

COLOURS = {"down": "#1b6ca8", "bridge": "#6d597a", "up": "#2e8b57", "head": "#d1495b", "image": "#e09f3e"}
SKIP = "#9aa5b1"
STEP_X, STEP_Y = 1.5, 1.85
DEPTH = 0.16
"""Offset of the slanted faces that make a rectangle look like a slab."""
INCHES = 0.62
"""Of one unit of the drawing."""


def draw_network(
    stages: Sequence[Stage], input_chw: tuple[int, int, int], path: Path, title: str = ""
) -> None:
    """Draw the stages of `flexunet.nets.stages` as a U: PNG.

    A slab is a convolution (four at most are drawn); its height goes with the size of the map, its thickness
    with the logarithm of the number of channels. Blue leads down, green up; grey arrows are the skips.
    """
    down, up = ([stage for stage in stages if stage.side == side] for side in ("down", "up"))
    (bridge,) = (stage for stage in stages if stage.side == "bridge")
    (head,) = (stage for stage in stages if stage.side == "head")
    levels = len(down)
    x_limits = (-3.6, 2 * levels * STEP_X + 4.0)
    y_limits = (-levels * STEP_Y - 1.7, 2.3)
    figure = new_figure(INCHES * (x_limits[1] - x_limits[0]), INCHES * (y_limits[1] - y_limits[0]) + 0.5)
    axes = figure.add_subplot(aspect="equal", xlim=x_limits, ylim=y_limits)
    axes.set_axis_off()
    pen = _Pen(axes, largest=max(input_chw[1:]))

    def at(column: int, level: int) -> Point:
        return column * STEP_X, -level * STEP_Y

    image = pen.image(input_chw, (-2.6, 0))
    left = [pen.stage(stage, at(i, i), "left" if i else "above") for i, stage in enumerate(down)]
    middle = pen.stage(bridge, at(levels, levels), "below")
    right = [
        pen.stage(stage, at(2 * levels - i, i), "right" if i else "above")
        for i, stage in zip(range(levels - 1, -1, -1), up, strict=True)
    ]
    end = pen.stage(head, (2 * levels * STEP_X + 2.8, 0), "above")

    pen.arrow(image.right, left[0].left, INK)
    for upper, lower in zip(left, [*left[1:], middle], strict=True):
        pen.arrow(upper.bottom, lower.top, COLOURS["down"])
    for lower, upper in zip([middle, *right], right, strict=False):
        pen.arrow(lower.top, upper.bottom, COLOURS["up"])
    for source, target in zip(left, reversed(right), strict=True):
        pen.arrow(source.right, target.left, SKIP)
    pen.arrow(right[-1].right, end.left, INK)
    pen.legend(x_limits[0] + 0.2, y_limits[0] + 1.7)
    if title:
        figure.suptitle(plain(title), color=INK, fontsize=13)
    save_figure(figure, path)


@dataclass(frozen=True)
class _Box:
    """A drawn stage; its properties are the points where arrows meet it."""

    x: float
    y: float
    width: float
    height: float
    gap: float = 0.1

    @property
    def left(self) -> Point:
        return self.x - self.width / 2 - self.gap, self.y

    @property
    def right(self) -> Point:
        return self.x + self.width / 2 + DEPTH + self.gap, self.y

    @property
    def bottom(self) -> Point:
        return self.x, self.y - self.height / 2 - self.gap

    @property
    def top(self) -> Point:
        return self.x + DEPTH, self.y + self.height / 2 + DEPTH + self.gap


class _Pen:
    """Draws slabs, captions and arrows on one pair of axes."""

    def __init__(self, axes: Any, largest: int) -> None:
        self.axes = axes
        self.largest = largest

    def stage(self, stage: Stage, centre: Point, captions: Place) -> _Box:
        """The slabs of one stage, and what there is to say about it."""
        channels, height, width = stage.output_chw
        thick, space = 0.05 + 0.032 * math.log2(channels), 0.05
        count = min(stage.convolutions, 4)
        box = _Box(*centre, count * (thick + space) - space, self._height(max(height, width)))
        for slab in range(count):
            x = box.x - box.width / 2 + slab * (thick + space)
            self._slab(x, box.y, thick, box.height, COLOURS[stage.side], 2 + slab)
        name = (
            f"{channels} {'classes' if channels > 1 else 'class'}" if stage.side == "head" else str(channels)
        )
        detail = f"{stage.kernel.replace('x', '×')} · {_count(stage.parameters)}"
        self._captions(box, name, f"{height} × {width}", detail, captions)
        return box

    def image(self, input_chw: tuple[int, int, int], centre: Point) -> _Box:
        """The input."""
        channels, height, width = input_chw
        box = _Box(*centre, 0.1, self._height(max(height, width)))
        self._slab(box.x - 0.05, box.y, 0.1, box.height, COLOURS["image"], 2)
        name = f"{channels} {'bands' if channels > 1 else 'band'}"
        self._captions(box, name, f"{height} × {width}", "image", "above")
        return box

    def arrow(self, start: Point, end: Point, colour: str) -> None:
        """A straight arrow."""
        style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
        self.axes.add_patch(FancyArrowPatch(start, end, color=colour, linewidth=1.6, zorder=1, **style))

    def legend(self, x: float, y: float) -> None:
        """What the colours of the arrows mean."""
        entries = (("half the size", COLOURS["down"]), ("twice the size", COLOURS["up"]), ("skip", SKIP))
        for line, (text, colour) in enumerate(entries):
            self.arrow((x, y - 0.5 * line), (x + 0.7, y - 0.5 * line), colour)
            self.axes.text(x + 0.85, y - 0.5 * line, text, fontsize=9, color=INK, va="center")
        note = "bold: channels; below: size, kernel · parameters"
        self.axes.text(x, y - 1.45, note, fontsize=8, color="#616e7c", va="center")

    def _height(self, size: int) -> float:
        return float(0.3 + 1.1 * (size / self.largest) ** 0.45)

    def _slab(self, x: float, y: float, width: float, height: float, colour: str, order: int) -> None:
        low, high, end = y - height / 2, y + height / 2, x + width
        front = [(x, low), (end, low), (end, high), (x, high)]
        top = [(x, high), (end, high), (end + DEPTH, high + DEPTH), (x + DEPTH, high + DEPTH)]
        side = [(end, low), (end + DEPTH, low + DEPTH), (end + DEPTH, high + DEPTH), (end, high)]
        for corners, strength in ((front, 0.9), (top, 0.5), (side, 0.7)):
            face = tuple(1 - strength * (1 - value) for value in to_rgb(colour))
            patch = Polygon(corners, facecolor=face, edgecolor="white", linewidth=0.6, zorder=order)
            self.axes.add_patch(patch)

    def _captions(self, box: _Box, name: str, size: str, detail: str, place: Place) -> None:
        x, anchor = {"left": (box.left[0], "right"), "right": (box.right[0], "left")}.get(
            place, (box.x + DEPTH / 2, "center")
        )
        beyond = {"above": box.top[1] + 0.55, "below": box.bottom[1] - 0.55}
        y = beyond.get(place, box.y)
        style = {"ha": anchor, "va": "center", "zorder": 9}
        self.axes.text(x, y + 0.34, name, fontsize=11, weight="bold", color=INK, **style)
        self.axes.text(x, y, size, fontsize=9, color=INK, **style)
        self.axes.text(x, y - 0.3, detail, fontsize=8, color="#616e7c", **style)


def _count(number: int) -> str:
    """Parameters, shortly."""
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return str(number)
