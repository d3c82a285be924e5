"""From a decoded picture and its labels to one augmented, normalised training sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Bands
from ..config.augmentation import AugmentConfig
from . import light, sensor
from .displacement import draw_displacement
from .geometry import (
    Matrix,
    Sizing,
    draw_geometry,
    draw_perspective,
    draw_rare_pixel,
    draw_resized_crop,
    place,
)
from .values import Image, develop, draw_curves, limits
from .warp import Sample, View, warp

_IDENTITY: Matrix = np.eye(3)


class Augmenter:
    """Draws training samples of one size; all randomness comes from the generator handed in.

    Image, valid mask and labels go through one map (affine or slanted, and the displacement of single pixels
    where one is drawn), straight from native pixels to `size_hw`. Raw values are sharpened and brightened;
    everything else happens to normalised values: there all bands and data types have one unit, nothing is
    rounded or wraps around, and what is missing is 0. With `enabled = false` only the place of a crop is
    drawn, and an operation that the config leaves out draws nothing.
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
        on = self.config.enabled
        seen = self._warped(Sample(pixels, labels, valid), rng)
        curves = draw_curves(self.config, len(pixels), rng) if on else None
        image = develop(seen.pixels, self.bands, curves)
        if on:
            self._change(image, seen.valid, rng)
        if seen.valid is not None:
            np.copyto(image, 0, where=~seen.valid)
        return image, seen.labels

    def _warped(self, sample: Sample, rng: np.random.Generator) -> Sample:
        config, rare = self.config, None
        frame_to_frame, zoom, displacement = _IDENTITY, 1.0, None
        if config.enabled:
            moved, zoom = draw_geometry(config, self.size_hw, rng)
            frame_to_frame = np.asarray(np.linalg.inv(moved), np.float64)
            if self.sizing == "crop":
                rare = draw_rare_pixel(sample.labels, config.rare_crop, rng)
        placement = place(sample.labels.shape, self.size_hw, self.sizing, rng, zoom, rare)
        if config.enabled:
            if config.resized_crop is not None:
                frame_to_frame = draw_resized_crop(config.resized_crop, self.size_hw, rng) @ frame_to_frame
            displacement = draw_displacement(config, self.size_hw, rng)
            if config.perspective is not None:
                slanted = draw_perspective(config.perspective, self.size_hw, rng)
                frame_to_frame = frame_to_frame if slanted is None else frame_to_frame @ slanted
        view = View(self.size_hw, frame_to_frame, displacement)
        return warp(sample, placement, view, self._fill, reflect=config.border == "reflect")

    def _change(self, image: Image, valid: NDArray[np.bool_] | None, rng: np.random.Generator) -> None:
        """Normalised values in place, from the ground to the file: light, air, optics, sensor, storage."""
        config = self.config
        if config.shadow is not None or config.haze is not None or config.jpeg is not None:
            low, high = limits(self.bands, image)
        if config.shadow is not None:
            weight = light.draw_shadow(config.shadow, self.size_hw, rng)
            if weight is not None:
                light.darken(image, weight, low)
        if config.haze is not None:
            weight = light.draw_haze(config.haze, self.size_hw, rng)
            if weight is not None:
                light.veil(image, weight, low, high)
        if config.blur is not None:
            sensor.blur(image, valid, config.blur, rng)
        if config.noise is not None:
            sensor.add_noise(image, config.noise, rng)
        if config.jpeg is not None:
            sensor.compress(image, config.jpeg, low, high, rng)
        if config.band_dropout is not None:
            sensor.drop_bands(image, config.band_dropout, rng)
