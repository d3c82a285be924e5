"""Pixel values: the four data types everything is brought to, and which pixels hold data at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BandsError

BAD_MAGNITUDE = 1e38
"""Floats at least this large are marks for missing data (-3.4028235e38, 1e38 ...), never measurements."""

_NARROW = {"bool": "uint8", "int8": "int16", "float16": "float32"}
_NATIVE = ("uint8", "uint16", "int16", "float32")


def native_dtype(dtype: str) -> str:
    """One of uint8, uint16, int16, float32, all of which OpenCV can warp; wider types become float32."""
    return dtype if dtype in _NATIVE else _NARROW.get(dtype, "float32")


def bring_to_native(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels of any real type as uint8, uint16, int16 or float32; too large floats become infinite."""
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"pixels of type {pixels.dtype} are no numbers that a network could use")
    with np.errstate(over="ignore"):
        return pixels.astype(native_dtype(pixels.dtype.name), copy=False)


def chosen_bands(path: Path, bands: Sequence[int] | None, count: int) -> tuple[int, ...]:
    """The bands that are asked for, counted from 1, of a file's `count`; all of them for None.

    Raises:
        BandsError: there are none such.
    """
    chosen = tuple(range(1, count + 1)) if bands is None else tuple(bands)
    if not chosen or any(not 1 <= band <= count for band in chosen):
        plural = "" if count == 1 else "s"
        raise BandsError(f"{path}: has {count} band{plural}; {list(chosen)} are asked for")
    return chosen


def data_mask(
    pixels: NDArray[Any], nodata: float | None = None, each: tuple[float | None, ...] | None = None
) -> NDArray[np.bool_]:
    """Which pixels hold data: bool (H, W) for pixels (C, H, W).

    A pixel is missing where any band is not finite or at least `BAD_MAGNITUDE` large, and where it has the
    nodata value: a nodata value of 0 counts where *all* bands are 0 (in a single band 0 is dark ground), any
    other one where it stands in any band. `each` gives one nodata value a band in place of `nodata`.
    """
    valid = np.ones(pixels.shape[1:], np.bool_)
    if pixels.dtype.kind == "f":
        for band in pixels:
            with np.errstate(invalid="ignore"):
                valid &= np.abs(band) < BAD_MAGNITUDE
    marks = each if each is not None else (nodata,) * len(pixels)
    zero = np.ones(pixels.shape[1:], np.bool_) if marks and all(mark == 0 for mark in marks) else None
    for band, mark in zip(pixels, marks, strict=True):
        if mark is None or not np.isfinite(mark):
            continue
        if zero is not None:
            zero &= band == 0
        elif mark != 0:
            valid &= band != np.asarray(mark).astype(band.dtype) if _fits(mark, band.dtype) else True
    return valid if zero is None else valid & ~zero


def without_bad_floats(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same pixels with 0 for NaN, infinities and missing marks, so that no arithmetic can spread them."""
    if pixels.dtype.kind != "f":
        return pixels
    with np.errstate(invalid="ignore"):
        good = np.abs(pixels) < BAD_MAGNITUDE
    return pixels if good.all() else np.where(good, pixels, pixels.dtype.type(0))


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether an integer type can hold the value at all."""
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max and float(value).is_integer()
