"""Masks to class labels: by colour, by index value, by a grey threshold, one-hot.

`auto` decides per file, in this order:

1. `.npz` is one-hot.
2. A palette picture goes by colour if every colour in use is a class colour, else by index if every index
in use is a
   class value, else by (nearest) colour.
3. A picture of several bands goes by colour; if its bands are all equal (a grey mask saved as RGB) and some
grey is not
   a class colour, it is grey.
4. Grey goes by index if every value is a class value or the ignore value; else by colour if every value is
the grey of
   a class colour; else, with two classes, by threshold if the values are a dark and a bright one (0 and
   255, 0 and 254, a bilevel picture, also with blended edges).
Under `colours` a grey mask whose dark or bright is no class colour, of two classes, takes the nearest class
colour. A picture of one bit a pixel is 0 and 1 as indices and 0 and 255 else.
Anything else is an error that lists the values. A mask never has missing pixels: a nodata tag of 0 does not
erase background. Alpha is dropped; only transparent pixels whose colour is no class colour become background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..config.schema import DataConfig
from ..errors import DataError, Problem
from ..raster import MaskPicture, read_mask_picture
from .colours import colour_labels
from .onehot import read_onehot

Labels = NDArray[np.uint8]

_LISTED = 8


@dataclass(frozen=True)
class Mask:
    """Class labels of one mask."""

    labels: Labels
    """(H, W), position of the class or IGNORE_INDEX."""
    notes: tuple[str, ...] = ()


def decode_mask(path: Path, data: DataConfig) -> Mask:
    """The labels that a mask file says, by `data.mask_encoding` (see the module for `auto`).

    Raises:
        RasterError: the file is missing, cut, damaged or no picture.
        DataError: it holds colours, values or channels that are no classes; they are listed.
    """
    encoding: str = data.mask_encoding
    if path.suffix.lower() == ".npz" or encoding == "onehot":
        bands = read_onehot(path, data)
        if bands.ndim == 3:
            return Mask(_onehot_labels(path, bands, data))
        return Mask(_index_labels(path, bands, data))
    picture = read_mask_picture(path, data.exif_orientation)
    bands, alpha_notes = _clean_bands(path, picture)
    notes = (*alpha_notes, *(("lossy JPEG mask",) if picture.lossy else ()))
    if encoding == "auto":
        encoding = _choose(path, picture, bands, data)
    if encoding == "index":
        return Mask(_index_labels(path, _only_band(path, bands, encoding), data), notes)
    if picture.bilevel and (picture.palette is None or encoding == "threshold"):
        bands = bands * np.uint8(255)
    if encoding == "threshold":
        labels, more = _threshold_labels(path, _only_band(path, bands, encoding), data)
        return Mask(labels, notes + more)
    rgb = _rgb(path, picture, bands)
    nearest = _dark_and_bright_labels(rgb, data)
    if nearest is not None:
        return Mask(nearest, (*notes, "grey, and no class is: dark and bright take the nearest class colour"))
    labels, more = colour_labels(path, rgb, picture.alpha, picture.lossy, data)
    return Mask(labels, notes + more)


def _clean_bands(path: Path, picture: MaskPicture) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Bands as integers; floats must be whole numbers, NaN becomes the lowest int32 (never a class)."""
    bands = picture.bands
    if bands.dtype.kind != "f":
        return (bands.astype(np.uint8) if bands.dtype.kind == "b" else bands), ()
    finite = np.isfinite(bands)
    if not np.equal(bands, np.round(bands), where=finite, out=np.ones(bands.shape, bool)).all():
        raise DataError(f"{path}: a mask of {bands.dtype} with fractions; class indices are whole numbers")
    if (np.abs(bands, where=finite, out=np.zeros(bands.shape)) > 2**31 - 2).any():
        raise DataError(f"{path}: a mask of {bands.dtype} with values that cannot be class indices")
    if finite.all():
        return bands.astype(np.int32), ()
    share = 1 - float(finite.mean())
    return np.where(finite, bands, _NAN_VALUE).astype(np.int32), (
        f"{share:.2%} of the pixels are NaN: ignored",
    )


_NAN_VALUE = -(2**31)


