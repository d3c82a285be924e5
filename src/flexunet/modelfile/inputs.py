"""How a picture becomes the input of a model, and one input that of several.

Several models share theirs: their normalised bands stacked as channels, at one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..bands import Bands
from ..classes import Colour
from ..config.schema import DataConfig
from ..nets import AS_IT_IS, Scale


class MaskRecord(BaseModel):
    """How a mask says the class; the fields of `[data]` that evaluation needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[tuple[int, ...] | None, ...]
    """Values of each class in index masks; None: its position."""
    mask_encoding: Literal["auto", "colours", "index", "threshold", "onehot"]
    mask_axes: Literal["HWC", "CHW"]
    threshold: int
    invert_masks: bool
    ignore_value: int | None
    ignore_colour: Colour | None
    off_map_tolerance: float
    mask_size: Literal["error", "resize"]

    @classmethod
    def of(cls, data: DataConfig) -> MaskRecord:
        """The part of `[data]` that goes into the file."""
        fields = {name: getattr(data, name) for name in cls.model_fields if hasattr(data, name)}
        return cls(values=tuple(item.values for item in data.classes), **fields)


class InputRecord(BaseModel):
    """How a picture becomes the network's input; the fields of `[data]` that prediction needs."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    size: tuple[int, int]
    """Height and width in training."""
    sizing: Literal["resize", "fit", "crop"] = "resize"
    channels: int | None = None
    bands: tuple[int, ...] | None = None
    """Bands of the file that are used, counted from 1; None: all."""
    nodata: float | None = None
    alpha: Literal["nodata", "ignore"] = "nodata"
    exif_orientation: Literal["apply", "ignore"] = "apply"
    ground_resolution: tuple[float, float] | None = None
    """Height and width on the ground, in metres, of a pixel as the network sees it; None: not known."""
    masks: MaskRecord | None = None
    """How the masks of training were read; None: not known."""

    @classmethod
    def of(cls, data: DataConfig, ground_resolution: tuple[float, float] | None = None) -> InputRecord:
        """The part of `[data]` that goes into the file, and what the pictures say themselves."""
        fields = {name: getattr(data, name) for name in cls.model_fields if hasattr(data, name)}
        return cls(**{**fields, "ground_resolution": ground_resolution, "masks": MaskRecord.of(data)})


def shared_inputs(bands: Sequence[Bands]) -> tuple[tuple[Bands, ...], tuple[slice, ...]]:
    """The different inputs among those of several models, and where each model finds its own."""
    different = tuple(dict.fromkeys(bands))
    starts = {item: sum(len(other) for other in different[:index]) for index, item in enumerate(different)}
    return different, tuple(slice(starts[item], starts[item] + len(item)) for item in bands)


def shared_size(inputs: Sequence[InputRecord]) -> tuple[int, int]:
    """The height and width that pictures are brought to for several models: the largest of theirs.

    Where the first sees pictures pixel by pixel (`crop`), its own.
    """
    if inputs[0].sizing == "crop":
        return inputs[0].size
    sizes = [one.size for one in inputs if one.sizing != "crop"]
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def scale_of(own: InputRecord, shared: InputRecord) -> Scale:
    """How large a model sees what the shared input shows; pixel by pixel where either is `crop`."""
    if "crop" in (own.sizing, shared.sizing):
        return AS_IT_IS
    return own.size[0] / shared.size[0], own.size[1] / shared.size[1]
