"""The ground resolution of a scene against the one that a model was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import DataError
from ...raster import Grid
from ...raster.ground import metres_per_pixel

TOLERANCE = 0.05
"""Resolutions that differ by less than this share are the same to a network."""
LARGEST_FACTOR = 50.0


def pixel_size_m(grid: Grid, shape: tuple[int, int]) -> tuple[float, float] | None:
    """(height, width) of a pixel on the ground in metres, at the middle of the scene; None where unknown."""
    if grid.points:
        grid = replace(grid, transform=_through_points(grid), points=())
    size = metres_per_pixel(grid, shape)
    if size is None or not all(np.isfinite(edge) and edge > 0 for edge in size):
        return None
    return size[1], size[0]


def network_shape(
    shape: tuple[int, int],
    found: tuple[float, float] | None,
    trained: tuple[float, float] | None,
    *,
    name: str,
    strict: bool,
) -> tuple[tuple[int, int], str | None]:
    """The scene's (height, width) in pixels of the size that the model knows, and what to say about it.

    Raises:
        DataError: the sizes differ and `strict`, or they differ beyond any sense.
    """
    if trained is None:
        return shape, None
    if found is None:
        note = f"has no ground resolution; taken for {_metres(trained)} a pixel, as in training"
        if strict:
            raise DataError(f"{name}: {note}. --strict refuses that.")
        return shape, note
    factors = tuple(have / want for have, want in zip(found, trained, strict=True))
    if all(abs(factor - 1) <= TOLERANCE for factor in factors):
        return shape, None
    said = f"{_metres(found)} a pixel, the model was trained on {_metres(trained)}"
    if strict:
        raise DataError(f"{name}: {said}. Without --strict the scene is resampled on the fly.")
    if max(*factors, *(1 / factor for factor in factors)) > LARGEST_FACTOR:
        raise DataError(
            f"{name}: {said}; a factor beyond {LARGEST_FACTOR:.0f} makes no sense. Is the scene's reference "
            "system right? If so, say the model's resolution with --resolution."
        )
    height, width = (max(1, round(n * factor)) for n, factor in zip(shape, factors, strict=True))
    return (height, width), f"{said}: resampled on the fly, results on the scene's own pixels"


def _metres(size: tuple[float, float]) -> str:
    height, width = (f"{edge:.4g}" for edge in size)
    return f"{height} m" if height == width else f"{height} x {width} m"


def _through_points(grid: Grid) -> tuple[float, float, float, float, float, float]:
    """The affine transform that fits the ground control points best."""
    places = np.array([(p.col, p.row, 1.0) for p in grid.points])
    ground = np.array([(p.x, p.y) for p in grid.points])
    (a, d), (b, e), (c, f) = np.linalg.lstsq(places, ground, rcond=None)[0]
    return float(a), float(b), float(c), float(d), float(e), float(f)
