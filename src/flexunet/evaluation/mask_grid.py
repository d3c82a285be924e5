"""Pictures whose masks have another size: they are scored at the masks' own resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..data import Store, decode_mask, resize_pixels
from ..modelfile import ModelRecord
from ..prediction import Prediction
from ..raster import Picture
from .opening import as_read_by

Size = tuple[int, int]


class OwnMasks:
    """The masks of a split at their own size, where the store holds them at their pictures'.

    data, record: as the store was opened with (`open_split`).
    """

    def __init__(self, store: Store, data: DataConfig, record: ModelRecord) -> None:
        self._store, self._data = store, as_read_by(record, data)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Labels uint8 (H, W) of image `index`.

        Raises:
            RasterError, DataError: the file changed since it was decoded.
        """
        mask = self._store.pairs[index].mask
        if self._data.mask_size != "resize" or mask is None:
            return self._store.labels(index)
        return decode_mask(mask, self._data).labels


def brought_to(size: Size, prediction: Prediction) -> Prediction:
    """Picture and probabilities at another size (height, width), without labels that were decided before."""
    picture, planes = prediction.picture, prediction.probabilities
    if picture.valid.shape == size:
        return prediction
    assert planes is not None, "decided labels cannot be resized"
    pixels, valid = planes_at(size, picture.pixels, picture.valid)
    return Prediction(
        Picture(pixels, valid, picture.grid),
        np.zeros(size, np.uint8),
        planes_at(size, planes, picture.valid)[0],
        prediction.distance,
        prediction.applicability,
    )


def planes_at(
    size: Size, planes: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Bands or probabilities (C, h, w) and valid (h, w) at another size; the type stays.

    Bilinear where it is larger, the mean of the area where it is smaller, of valid pixels alone.
    """
    found, known = resize_pixels(planes, valid, size)
    shown = np.rint(found) if planes.dtype.kind in "iu" else found
    return shown.astype(planes.dtype, copy=False), known
