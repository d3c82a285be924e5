"""Optimisers and their step, gradient clipping, and the moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn

from ..config.schema import TrainConfig
from ..nets import learned_parameters

EMA_WARM_UP = 10
"""The average's decay starts low: min(decay, (1 + step) / (EMA_WARM_UP + step))."""


def build_optimizer(network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD in PyTorch's fused or foreach implementation; biases and norms (ndim <= 1)
    never decay.

    Each group's `rate_factor` scales the learning rate: `train.encoder_rate` for weights that have learned
    before, 1 for all others. The first group is one of the others.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    learned = {id(parameter) for parameter in learned_parameters(network)}
    decay = 0.0 if train.optimizer == "adam" else train.weight_decay
    groups: list[dict[str, Any]] = [
        {
            "params": [p for p in trainable if (p.ndim > 1, id(p) in learned) == (kernels, slower)],
            "weight_decay": decay if kernels else 0.0,
            "rate_factor": train.encoder_rate if slower else 1.0,
        }
        for slower in (False, True)
        for kernels in (True, False)
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


def clip_gradients(parameters: Sequence[Tensor], value: float | None, norm: float | None) -> None:
    """Clip each gradient element to ±`value`, then the global norm to `norm`; None leaves the gradients
    alone.
    """
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        nn.utils.clip_grad_norm_(parameters, norm)


class OptimizerStep:
    """Clips the gradients, steps, and forgets them; inside the backward pass wherever nothing forbids it.

    There each parameter is clipped and stepped as soon as its gradient is complete, and the gradient freed:
    never are all gradients kept at once, which saves the memory of one copy of the weights. The numbers
    are the same, since Adam, AdamW, SGD and clipping by value work element by element. A norm over all
    gradients, several batches a step, gradients that other processes add to, and a scaled loss (fp16) need
    them all: then `finish` does the work.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer | _FabricOptimizer,
        train: TrainConfig,
        *,
        gradients_final: bool,
    ) -> None:
        """Hooks the parameters of `optimizer`.

        Args:
            gradients_final: what the backward pass of one batch leaves in this process needs neither
                unscaling nor the gradients of other processes.
        """
        self.optimizer = optimizer
        self.train = train
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.inside_backward = gradients_final and train.clip_norm is None and train.accumulate == 1
        if self.inside_backward:
            for parameter in self.parameters:
                parameter.register_post_accumulate_grad_hook(self._step_one)

    def finish(self) -> None:
        """After the last backward pass of a step: whatever of it is still to do."""
        if not self.inside_backward:
            clip_gradients(self.parameters, self.train.clip_value, self.train.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def _step_one(self, parameter: Tensor) -> None:
        # the optimiser passes over parameters without a gradient: all but this one
        clip_gradients([parameter], self.train.clip_value, None)
        self.optimizer.step()
        parameter.grad = None


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
