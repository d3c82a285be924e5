"""What the model file knows of the pictures of training: a cloud of features, and how far others lay."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Applicability(BaseModel):
    """Features of training (`metrics.applicability.FeatureCloud`) and the distances of held-out pictures.

    Arrays are float32, little-endian, base64. Distances are in units of the one that a twentieth of the
    held-out pictures reach: from 1 on, a picture lies as far as those.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    channels: Annotated[int, Field(gt=0)]
    """D"""
    centre: str
    """(D,)"""
    spread: str
    """(D,)"""
    directions: str
    """(k, D)"""
    variances: tuple[Positive, ...]
    """(k,)"""
    rest: Positive
    unit: Positive
    """What distances are divided by."""
    held_out: tuple[float, ...]
    """Distances of pictures of the training region that the network was not trained on, ascending."""
    shares: tuple[float, ...]
    """Of the held-out pictures, those at least as far; every group of pictures counts as one."""
    fitted_on: dict[str, Any] = Field(default_factory=dict)
    """Pictures, split, groups; JSON values."""

    @model_validator(mode="after")
    def _consistent(self) -> Applicability:
        if len(self.held_out) != len(self.shares) or not self.held_out:
            raise ValueError(f"{len(self.held_out)} distances and {len(self.shares)} shares")
        for name, shape in (("centre", (-1,)), ("spread", (-1,)), ("directions", (-1, self.channels))):
            size = array_of(getattr(self, name)).size
            wanted = self.channels * (len(self.variances) if shape[-1] != -1 else 1)
            if size != wanted:
                raise ValueError(f"{name} has {size} numbers, not {wanted}")
        return self


def text_of(values: NDArray[Any]) -> str:
    """Numbers of any shape as text."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode("ascii")


def array_of(text: str) -> NDArray[np.float64]:
    """The numbers of `text_of`, flat."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
