"""Optimisers, gradient clipping, and the moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config.schema import TrainConfig

EMA_WARM_UP = 10
"""The average's decay starts low: min(decay, (1 + step) / (EMA_WARM_UP + step))."""


def build_optimizer(network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD in PyTorch's fused or foreach implementation; biases and norms (ndim <= 1)
    never decay.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    kernels = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": 0.0 if train.optimizer == "adam" else train.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trainable)
    speed: dict[str, Any] = {"fused": True} if fused else {"foreach": True}
    rate = train.learning_rate
    match train.optimizer:
        case "adam":
            return torch.optim.Adam(groups, rate, eps=train.epsilon, **speed)
        case "adamw":
            return torch.optim.AdamW(groups, rate, eps=train.epsilon, **speed)
        case "sgd":
            return torch.optim.SGD(
                groups, rate, momentum=train.momentum, nesterov=train.momentum > 0, **speed
            )


def clip_gradients(parameters: Sequence[nn.Parameter], value: float | None, norm: float | None) -> None:
    """Clip each gradient element to ±`value`, then the global norm to `norm`; None leaves the gradients
    alone.
    """
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)


class MovingAverage:
    """An exponential moving average of all parameters and float buffers (batch-norm statistics) of a network.

    `network` is the averaged copy, in eval mode; integer buffers are copied as they are.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(source).eval().requires_grad_(False)
        pairs = list(zip(_tensors(self.network), _tensors(source), strict=True))
        self._averages: list[Tensor] = [mine for mine, _ in pairs if mine.is_floating_point()]
        self._sources: list[Tensor] = [theirs for mine, theirs in pairs if mine.is_floating_point()]
        self._copies = [(mine, theirs) for mine, theirs in pairs if not mine.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (EMA_WARM_UP + step))
        torch._foreach_lerp_(self._averages, self._sources, 1 - decay)
        for mine, theirs in self._copies:
            mine.copy_(theirs)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*(parameter.data for parameter in network.parameters()), *network.buffers()]
