"""Several models as one: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..bands import Bands
from ..nets import Scale, seen_at
from .tta import ProbabilitiesOf

Channels = slice | list[int]


def mean_of_models(
    calls: Sequence[ProbabilitiesOf], places: Sequence[Channels], scales: Sequence[Scale]
) -> ProbabilitiesOf:
    """Images that carry the input of every model, (B, C1 + C2 + ..., H, W), to the mean probabilities.

    `places` are the channels of each model. Models that normalise alike share theirs. `scales`: the size that
    each sees images at, over their own.
    """

    def mean(images: Tensor) -> Tensor:
        total: Tensor | None = None
        for call, place, scale in zip(calls, places, scales, strict=True):
            found = seen_at(scale, call, images[:, place])
            total = found.clone() if total is None else total.add_(found)
        assert total is not None
        return total.div_(len(calls))

    return mean


def channels_of(own: Sequence[Bands], stacked: Sequence[Bands]) -> Channels:
    """Where a model's inputs lie among those of several models, stacked as channels."""
    starts = {item: sum(map(len, stacked[:index])) for index, item in enumerate(stacked)}
    if len(own) == 1:
        return slice(starts[own[0]], starts[own[0]] + len(own[0]))
    return [starts[item] + channel for item in own for channel in range(len(item))]
