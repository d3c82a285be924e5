"""Test-time augmentation: a callable that returns probabilities, made from another one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ProbabilitiesOf = Callable[[Tensor], Tensor]
"""Normalised images float32 (B, C, H, W) to probabilities float32 (B, K, H, W) that sum to 1 over K."""


def mean_of_eight(probabilities_of: ProbabilitiesOf) -> ProbabilitiesOf:
    """The mean over the eight flips and quarter turns of the image, each result turned back.

    Costs eight forward passes. Flipping or turning the image by 90 degrees flips or turns the result, up to
    the rounding of a sum of eight numbers.
    """

    def mean(images: Tensor) -> Tensor:
        total: Tensor | None = None
        for mirrored in (False, True):
            source = images.flip(3) if mirrored else images
            for turns in range(4):
                turned = probabilities_of(torch.rot90(source, turns, (2, 3)))
                back = torch.rot90(turned, -turns, (2, 3))
                back = back.flip(3) if mirrored else back
                total = back.clone() if total is None else total.add_(back)
        assert total is not None
        return total.div_(8)

    return mean
