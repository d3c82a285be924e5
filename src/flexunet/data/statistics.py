"""The numbers that normalise each band."""

from __future__ import annotations

import math
from functools import reduce

from ..bands import Bands
from ..config.schema import DataConfig
from ..errors import DataError
from .entry import Moments
from .store import Store


def band_statistics(store: Store, data: DataConfig) -> Bands:
    """Names, type, mean and standard deviation of each band over all valid pixels of a store.

    `statistics`: population mean and standard deviation, in float64, merged image by image; a band that never
    changes gets standard deviation 1. `scale255`: mean 0 and standard deviation 255. `none`: 0 and 1.

    Raises:
        DataError: no valid pixel at all, or band names that do not fit.
    """
    channels = store.channels
    names = data.band_names or store.band_names
    if len(names) != channels:
        raise DataError(f"data.band_names names {len(names)} bands; the images have {channels}")
    if data.normalisation != "statistics":
        std = 255.0 if data.normalisation == "scale255" else 1.0
        mean, stds = (0.0,) * channels, (std,) * channels
    else:
        moments = reduce(Moments.__add__, (store.entry(index).header.moments for index in range(len(store))))
        if not moments.count:
            raise DataError("no image has a single pixel with data; is data.nodata right?")
        mean = moments.mean
        stds = tuple(
            _deviation(square / moments.count, centre)
            for square, centre in zip(moments.squares, mean, strict=True)
        )
    return Bands(names=names, dtype=store.dtype, mean=mean, std=stds, nodata=data.nodata)


def _deviation(variance: float, mean: float) -> float:
    """Standard deviation, or 1 for a band that is constant up to rounding."""
    deviation = math.sqrt(variance)
    return deviation if deviation > 1e-6 * max(abs(mean), 1e-6) else 1.0
