"""Pictures as the model's record wants them, or an error that names what came and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..modelfile import ModelRecord
from ..raster import Grid, Picture, data_mask, read_picture
from ..raster.values import bring_to_native, without_bad_floats


def picture_from_file(path: Path, record: ModelRecord) -> Picture:
    """The picture of a file with the bands and the missing pixels that the model was trained with.

    Raises:
        RasterError: missing, damaged or no picture, or without the bands that the model uses.
        DataError: another number of bands or another type than the model was trained on.
    """
    data = record.data
    picture = read_picture(
        path,
        bands=data.bands,
        channels=data.channels,
        nodata=data.nodata,
        alpha=data.alpha,
        exif_orientation=data.exif_orientation,
    )
    check_fit(picture.pixels, record, str(path))
    return picture


def picture_from_array(image: NDArray[Any], record: ModelRecord) -> Picture:
    """The picture of an array (H, W) or (H, W, C) of raw values.

    Of more bands than the model uses, those named in its record are taken; a grey array is repeated to three
    channels where training did so; a fourth band beside three (a second beside one) of 8 bits is
    transparency.

    Raises:
        DataError: another shape, number of bands or type than the model was trained on.
    """
    if image.ndim not in (2, 3) or image.size == 0 or image.dtype.kind not in "buif":
        raise DataError(
            f"an image is an array (H, W) or (H, W, C) of numbers, not {image.dtype} {image.shape}."
        )
    planes = bring_to_native(image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0))
    wanted, data = len(record.bands), record.data
    shown = np.ones(planes.shape[1:], np.bool_)
    if data.bands is not None and len(planes) != wanted and len(planes) >= max(data.bands):
        planes = planes[[band - 1 for band in data.bands]]
    elif len(planes) == wanted + 1 and wanted in (1, 3) and planes.dtype == np.uint8:
        if data.alpha == "nodata":
            shown = planes[-1] > 0
        planes = planes[:-1]
    if len(planes) == 1 and data.channels == wanted:
        planes = np.broadcast_to(planes, (wanted, *planes.shape[1:]))
    hint = ""
    if image.ndim == 3 and len(planes) != wanted and image.shape[0] == wanted:
        hint = " Arrays are (H, W, C), bands last."
    check_fit(planes, record, "the image", said_type=image.dtype, hint=hint)
    valid = data_mask(planes, data.nodata) & shown
    return Picture(without_bad_floats(planes), valid, Grid())


def check_fit(
    pixels: NDArray[Any],
    record: ModelRecord,
    name: str,
    *,
    said_type: np.dtype[Any] | None = None,
    hint: str = "",
) -> None:
    """Refuse pixels (C, H, W) that are not what the model was trained on.

    said_type: the type that the user knows them by, where they were brought to another; hint: what may be the
    matter with the number of bands.

    Raises:
        DataError: another number of bands, or a type whose values cannot mean the same.
    """
    bands = record.bands
    if len(pixels) != len(bands):
        raise DataError(
            f"{name} has {_count(len(pixels), 'band')}; the model was trained on "
            f"{_count(len(bands), 'band')} ({', '.join(bands.names)}).{hint}"
        )
    if not _same_meaning(pixels.dtype, np.dtype(bands.dtype)):
        raise DataError(
            f"{name} has {said_type or pixels.dtype} values; the model was trained on {bands.dtype} values. "
            f"Bring them to the scale and type of the training pictures first."
        )


def _same_meaning(found: np.dtype[Any], trained: np.dtype[Any]) -> bool:
    """Equal types, or both of floats, or both of wide integers; 8-bit values are on a scale of their own."""
    if found == trained:
        return True
    wide = found.itemsize > 1 and trained.itemsize > 1
    return (found.kind == "f" and trained.kind == "f") or (wide and {found.kind, trained.kind} <= set("iu"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
