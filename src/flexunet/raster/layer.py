"""What a raster of results holds beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .writers import Colours

BLOCK = 512
"""Edge of the blocks of a COG."""


@dataclass(frozen=True)
class Layer:
    """Bands, type, missing value, and what they mean."""

    bands: int
    dtype: Literal["uint8", "float32"]
    nodata: float
    descriptions: tuple[str, ...]
    scale: float | None = None
    """Value = stored number times this; None: the number itself."""
    half: bool = False
    """Floats are stored in 16 bits."""
    colours: Colours | None = None
    """Colour table of a band of classes; its overviews are the most frequent class."""
    class_names: tuple[str, ...] | None = None


def class_layer(colours: Colours, names: tuple[str, ...], nodata: int) -> Layer:
    """The layer of a class map."""
    return Layer(1, "uint8", nodata, ("class",), colours=tuple(colours), class_names=names)


def share_layer(descriptions: tuple[str, ...], *, half: bool) -> Layer:
    """A layer of numbers from 0 to 1, a band a description: in bytes of 1/254 with 255 for nodata, or as
    16-bit floats with NaN for nodata.
    """
    if half:
        return Layer(len(descriptions), "float32", float("nan"), descriptions, half=True)
    return replace(Layer(len(descriptions), "uint8", 255, descriptions), scale=1 / 254)
