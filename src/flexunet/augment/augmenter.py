"""From a decoded picture and its labels to one augmented, normalised training sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Bands
from ..config.augmentation import AugmentConfig
from .displacement import draw_displacement
from .geometry import Matrix, Sizing, draw_geometry, place
from .values import change_colour, change_raw
from .warp import Sample, View, warp

_IDENTITY: Matrix = np.eye(3)


class Augmenter:
    """Draws training samples of one size; all randomness comes from the generator handed in.

    Image, valid mask and labels go through one map (affine, and the displacement of single pixels where one
    is drawn), straight from native pixels to `size_hw`; then raw values are sharpened and brightened, the
    bands normalised, and brightness, contrast, colour and saturation change. With `enabled = false` only the
    place of a crop is drawn.
    """

    def __init__(self, config: AugmentConfig, bands: Bands, size_hw: tuple[int, int], sizing: Sizing) -> None:
        self.config = config
        self.bands = bands
        self.size_hw = size_hw
        self.sizing: Sizing = sizing
        self._fill = np.asarray(bands.mean, np.float64)

    def __call__(
        self,
        pixels: NDArray[Any],
        labels: NDArray[np.uint8],
        valid: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """One sample.

        Args:
            pixels: (C, h, w), raw values of any dtype.
            labels: uint8 (h, w), IGNORE_INDEX where nothing is known.
            valid: bool (h, w), False where there are no data.
            rng: decides everything that is drawn.

        Returns:
            float32 (C, H, W) normalised, 0 where there are no data, and labels uint8 (H, W), IGNORE_INDEX
            there.
        """
        frame_to_frame, zoom, displacement = _IDENTITY, 1.0, None
        if self.config.enabled:
            moved, zoom = draw_geometry(self.config, self.size_hw, rng)
            frame_to_frame = np.asarray(np.linalg.inv(moved), np.float64)
        placement = place(labels.shape, self.size_hw, self.sizing, rng, zoom)
        if self.config.enabled:
            displacement = draw_displacement(self.config, self.size_hw, rng)
        seen = warp(
            Sample(pixels, labels, valid),
            placement,
            View(self.size_hw, frame_to_frame, displacement),
            self._fill,
            reflect=self.config.border == "reflect",
        )
        raw = change_raw(seen.pixels, self.config, rng) if self.config.enabled else seen.pixels
        image = self.bands.normalise(raw)
        if self.config.enabled:
            change_colour(image, self.config, rng)
        if seen.valid is not None:
            image[:, ~seen.valid] = 0
        return image, seen.labels
