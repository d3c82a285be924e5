"""Class masks in `.npz` files: the array under the key `mask`."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import DataError, RasterError

KEY = "mask"


def read_onehot(path: Path, data: DataConfig) -> NDArray[Any]:
    """One-hot (H, W, K), or class indices (H, W) where `data.mask_encoding` is "index"; never unpickles.

    Raises:
        RasterError: damaged, or not a numpy file.
        DataError: another key, an object array, or axes that are not those of the config.
    """
    array = _load(path)
    if array.dtype.kind not in "buif":
        raise DataError(f"{path}: an array of type {array.dtype} is no mask")
    if array.ndim == 2:
        if data.mask_encoding == "index":
            return array
        raise DataError(
            f"{path}: shape {array.shape} is not one-hot (H, W, classes). "
            f'If it holds class indices, set data.mask_encoding = "index".'
        )
    if array.ndim != 3:
        raise DataError(f"{path}: shape {array.shape} is not one-hot (H, W, classes)")
    return array.transpose(1, 2, 0) if data.mask_axes == "CHW" else array


def _load(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as handle:
            content = np.load(handle, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            if KEY not in content.files:
                raise DataError(f"{path}: has no array {KEY!r}; its arrays are {content.files}")
            array: NDArray[Any] = content[KEY]
            return array
    except DataError:
        raise
    except ValueError as error:  # an object array would run code of the file's author
        raise DataError(f"{path}: refused: {error}") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RasterError(f"{path}: damaged or no numpy file: {error}") from error
