"""Pairs of pictures that show the same ground: one, the other, and the other laid upon the one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..classes import Classes
from ..files import whole_file
from .gallery import _elided, _font, _framed
from .pictures import RGB, overlay

_PAPER, _INK, _FAINT, _RED = (255, 255, 255), (31, 41, 51), (110, 122, 134), (193, 18, 31)
_GAP, _MARGIN, _CAPTION = 6, 16, 38


@dataclass(frozen=True)
class PairCard:
    """Two pictures uint8 (H, W, 3) with labels uint8 (H, W) or None, and the map that joins them."""

    first: RGB
    first_labels: NDArray[np.uint8] | None
    second: RGB
    second_labels: NDArray[np.uint8] | None
    matrix: NDArray[np.float64] | None
    """(2, 3): pixel (x, y) of the second to pixel of the first; None where it is not known."""
    caption: str
    remark: str
    strong: bool = False
    """Whether the caption is set in red."""


def pair_sheet(
    cards: Sequence[PairCard],
    classes: Classes,
    path: Path,
    *,
    title: str = "",
    columns: int = 2,
    panel_px: int = 200,
) -> None:
    """Write a contact sheet as PNG. Third panel: the second picture on the first's grid, grey around it."""
    columns = max(1, min(columns, len(cards)))
    card_w, card_h = 3 * panel_px + 2 * _GAP, _CAPTION + panel_px
    rows = -(-len(cards) // columns)
    top = _MARGIN + (28 if title else 0)
    sheet = Image.new("RGB", (columns * (card_w + 2 * _MARGIN), top + rows * (card_h + _MARGIN) + 4), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 6), title, fill=_INK, font=_font(title, 17))
    for index, card in enumerate(cards):
        left = _MARGIN + index % columns * (card_w + 2 * _MARGIN)
        upper = top + index // columns * (card_h + _MARGIN)
        colour = _RED if card.strong else _INK
        caption, remark = _elided(card.caption, card_w), _elided(card.remark, card_w, 12)
        draw.text((left, upper), caption, fill=colour, font=_font(caption, 13))
        draw.text((left, upper + 18), remark, fill=_FAINT, font=_font(remark, 12))
        for place, panel in enumerate(_panels(card, classes, panel_px)):
            sheet.paste(Image.fromarray(panel), (left + place * (panel_px + _GAP), upper + _CAPTION))
    with whole_file(path) as beside:
        sheet.save(beside, format="PNG")


def _panels(card: PairCard, classes: Classes, edge: int) -> list[RGB]:
    one = _shown(card.first, card.first_labels, classes, edge)
    other = _shown(card.second, card.second_labels, classes, edge)
    laid = np.full_like(one, 238)
    if card.matrix is not None:
        height, width = one.shape[:2]
        scale_one, scale_other = width / card.first.shape[1], other.shape[1] / card.second.shape[1]
        grown = np.diag([scale_one, scale_one, 1.0]) @ np.vstack([card.matrix, [0, 0, 1]])
        whole = grown @ np.diag([1 / scale_other, 1 / scale_other, 1.0])
        pale = (238, 238, 238)
        laid = np.asarray(cv2.warpAffine(other, whole[:2], (width, height), borderValue=pale), np.uint8)
        corners = np.array(
            [[0, 0], [other.shape[1], 0], [other.shape[1], other.shape[0]], [0, other.shape[0]]]
        )
        ring = (corners @ whole[:2, :2].T + whole[:2, 2]).round().astype(np.int32)
        drawn = cv2.polylines(one.copy(), [ring], True, (255, 255, 255), 1, cv2.LINE_AA)
        one = np.asarray(drawn, np.uint8)
    return [_framed(np.asarray(panel, np.uint8), edge) for panel in (one, other, laid)]


def _shown(rgb: RGB, labels: NDArray[np.uint8] | None, classes: Classes, edge: int) -> RGB:
    scale = edge / max(rgb.shape[:2])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(rgb, size, interpolation=method), np.uint8)
    if labels is None:
        return small
    return overlay(small, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), classes)  # type: ignore[arg-type]