def _choose(path: Path, picture: MaskPicture, bands: NDArray[Any], data: DataConfig) -> str:
    """The encoding of one picture mask; the rules stand at the top of the module."""
    table = {item.colour for item in data.classes} | ({data.ignore_colour} if data.ignore_colour else set())
    if picture.palette is not None:
        used = [int(index) for index in np.unique(bands[0])]
        colours = {tuple(picture.palette[i].tolist()) for i in used if i < len(picture.palette)}
        if colours <= table:
            return "colours"
        return "index" if _all_values_known(used, data) else "colours"
    if len(bands) > 1:
        if len(bands) == 3 and (bands[0] == bands[1]).all() and (bands[0] == bands[2]).all():
            greys = np.unique(bands[0]).tolist()
            if not all((grey, grey, grey) in table for grey in greys):
                return _choose_grey(path, bands[0], data)
        return "colours"
    return _choose_grey(path, bands[0], data)


def _choose_grey(path: Path, grey: NDArray[Any], data: DataConfig) -> str:
    values = [int(value) for value in np.unique(grey)]
    if _all_values_known(values, data):
        return "index"
    if any(item.values is not None for item in data.classes):
        return "index"  # the user named the values: what is not among them is an error, not a guess
    colours = {item.colour for item in data.classes}
    if all((value, value, value) in colours for value in values):
        return "colours"
    counted = [value for value in values if value not in (data.ignore_value, _NAN_VALUE)]
    if len(data.classes) == 2 and _is_dark_and_bright(counted):
        return "threshold"
    raise _unknown_values(path, grey, data)


def _dark_and_bright_labels(rgb: NDArray[np.uint8], data: DataConfig) -> Labels | None:
    """Labels (H, W) by the nearest of two class colours for a mask of greys that says dark and bright by
    colours that no class has: white for a class that is yellow. None for any other mask.
    """
    grey = rgb[..., 0]
    if len(data.classes) != 2 or not ((grey == rgb[..., 1]) & (grey == rgb[..., 2])).all():
        return None
    values = np.unique(grey).tolist()
    colours = np.asarray([item.colour for item in data.classes], np.float32)
    ignored = data.ignore_colour is not None and any((value,) * 3 == data.ignore_colour for value in values)
    exact = {tuple(item.colour) for item in data.classes}
    if ignored or all((value,) * 3 in exact for value in values) or not _is_dark_and_bright(values):
        return None
    levels = np.arange(256, dtype=np.float32)[:, None].repeat(3, 1)
    nearest = np.linalg.norm(levels[:, None] - colours, axis=2).argmin(1).astype(np.uint8)
    if nearest[0] == nearest[255]:
        return None
    labels: Labels = nearest[grey]
    return labels


def _is_dark_and_bright(values: list[int]) -> bool:
    """Whether grey values are two far ones, or a spread between 0 and a bright one (blended edges, JPEG)."""
    if not values or values[0] < 0 or values[-1] < 64:
        return False
    if len(values) == 1:
        return True
    if len(values) == 2:
        return values[0] <= values[-1] // 4
    return len(values) > 8 and values[0] <= values[-1] // 8


def _index_labels(path: Path, grey: NDArray[Any], data: DataConfig) -> Labels:
    """Labels by value: `values` of the classes, or their positions; `ignore_value` and NaN become ignore."""
    labels = np.full(grey.shape, IGNORE_INDEX, np.uint8)
    known = np.zeros(grey.shape, np.bool_)
    for label, item in enumerate(data.classes):
        for value in item.values if item.values is not None else (label,):
            here = grey == value
            labels[here] = label
            known |= here
    if data.ignore_value is not None:
        here = grey == data.ignore_value
        labels[here] = IGNORE_INDEX
        known |= here
    known |= grey == _NAN_VALUE
    if not known.all():
        raise _unknown_values(path, grey, data)
    return labels


