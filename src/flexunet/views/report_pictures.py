"""Pictures of the report page: panels side by side, as small JPEGs."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..classes import Classes
from .gallery import Card, panels
from .pictures import RGB

_QUALITY = 82
_GAP_PX = 4


def card_strip(card: Card, classes: Classes, panel_px: int = 200) -> bytes:
    """Image, truth and prediction side by side, each fitted into a square of `panel_px`; JPEG."""
    return _joined(list(panels(card, classes, panel_px).values()))


def compare_strip(
    rgb: RGB,
    truth: NDArray[np.uint8],
    predictions: Sequence[NDArray[np.uint8]],
    classes: Classes,
    panel_px: int = 200,
) -> bytes:
    """Image with the truth, then each model's prediction with the truth's outline in white; JPEG.

    rgb: uint8 (H, W, 3); truth and predictions: uint8 (H, W).
    """
    plain = panels(Card(rgb, truth, None), classes, panel_px)
    drawn = [panels(Card(rgb, truth, labels), classes, panel_px) for labels in predictions]
    return _joined([plain["image"], plain["truth"], *(shown["prediction"] for shown in drawn)])


def _joined(parts: Sequence[RGB]) -> bytes:
    height = max(part.shape[0] for part in parts)
    gap = np.full((height, _GAP_PX, 3), 255, np.uint8)
    row: list[NDArray[np.uint8]] = []
    for part in parts:
        row += [gap, part] if row else [part]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(row, 1)).save(buffer, format="JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
