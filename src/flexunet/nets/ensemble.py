"""Several networks as one: the mean of their probabilities, as logits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from .build import probabilities
from .scaled import AS_IT_IS, Scale, seen_at

LEAST_PROBABILITY = 1e-30
"""What a mean of 0 counts as; its logarithm is finite in float32 and bfloat16."""


class EnsembleNetwork(nn.Module):
    """Images (B, C1 + C2 + ..., H, W) to log mean probabilities (B, K, H, W), whose softmax is the mean.

    places: the channels of each member. Members that normalise alike share theirs. scales: the size that each
    sees images at, over their own; left out: as they are.
    """

    def __init__(
        self, members: Sequence[nn.Module], places: Sequence[slice], scales: Sequence[Scale] | None = None
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.places = tuple(places)
        self.scales = tuple(scales) if scales is not None else (AS_IT_IS,) * len(members)

    def forward(self, images: Tensor) -> Tensor:
        total: Tensor | None = None
        for member, place, scale in zip(self.members, self.places, self.scales, strict=True):
            found = seen_at(scale, partial(_probabilities, member), images[:, place])
            total = found if total is None else total + found
        assert total is not None
        return torch.log((total / len(self.members)).clamp_min(LEAST_PROBABILITY))


def _probabilities(member: nn.Module, images: Tensor) -> Tensor:
    return probabilities(member(images).float())
