"""Pixels of pictures on their way into a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Pixels = NDArray[Any]
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


def read_pixels(path: Path) -> Pixels:
    """(H, W) or (H, W, C) in the file's own dtype, channels in OpenCV's order (BGR).

    Raises:
        DataError: not a picture, or a damaged one.
    """
    content = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if picture is None:
        raise DataError(f"{path} cannot be decoded as a picture: it is damaged or of another format.")
    return picture


class Decoded(Sequence[Pixels]):
    """Pictures that are decoded each time one is asked for, so that memory stays bounded."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Decoded: ...
    def __getitem__(self, index: int | slice) -> Pixels | Decoded:
        if isinstance(index, slice):
            return Decoded(self._paths[index])
        return read_pixels(self._paths[index])


def enlarged_size(size_hw: tuple[int, int], min_side: int) -> tuple[int, int]:
    """Height and width with the shorter one at least `min_side`, aspect kept to the nearest pixel."""
    short = min(size_hw)
    if short >= min_side:
        return size_hw
    height, width = (round(edge * min_side / short) for edge in size_hw)
    return height, width


def encode_png(pixels: Pixels, size_hw: tuple[int, int], *, nearest: bool) -> bytes:
    """PNG bytes of a picture brought to `size_hw`, linearly or (masks) by its nearest pixel."""
    how = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR
    resized = cv2.resize(pixels, (size_hw[1], size_hw[0]), interpolation=how)
    fine, encoded = cv2.imencode(".png", resized)
    assert fine, "PNG holds every picture that OpenCV decodes"
    return encoded.tobytes()
