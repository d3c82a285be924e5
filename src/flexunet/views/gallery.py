"""A contact sheet: picture, truth and prediction side by side, as many rows as there are pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..classes import Classes
from ..files import whole_file
from .figure import installed_other_scripts
from .pictures import RGB, outline, overlay

_PAPER, _PANEL, _INK, _FAINT = (255, 255, 255), (238, 240, 243), (31, 41, 51), (110, 122, 134)
_GAP, _CAPTION, _MARGIN = 6, 24, 16
_FIRST_BEYOND_LATIN = 0x0900


@dataclass(frozen=True)
class Card:
    """One row of a gallery: picture uint8 (H, W, 3), labels uint8 (H, W), None where there are none."""

    rgb: RGB
    truth: NDArray[np.uint8] | None
    predicted: NDArray[np.uint8] | None
    caption: str = ""


def gallery(
    cards: Sequence[Card],
    classes: Classes,
    path: Path,
    *,
    title: str = "",
    columns: int = 2,
    panel_px: int = 224,
) -> None:
    """Write a contact sheet as PNG: `columns` cards side by side, each panel fitted into `panel_px` squares.

    The prediction carries the truth's outline in white, so that errors show.
    """
    headings = _headings(cards)
    card_w = len(headings) * (panel_px + _GAP) - _GAP
    card_h = _CAPTION + panel_px
    columns = max(1, min(columns, len(cards)))
    rows = -(-len(cards) // columns)
    top = _MARGIN + (30 if title else 0) + 20
    width = 2 * _MARGIN + columns * (card_w + 2 * _MARGIN) - 2 * _MARGIN
    height = top + rows * (card_h + _MARGIN) + _legend_height(classes) + 4
    sheet = Image.new("RGB", (max(width, 320), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_MARGIN, _MARGIN - 4), title, fill=_INK, font=_font(title, 17))
    for index, card in enumerate(cards):
        left = _MARGIN + index % columns * (card_w + 2 * _MARGIN)
        upper = top + index // columns * (card_h + _MARGIN)
        draw.text((left, upper + 3), _elided(card.caption, card_w), fill=_INK, font=_font(card.caption, 13))
        shown = panels(card, classes, panel_px)
        for place, heading in enumerate(headings):
            x = left + place * (panel_px + _GAP)
            if index < columns:
                draw.text((x, top - 16), heading, fill=_FAINT, font=_font(heading, 12))
            if heading in shown:
                sheet.paste(Image.fromarray(shown[heading]), (x, upper + _CAPTION))
    _draw_legend(draw, classes, height - _legend_height(classes))
    with whole_file(path) as beside:
        sheet.save(beside, format="PNG")


def _headings(cards: Sequence[Card]) -> list[str]:
    headings = ["image"]
    if any(card.truth is not None for card in cards):
        headings.append("truth")
    if any(card.predicted is not None for card in cards):
        headings.append("prediction")
    return headings


def panels(card: Card, classes: Classes, edge: int) -> dict[str, RGB]:
    """The card's pictures by heading, drawn at the size they are shown at; only those that it has."""
    rgb = _fitted(card.rgb, edge)
    shape = rgb.shape[:2]
    shown = {"image": rgb}
    truth = None if card.truth is None else _fitted_labels(card.truth, shape)
    if truth is not None:
        shown["truth"] = overlay(rgb, truth, classes)
    if card.predicted is not None:
        predicted = overlay(rgb, _fitted_labels(card.predicted, shape), classes)
        if truth is not None:
            for label in classes.foreground:
                predicted[outline(truth == label)] = 255
        shown["prediction"] = predicted
    return {heading: _framed(panel, edge) for heading, panel in shown.items()}


def _fitted(rgb: RGB, edge: int) -> RGB:
    height, width = rgb.shape[:2]
    scale = edge / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=method), np.uint8)


def _fitted_labels(labels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _framed(panel: RGB, edge: int) -> RGB:
    """The panel in the middle of a square of pale paper."""
    framed = np.full((edge, edge, 3), _PANEL, np.uint8)
    height, width = panel.shape[:2]
    top, left = (edge - height) // 2, (edge - width) // 2
    framed[top : top + height, left : left + width] = panel
    return framed


def _legend_height(classes: Classes) -> int:
    return 24 if classes.foreground else 0


def _draw_legend(draw: ImageDraw.ImageDraw, classes: Classes, top: int) -> None:
    x = _MARGIN
    for label in classes.foreground:
        name = classes.names[label]
        draw.rectangle((x, top + 1, x + 12, top + 13), fill=classes.colours[label], outline=_FAINT)
        draw.text((x + 18, top), name, fill=_INK, font=_font(name, 12))
        x += 18 + round(draw.textlength(name, font=_font(name, 12))) + 20


def _elided(text: str, width_px: int, size: int = 13) -> str:
    """The text, its middle left out where it would not fit."""
    font = _font(text, size)
    if font.getlength(text) <= width_px:
        return text
    keep = len(text)
    while keep > 4 and font.getlength(text[: keep // 2] + "…" + text[-(keep - keep // 2) :]) > width_px:
        keep -= 1
    return text[: keep // 2] + "…" + text[-(keep - keep // 2) :]


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, or a font of this machine that has the letters of other scripts."""
    others = installed_other_scripts() if any(ord(letter) >= _FIRST_BEYOND_LATIN for letter in text) else ()
    return _load_font(others[0] if others else None, size)


@cache
def _load_font(family: str | None, size: int) -> ImageFont.FreeTypeFont:
    bundled = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(bundled if family is None else font_manager.findfont(family)), size)
