"""Pictures and masks read whole: the small files a network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import BandsError
from .decode import Decoded, check_size, decode_npy, decode_picture, sniff
from .grid import Grid
from .names import band_names
from .reader import GdalReader, coloured, refuse_foreign, side_grid
from .values import bring_to_native, chosen_bands, data_mask, without_bad_floats


@dataclass(frozen=True)
class Picture:
    """A picture in memory."""

    pixels: NDArray[Any]
    """(C, H, W), uint8, uint16, int16 or float32; 0 where a float is not finite."""
    valid: NDArray[np.bool_]
    """(H, W): False for nodata, transparent and non-finite pixels."""
    grid: Grid
    notes: tuple[str, ...] = ()
    """What was done to it that its owner may want to know."""
    band_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaskPicture:
    """A mask as its file holds it; nothing is missing in it, whatever its nodata tag says."""

    bands: NDArray[Any]
    """(C, H, W) in the file's own type; palette indices are not resolved."""
    palette: NDArray[np.uint8] | None
    """RGB colours (n, 3) of the indices."""
    alpha: NDArray[Any] | None
    """(H, W)"""
    lossy: bool
    """Whether the values went through a JPEG."""
    bilevel: bool = False
    """Whether the file says 0 and 1 with one bit a pixel and means black and white."""


def read_picture(
    path: Path,
    *,
    bands: Sequence[int] | None = None,
    channels: int | None = None,
    nodata: float | None = None,
    alpha: Literal["nodata", "ignore"] = "nodata",
    exif_orientation: Literal["apply", "ignore"] = "apply",
) -> Picture:
    """A picture of any format in full, at most 2**29 pixels.

    Rules: the format is told by content. `bands` selects, counted from 1, alpha not counted; `channels` then
    repeats a grey band, or refuses. Transparent pixels are missing data (`alpha`). `nodata` applies where the
    file declares no value of its own: 0 is missing where all selected bands are 0, any other value where it
    is in any band. NaN, infinities and floats beyond 1e38 are always missing. uint8, uint16, int16 and
    float32 stay, others become float32. EXIF orientation is applied or ignored, and noted. CMYK becomes RGB,
    palettes become their colours.

    Raises:
        RasterError: missing, cut, damaged, too large, no picture, without the bands asked for.
    """
    kind = sniff(path)
    if kind in ("tiff", "unknown"):
        return _read_gdal(path, kind, bands, channels, nodata, alpha)
    wanted = max(bands) if bands is not None else channels
    decoded = decode_npy(path, wanted) if kind == "npy" else decode_picture(path, kind, exif_orientation)
    raw = decoded.bands if decoded.palette is None else coloured(path, decoded.bands[0], decoded.palette)
    names = band_names(len(raw), (), "uint8" if kind != "npy" else "array")
    raw, names, notes = _select(path, raw, names, bands, channels)
    valid = data_mask(raw, nodata)
    if decoded.alpha is not None and alpha == "nodata":
        valid &= decoded.alpha > 0
    notes = (*decoded.notes, *notes, *_bad_floats(raw))
    return Picture(_finished(raw), valid, side_grid(path), notes, names)


def read_mask_picture(path: Path, exif_orientation: Literal["apply", "ignore"] = "apply") -> MaskPicture:
    """A mask of any picture format as it is: no nodata, no conversion of palettes or types.

    Raises:
        RasterError: missing, cut, damaged, too large, no picture.
    """
    kind = sniff(path)
    if kind in ("tiff", "unknown"):
        refuse_foreign(path, kind)
        with GdalReader(path) as source:
            check_size(path, *source.shape[1:])
            return MaskPicture(source.raw(), source.palette, source.alpha(), source.lossy, source.bilevel)
    decoded: Decoded = decode_npy(path) if kind == "npy" else decode_picture(path, kind, exif_orientation)
    return MaskPicture(decoded.bands, decoded.palette, decoded.alpha, decoded.lossy, decoded.bilevel)


def _read_gdal(
    path: Path,
    kind: str,
    bands: Sequence[int] | None,
    channels: int | None,
    nodata: float | None,
    alpha: Literal["nodata", "ignore"],
) -> Picture:
    refuse_foreign(path, kind)
    with GdalReader(path, bands) as source:
        check_size(path, *source.shape[1:])
        palette = source.palette
        if palette is not None:
            raw = coloured(path, source.raw()[0], palette)
            names, valid = band_names(3, (), "uint8"), np.ones(raw.shape[1:], np.bool_)
            raw, names, notes = _select(path, raw, names, bands, channels)
            return Picture(_finished(raw), valid, source.grid, notes, names)
        pixels, valid = source.read_valid(bands=bands, use_alpha=alpha == "nodata")
        bad = _bad_floats(source.raw(bands=bands)) if pixels.dtype.kind == "f" and not valid.all() else ()
        if nodata is not None and source.nodata is None:
            valid &= data_mask(pixels, nodata)
        chosen = [i - 1 for i in bands] if bands is not None else range(len(pixels))
        names = tuple(source.band_names[i] for i in chosen)
        pixels, names, notes = _select(path, pixels, names, None, channels)
        return Picture(np.ascontiguousarray(pixels), valid, source.grid, notes + bad, names)


def _bad_floats(raw: NDArray[Any]) -> tuple[str, ...]:
    """A note if pixels (C, H, W) hold NaN, infinities or missing marks that no tag declares."""
    if raw.dtype.kind != "f":
        return ()
    share = 1 - float(data_mask(raw).mean())
    return (f"{share:.2%} of the pixels are not finite or beyond 1e38: missing data",) if share else ()


def _finished(raw: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(without_bad_floats(bring_to_native(raw)))


def _select(
    path: Path, raw: NDArray[Any], names: tuple[str, ...], bands: Sequence[int] | None, channels: int | None
) -> tuple[NDArray[Any], tuple[str, ...], tuple[str, ...]]:
    """The bands asked for, brought to `channels`; their names; notes."""
    if bands is not None:
        places = [band - 1 for band in chosen_bands(path, bands, len(raw))]
        raw = raw[places]
        names = tuple(names[place] for place in places)
    if channels is None or len(raw) == channels:
        return raw, names, ()
    if len(raw) == 1:
        repeated = np.broadcast_to(raw, (channels, *raw.shape[1:]))
        return repeated, names * channels, (f"grey repeated to {channels} channels",)
    if channels == 1 and len(raw) == 3 and raw.dtype == np.uint8:
        grey = np.tensordot(np.array([0.299, 0.587, 0.114]), raw, 1)  # ITU-R BT.601 luma
        return np.rint(grey)[None].astype(np.uint8), ("grey",), ("colour turned to grey (BT.601 luma)",)
    raise BandsError(f"{path}: has {len(raw)} bands where {channels} are expected")
