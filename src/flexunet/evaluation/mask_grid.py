"""Pictures whose masks have another size: they are scored at the masks' own resolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..data import Store, decode_mask, resize_pixels
from ..prediction import Prediction
from ..raster import Picture


def own_labels(store: Store, index: int, data: DataConfig) -> NDArray[np.uint8]:
    """Labels uint8 (H, W) as the mask file has them, where the store holds them at the picture's size.

    Raises:
        RasterError, DataError: the file changed since it was decoded.
    """
    mask = store.pairs[index].mask
    if data.mask_size != "resize" or mask is None:
        return store.labels(index)
    return decode_mask(mask, data).labels


def brought_to(prediction: Prediction, size_hw: tuple[int, int]) -> Prediction:
    """Picture and probabilities at another size (height, width): bilinear where it is larger, the mean of the
    area where it is smaller; `labels` are left to be decided anew.
    """
    picture, planes = prediction.picture, prediction.probabilities
    if picture.valid.shape == size_hw:
        return prediction
    assert planes is not None, "decided labels cannot be resized"
    pixels, valid = resize_pixels(picture.pixels, picture.valid, size_hw)
    shown = np.rint(pixels) if picture.pixels.dtype.kind in "iu" else pixels
    whole = np.ones(picture.valid.shape, np.bool_)
    return replace(
        prediction,
        picture=Picture(shown.astype(picture.pixels.dtype), valid, picture.grid),
        probabilities=resize_pixels(planes, whole, size_hw)[0],
    )
