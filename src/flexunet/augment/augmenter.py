"""From a decoded picture and its labels to one augmented, normalised training sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Bands
from ..config.schema import AugmentConfig
from .geometry import Matrix, Sizing, draw_geometry, place
from .warp import Sample, warp

_IDENTITY: Matrix = np.eye(3)


class Augmenter:
    """Draws training samples of one size; all randomness comes from the generator handed in.

    Image, valid mask and labels go through one affine map, straight from native pixels to `size_hw`; then the
    bands are normalised, then brightness, contrast, colour and saturation change. With `enabled = false`
    only the place of a crop is drawn.
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
        frame_to_frame, zoom = _IDENTITY, 1.0
        if self.config.enabled:
            moved, zoom = draw_geometry(self.config, self.size_hw, rng)
            frame_to_frame = np.asarray(np.linalg.inv(moved), np.float64)
        placement = place(labels.shape, self.size_hw, self.sizing, rng, zoom)
        seen = warp(
            Sample(pixels, labels, valid),
            placement,
            frame_to_frame,
            self.size_hw,
            self._fill,
            reflect=self.config.border == "reflect",
        )
        image = self.bands.normalise(seen.pixels)
        if self.config.enabled:
            change_colour(image, self.config, rng)
        if seen.valid is not None:
            image[:, ~seen.valid] = 0
        return image, seen.labels


def change_colour(image: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator) -> None:
    """Change a normalised image float32 (C, H, W) in place.

    Per band: x * contrast + brightness + shift of the band, all in the unit of the normalised values, which
    is the band's standard deviation under `statistics` normalisation; saturation moves the bands away from
    their mean or towards it.
    """
    contrast, brightness, saturation = 2 * rng.random(3) - 1
    shifts = rng.standard_normal(len(image)).astype(np.float32) * np.float32(config.colour)
    if config.saturation and len(image) > 1:
        grey = image.mean(0)
        image -= grey
        image *= np.float32(1 + saturation * config.saturation)
        image += grey
    image *= np.float32(1 + contrast * config.contrast)
    image += (shifts + np.float32(brightness * config.brightness))[:, None, None]
