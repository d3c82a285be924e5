"""Several networks as one: the mean of their probabilities, as logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .build import probabilities

LEAST_PROBABILITY = 1e-30
"""What a mean of 0 counts as; its logarithm is finite in float32 and bfloat16."""


class EnsembleNetwork(nn.Module):
    """Images (B, C1 + C2 + ..., H, W) to log mean probabilities (B, K, H, W), whose softmax is the mean.

    places: the channels of each member. Members that normalise alike share theirs.
    """

    def __init__(self, members: Sequence[nn.Module], places: Sequence[slice]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.places = tuple(places)

    def forward(self, images: Tensor) -> Tensor:
        total: Tensor | None = None
        for member, place in zip(self.members, self.places, strict=True):
            found = probabilities(member(images[:, place]).float())
            total = found if total is None else total + found
        assert total is not None
        return torch.log((total / len(self.members)).clamp_min(LEAST_PROBABILITY))
