"""The normalised inputs of several models, stacked as channels."""

from __future__ import annotations

from collections.abc import Sequence

from ..bands import Bands


def shared_inputs(bands: Sequence[Bands]) -> tuple[tuple[Bands, ...], tuple[slice, ...]]:
    """The different inputs among those of several models, and where each model finds its own."""
    different = tuple(dict.fromkeys(bands))
    starts = {item: sum(len(other) for other in different[:index]) for index, item in enumerate(different)}
    return different, tuple(slice(starts[item], starts[item] + len(item)) for item in bands)