def _threshold_labels(path: Path, grey: NDArray[Any], data: DataConfig) -> tuple[Labels, tuple[str, ...]]:
    """Grey above `data.threshold` is class 1; 16-bit masks with large values are brought to 8 bits first."""
    if len(data.classes) != 2:
        raise DataError(f"{path}: a threshold makes 2 classes; data.classes names {len(data.classes)}")
    ignored = grey == _NAN_VALUE
    if data.ignore_value is not None:
        ignored |= grey == data.ignore_value
    level = grey.astype(np.float32)
    counted = level[~ignored]
    highest = float(counted.max()) if counted.size else 0.0
    if highest > 255:
        level *= 255 / (65535 if highest > 4095 else highest)
    above = level > data.threshold
    labels = (above != data.invert_masks).astype(np.uint8)
    labels[ignored] = IGNORE_INDEX
    top = level[~ignored].max() if counted.size else 0.0
    between = float(((level > 32) & (level < top - 32) & ~ignored).mean())
    note = f"{between:.2%} of the pixels are neither dark nor bright" if between else ""
    return labels, (note,) if note else ()


def _onehot_labels(path: Path, onehot: NDArray[Any], data: DataConfig) -> Labels:
    """Arg-max of one-hot (H, W, K) after checking that every pixel has exactly one 1."""
    channels = onehot.shape[2]
    if channels == 1 and len(data.classes) == 2:
        return _index_labels(path, onehot[..., 0], data)
    if channels != len(data.classes):
        cure = (
            'If the class axis is the first one, set data.mask_axes = "CHW".'
            if data.mask_axes == "HWC"
            else ""
        )
        raise DataError(
            f"{path}: one-hot mask of shape {onehot.shape} has {channels} channels for "
            f"{len(data.classes)} classes. {cure}".strip()
        )
    ones = onehot == 1
    if not (ones | (onehot == 0)).all():
        values = np.unique(onehot)[:_LISTED].tolist()
        raise DataError(f"{path}: a one-hot mask holds 0 and 1 only, not {values}")
    count = ones.sum(2)
    if (count != 1).any():
        none, several = int((count == 0).sum()), int((count > 1).sum())
        raise DataError(f"{path}: {none} pixels have no class and {several} have more than one")
    labels: Labels = ones.argmax(2).astype(np.uint8)
    return labels


def _rgb(path: Path, picture: MaskPicture, bands: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours (H, W, 3) of a colour, palette or grey mask."""
    if picture.palette is not None:
        indices = bands[0]
        if int(indices.max(initial=0)) >= len(picture.palette):
            raise DataError(
                f"{path}: index {indices.max()} is beyond the {len(picture.palette)} colours of its palette"
            )
        colours: NDArray[np.uint8] = picture.palette[indices]
        return colours
    if bands.dtype != np.uint8 and (bands.min() < 0 or bands.max() > 255):
        raise DataError(
            f"{path}: colours are 8 bits; this mask has values from {bands.min()} to {bands.max()}"
        )
    if len(bands) == 1:
        bands = np.repeat(bands, 3, 0)
    if len(bands) != 3:
        raise DataError(f"{path}: a colour mask has 3 bands, this one {len(bands)}")
    return np.ascontiguousarray(bands.transpose(1, 2, 0)).astype(np.uint8, copy=False)


def _only_band(path: Path, bands: NDArray[Any], encoding: str) -> NDArray[Any]:
    """The single band of a grey mask; equal bands count as one."""
    if len(bands) == 1 or all((band == bands[0]).all() for band in bands[1:]):
        grey: NDArray[Any] = bands[0]
        return grey
    raise DataError(f"{path}: {encoding} masks have one band, this one has {len(bands)} different ones")


def _all_values_known(values: list[int], data: DataConfig) -> bool:
    known = {data.ignore_value, _NAN_VALUE}
    for label, item in enumerate(data.classes):
        known.update(item.values if item.values is not None else (label,))
    return set(values) <= known


def _unknown_values(path: Path, grey: NDArray[Any], data: DataConfig) -> DataError:
    """An error that lists the values which are no classes, most frequent first."""
    values, counts = np.unique(grey, return_counts=True)
    found = sorted(
        (
            (int(c), int(v))
            for v, c in zip(values, counts, strict=True)
            if not _all_values_known([int(v)], data)
        ),
        reverse=True,
    )
    listed = ", ".join(f"{value} ({count / grey.size:.2%})" for count, value in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    known = [item.values if item.values is not None else (label,) for label, item in enumerate(data.classes)]
    expected = ", ".join(str(value) for values in known for value in values)
    problem = Problem(
        f"values that are no class: {listed}{more}; classes have the values {expected}",
        path=path,
        cure="Set data.ignore_value, the `values` of the classes, or data.mask_encoding.",
    )
    return DataError(str(problem))
