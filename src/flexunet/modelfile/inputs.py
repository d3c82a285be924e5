"""One input for several models: their normalised bands stacked as channels, at one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..bands import Bands
from ..nets import AS_IT_IS, Scale

if TYPE_CHECKING:
    from .record import InputRecord


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
