"""All that `flexunet inspect` shows of a network, without running it on anything."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..config.schema import ModelConfig
from .build import build_network
from .layers import LayerRow, Stage, layer_table, stages
from .memory import MemoryEstimate, memory_estimate


@dataclass(frozen=True)
class NetworkSummary:
    """A network in numbers; arithmetic is that of one image, forwards."""

    name: str
    layers: list[LayerRow]
    stages: list[Stage]
    memory: MemoryEstimate

    @property
    def parameters(self) -> int:
        """Trainable numbers."""
        return sum(row.parameters for row in self.layers)

    @property
    def flops(self) -> int:
        """Operations of one forward pass; 1 multiply-add = 2."""
        return sum(row.flops for row in self.layers)

    @property
    def receptive_field(self) -> int:
        """Edge of the square of input pixels that a logit can see."""
        return self.layers[-1].receptive_field


def summarise(
    model: ModelConfig, num_classes: int, input_shape: tuple[int, int, int], batch_size: int
) -> NetworkSummary:
    """The summary for images of `input_shape` (C, H, W); `batch_size` counts for the memory only."""
    with torch.device("meta"):
        network = build_network(model, input_shape[0], num_classes)
    rows = layer_table(network, input_shape)
    memory = memory_estimate(model, num_classes, input_shape, batch_size)
    return NetworkSummary(type(network).__name__, rows, stages(rows), memory)
