"""The ground resolution that a network is taught at, from pictures that know where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..config.schema import DataConfig
from ..errors import FlexunetError
from ..raster.decode import sniff
from ..raster.ground import metres_per_pixel
from ..raster.reader import GdalReader

ASKED = 200
"""Pictures whose headers are read, evenly over the split."""
SPREAD = 0.15
"""Where more than a tenth of the pictures differ from the median by more than this share, the network has
been taught many resolutions and is bound to none."""


def ground_resolution(images: Sequence[Path], data: DataConfig) -> tuple[float, float] | None:
    """(height, width) in metres of a pixel as the network sees it, by the median of the training pictures.

    None unless all of them are georeferenced in metres or degrees and agree. Only headers are read.
    """
    if not images:
        return None
    chosen = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, ASKED).astype(int))]
    found = []
    for path in chosen:
        size = _as_seen(path, data)
        if size is None:
            return None
        found.append(size)
    sizes = np.array(found)
    median = np.median(sizes, axis=0)
    strays = (np.abs(sizes / median - 1) > SPREAD).any(1)
    return None if strays.mean() > 0.1 else (float(median[0]), float(median[1]))


def _as_seen(path: Path, data: DataConfig) -> tuple[float, float] | None:
    """Of one picture; squeezed pictures have larger pixels."""
    try:
        if sniff(path) != "tiff":
            return None
        with GdalReader(path) as raster:
            shape = (raster.shape[1], raster.shape[2])
            ground = metres_per_pixel(raster.grid, shape)
    except FlexunetError:
        return None
    if ground is None or not all(np.isfinite(edge) and edge > 0 for edge in ground):
        return None
    across, down = ground
    if data.sizing == "crop":
        return down, across
    factors = [have / want for have, want in zip(shape, data.size, strict=True)]
    if data.sizing == "fit":
        factors = [max(factors)] * 2
    return down * factors[0], across * factors[1]
