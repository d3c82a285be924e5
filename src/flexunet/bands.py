"""The input bands of a model: names, data type, nodata value, and the numbers that normalise them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator


class Bands(BaseModel):
    """What a network expects in each input channel, in order.

    A raw value x of band b enters the network as (x - mean[b]) / std[b]; pixels without data enter as 0, the
    band's mean under `statistics` normalisation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    names: tuple[str, ...]
    dtype: str = "uint8"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    nodata: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Bands:
        if not len(self.names) == len(self.mean) == len(self.std) > 0:
            raise ValueError(
                f"{len(self.names)} band names, {len(self.mean)} means, {len(self.std)} standard deviations"
            )
        if any(not np.isfinite(value) or value <= 0 for value in self.std):
            raise ValueError(f"standard deviations must be positive and finite, not {self.std}")
        if any(not np.isfinite(value) for value in self.mean):
            raise ValueError(f"means must be finite, not {self.mean}")
        return self

    def __len__(self) -> int:
        return len(self.names)

    def normalise(self, pixels: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Raw pixels (C, H, W) of any dtype as float32 (C, H, W); 0 where `valid`, bool (H, W), is False."""
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        inverse = (1 / np.asarray(self.std, np.float64)).astype(np.float32)[:, None, None]
        # Contiguous bands: on (H, W, C) memory the lines below would be ten times slower.
        normalised: NDArray[np.float32] = pixels.astype(np.float32, order="C")
        normalised -= mean
        normalised *= inverse
        if valid is not None and not valid.all():
            normalised[:, ~valid] = 0
        return normalised
