"""Small charts as inline SVG: sharp at any size, a few kB, no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .figure import INK, PALE, SERIES

Value = float | None


@dataclass(frozen=True)
class Line:
    """A polyline, or single marks, over x and y of one length; None is a gap."""

    x: Sequence[Value]
    y: Sequence[Value]
    label: str = ""
    marks: bool = False
    dashed: bool = False


_W, _H, _LEFT, _RIGHT, _TOP, _BOTTOM = 360, 270, 46, 12, 12, 42


@dataclass(frozen=True)
class _Axes:
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0] or 1)
        up = (y - self.y[0]) / (self.y[1] - self.y[0] or 1)
        return _LEFT + across * (_W - _LEFT - _RIGHT), _H - _BOTTOM - up * (_H - _TOP - _BOTTOM)


def line_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] = (0, 1),
    y_range: tuple[float, float] = (0, 1),
    diagonal: bool = False,
    vertical: float | None = None,
    title: str = "",
) -> str:
    """Lines over linear axes. `diagonal`: y = x for comparison; `vertical`: an x to mark."""
    axes = _Axes(x_range, y_range)
    parts = _frame(axes, x_label, y_label)
    if diagonal:
        parts.append(_path([axes.at(0, 0), axes.at(1, 1)], "#9aa5b1", dashed=True))
    if vertical is not None:
        parts.append(
            _path([axes.at(vertical, y_range[0]), axes.at(vertical, y_range[1])], "#9aa5b1", dashed=True)
        )
    for index, line in enumerate(lines):
        colour = SERIES[index % len(SERIES)]
        run: list[tuple[float, float]] = []
        for x, y in zip(line.x, line.y, strict=True):
            if x is None or y is None:
                parts.append(_path(run, colour, dashed=line.dashed))
                run = []
                continue
            place = axes.at(min(max(x, x_range[0]), x_range[1]), min(max(y, y_range[0]), y_range[1]))
            run.append(place)
            if line.marks:
                parts.append(f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3" fill="{colour}"/>')
        parts.append(_path(run, colour, dashed=line.dashed))
    return _svg(parts, title) + _legend([line.label for line in lines])


def bar_chart(
    names: Sequence[str],
    groups: Sequence[tuple[str, Sequence[Value]]],
    *,
    x_label: str,
    y_label: str,
    counts: Sequence[str] = (),
    y_max: float = 1.0,
    title: str = "",
) -> str:
    """Bars side by side for each name; `counts` stand under the names."""
    axes = _Axes((0, max(len(names), 1)), (0, y_max))
    parts = _frame(axes, x_label, y_label, x_ticks=False)
    width = 0.8 / max(len(groups), 1)
    for place, name in enumerate(names):
        middle = axes.at(place + 0.5, 0)
        parts.append(_text(middle[0], middle[1] + 13, name, size=9))
        if counts:
            parts.append(_text(middle[0], middle[1] + 23, counts[place], size=8, colour="#7a869a"))
        for index, (_, values) in enumerate(groups):
            value = values[place]
            if value is None:
                continue
            left, top = axes.at(place + 0.1 + index * width, value)
            right, bottom = axes.at(place + 0.1 + (index + 1) * width, 0)
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left - 1, 1):.1f}" '
                f'height="{bottom - top:.1f}" fill="{SERIES[index % len(SERIES)]}"/>'
            )
    return _svg(parts, title) + _legend([label for label, _ in groups])


def interval_bar(value: Value, low: Value, high: Value, span: tuple[float, float] = (0, 1)) -> str:
    """A dot with its interval on a line, for a table cell; `span` are the ends of the line."""
    if value is None or low is None or high is None:
        return ""
    reach = span[1] - span[0] or 1

    def at(number: float) -> float:
        return 4 + 112 * (min(max(number, span[0]), span[1]) - span[0]) / reach

    middle = ""
    if span[0] < 0 < span[1]:
        middle = f'<line x1="{at(0):.1f}" y1="1" x2="{at(0):.1f}" y2="13" stroke="#9aa5b1"/>'
    return (
        '<svg width="120" height="14" viewBox="0 0 120 14" aria-hidden="true">'
        f'<line x1="4" y1="7" x2="116" y2="7" stroke="{PALE}"/>{middle}'
        f'<line x1="{at(low):.1f}" y1="7" x2="{at(high):.1f}" y2="7" stroke="{SERIES[0]}" stroke-width="5"/>'
        f'<circle cx="{at(value):.1f}" cy="7" r="2.5" fill="{SERIES[1]}"/></svg>'
    )


def _frame(axes: _Axes, x_label: str, y_label: str, *, x_ticks: bool = True) -> list[str]:
    parts = []
    for step in _ticks(*axes.y):
        x, y = axes.at(axes.x[0], step)
        parts.append(f'<line x1="{x}" y1="{y:.1f}" x2="{_W - _RIGHT}" y2="{y:.1f}" stroke="{PALE}"/>')
        parts.append(_text(x - 5, y + 3, f"{step:g}", anchor="end"))
    for step in _ticks(*axes.x) if x_ticks else ():
        x, y = axes.at(step, axes.y[0])
        parts.append(_text(x, y + 13, f"{step:g}"))
    parts.append(_text((_LEFT + _W - _RIGHT) / 2, _H - 4, x_label, size=11))
    middle = (_TOP + _H - _BOTTOM) / 2
    parts.append(
        f'<text x="11" y="{middle:.0f}" font-size="11" fill="{INK}" text-anchor="middle" '
        f'transform="rotate(-90 11 {middle:.0f})">{escape(y_label)}</text>'
    )
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers."""
    span = high - low
    if span <= 0:
        return [low]
    raw = span / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(base * power for base in (1, 2, 5, 10) if base * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _path(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    if len(points) < 2:
        return ""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>'


def _text(x: float, y: float, text: str, *, size: int = 10, anchor: str = "middle", colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], title: str) -> str:
    label = f"<title>{escape(title)}</title>" if title else ""
    return f'<svg viewBox="0 0 {_W} {_H}" role="img">{label}{"".join(parts)}</svg>'


def _legend(labels: Sequence[str]) -> str:
    shown = [
        f'<span><i style="background:{SERIES[index % len(SERIES)]}"></i>{escape(label)}</span>'
        for index, label in enumerate(labels)
        if label
    ]
    return f'<div class="legend">{"".join(shown)}</div>' if shown else ""
