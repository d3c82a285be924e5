"""How pixels of a picture become the network's input, and its output the picture's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..bands import Bands
from ..config.schema import PredictConfig
from ..data.resize import bring_to_size, fit_window
from ..modelfile import ModelRecord
from .tiles import TileGrid, tiled, whole

Tiling = Literal["auto", "whole", "tiled"]

LARGE = 2
"""Pictures of more than this many training sizes along an edge are cut into tiles by `auto`."""


@dataclass(frozen=True)
class Framing:
    """The windows of a picture, and whether each is squeezed to the training size or seen pixel by pixel."""

    grid: TileGrid
    inputs: tuple[Bands, ...]
    """How the bands are normalised; once for every different input of an ensemble's models."""
    squeezed: tuple[tuple[int, int], Literal["resize", "fit"]] | None
    """Size and manner; None: at native resolution."""

    def enter(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Raw pixels (C, h, w) of a window as the network's float32 (C, H, W), exactly as in validation."""
        if self.squeezed is not None:
            labels = np.zeros(valid.shape, np.uint8)
            pixels, _, valid = bring_to_size(pixels, labels, valid, *self.squeezed)
        if len(self.inputs) == 1:
            return self.inputs[0].normalise(pixels, valid)
        return np.concatenate([bands.normalise(pixels, valid) for bands in self.inputs])

    def leave(self, probabilities: torch.Tensor, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Probabilities (K, H, W) of a window at its own size `shape`, float32 (K, h, w); resized
        bilinearly.
        """
        if self.squeezed is not None:
            size, manner = self.squeezed
            if manner == "fit":
                place = fit_window(shape, size)
                probabilities = probabilities[:, place.rows, place.cols]
            if probabilities.shape[1:] != shape:
                probabilities = F.interpolate(
                    probabilities[None], size=shape, mode="bilinear", align_corners=False
                )[0]
        result: NDArray[np.float32] = probabilities.numpy()
        return result


def frame(
    shape: tuple[int, int],
    record: ModelRecord,
    settings: PredictConfig,
    tiling: Tiling,
    inputs: tuple[Bands, ...] | None = None,
) -> Framing:
    """The windows of a picture of `shape` (height, width) for this model.

    `whole`: one window; models trained by `resize` and `fit` see the picture as they saw it in training,
    models trained by `crop` see it pixel by pixel. `tiled`: overlapping windows pixel by pixel, never
    squeezed. `auto`: see `is_large`. `inputs`: as in `Framing`; left out: the record's.
    """
    inputs = inputs or (record.bands,)
    height, width = shape
    if tiling == "tiled" or (tiling == "auto" and is_large(shape, record)):
        tile, halo = tile_and_halo(record.data.size, settings)
        return Framing(tiled(height, width, tile, halo), inputs, None)
    sizing = record.data.sizing
    squeezed = None if sizing == "crop" else (record.data.size, sizing)
    return Framing(whole(height, width), inputs, squeezed)


def is_large(shape: tuple[int, int], record: ModelRecord) -> bool:
    """Whether `auto` cuts a picture of `shape` (height, width) into tiles.

    It does where an edge is more than twice as long as what training showed: the training size, or for models
    trained by `resize` or `fit` the longest edge of a training picture where the model file says it (a model
    that was taught with pictures of 1200 pixels squeezed to 256 knows such pictures squeezed). Of an
    ensemble, what any member was shown.
    """
    known = max(record.data.size)
    if record.data.sizing != "crop":
        for shown in (record, *record.members):
            known = max(known, *shown.training.get("largest_image", (known,)))
    return max(shape) > LARGE * known


def tile_and_halo(size: tuple[int, int], settings: PredictConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Tile and halo in pixels, each (rows, columns), as set or by default.

    The halo is an eighth of the training size, the tile what then remains of it, at least half of it.
    """
    halo = tuple(settings.halo if settings.halo is not None else edge // 8 for edge in size)
    tile = tuple(
        settings.tile if settings.tile is not None else max(edge - 2 * margin, (edge + 1) // 2)
        for edge, margin in zip(size, halo, strict=True)
    )
    return (tile[0], tile[1]), (halo[0], halo[1])
