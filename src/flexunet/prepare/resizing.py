"""Pictures at another size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..raster import Grid
from .options import Options

Pixels = NDArray[Any]
Valid = NDArray[np.bool_]
_BANDS_A_CALL = 4


def output_size(size_hw: tuple[int, int], options: Options) -> tuple[int, int]:
    """Height and width that a picture is brought to; tiles stay, they are cut from resized pictures."""
    return size_hw if options.tile is not None else asked_size(size_hw, options)


def asked_size(size_hw: tuple[int, int], options: Options) -> tuple[int, int]:
    """Height and width that `size` or `min_side` ask for a whole picture."""
    if options.size is not None:
        return options.size
    return size_hw if options.min_side is None else enlarged_size(size_hw, options.min_side)


def enlarged_size(size_hw: tuple[int, int], min_side: int) -> tuple[int, int]:
    """Height and width with the shorter one at least `min_side`, aspect kept to the nearest pixel."""
    short = min(size_hw)
    if short >= min_side:
        return size_hw
    height, width = (round(edge * min_side / short) for edge in size_hw)
    return height, width


def resized_grid(grid: Grid, size_hw: tuple[int, int], new_hw: tuple[int, int]) -> Grid:
    """The grid of a picture of `size_hw` at another size; without coordinates it stays one of pixels."""
    if not grid.is_georeferenced:
        return grid
    a, b, c, d, e, f = grid.transform
    down, across = size_hw[0] / new_hw[0], size_hw[1] / new_hw[1]
    return Grid((a * across, b * down, c, d * across, e * down, f), grid.crs_wkt)


def resized(pixels: Pixels, valid: Valid, size_hw: tuple[int, int]) -> tuple[Pixels, Valid]:
    """(C, H, W) and (H, W) at another size; pixels that a missing one reaches into are missing."""
    if pixels.shape[1:] == size_hw:
        return pixels, valid
    shrinks = pixels.shape[1] > size_hw[0] and pixels.shape[2] > size_hw[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = np.empty((len(pixels), *size_hw), pixels.dtype)
    for first in range(0, len(pixels), _BANDS_A_CALL):
        stack = np.ascontiguousarray(pixels[first : first + _BANDS_A_CALL].transpose(1, 2, 0))
        shown = cv2.resize(stack, size_hw[::-1], interpolation=how)
        out[first : first + _BANDS_A_CALL] = shown.reshape(*size_hw, -1).transpose(2, 0, 1)
    if valid.all():
        return out, np.ones(size_hw, np.bool_)
    known = cv2.resize(valid.astype(np.float32), size_hw[::-1], interpolation=how)
    return out, np.asarray(known >= np.float32(1 - 1e-4))
