"""Shapes onto pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio.features
from numpy.typing import NDArray


def burn(
    shapes: Sequence[Any] | NDArray[np.object_],
    values: Sequence[int],
    size_hw: tuple[int, int],
    *,
    all_touched: bool = False,
    onto: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Values uint8 (H, W) of shapes (anything with `__geo_interface__`) in pixel coordinates (column, row).

    A pixel takes the value of the last shape that covers its centre, or with `all_touched` any part of it.
    The others are 0, or keep what `onto` has there: it is drawn on in place and returned.
    GDALRasterizeGeometries does the work.
    """
    labels = np.zeros(size_hw, np.uint8) if onto is None else onto
    drawn = [(shape, int(value)) for shape, value in zip(shapes, values, strict=True) if not shape.is_empty]
    if drawn:
        rasterio.features.rasterize(drawn, out=labels, all_touched=all_touched)
    return labels
