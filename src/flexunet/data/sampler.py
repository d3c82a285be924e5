"""From a stored picture to what the network sees, without augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Bands
from ..classes import IGNORE_INDEX
from .resize import Sizing, bring_to_size

Sampler = Callable[
    [NDArray[Any], NDArray[np.uint8], NDArray[np.bool_], np.random.Generator],
    tuple[NDArray[np.float32], NDArray[np.uint8]],
]
"""(pixels (C, h, w) of any type, labels uint8 (h, w), valid bool (h, w), generator) -> (float32 (C, H, W)
normalised, uint8 (H, W)); pixels without data and padding have value 0 and label IGNORE_INDEX."""


class PlainSampler:
    """A `Sampler` without chance: squeezed, fitted or centre-cropped to `size` (height, width)."""

    def __init__(self, bands: Bands, size: tuple[int, int], sizing: Sizing) -> None:
        self.bands, self.size, self.sizing = bands, size, sizing

    def __call__(
        self,
        pixels: NDArray[Any],
        labels: NDArray[np.uint8],
        valid: NDArray[np.bool_],
        generator: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """See `Sampler`; the generator is not used."""
        sized, sized_labels, shown = bring_to_size(pixels, labels, valid, self.size, self.sizing)
        normalised = self.bands.normalise(sized, shown)
        return normalised, np.where(shown, sized_labels, np.uint8(IGNORE_INDEX))
