"""A batch's logits and labels, with everything that losses and metrics share of them computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ..classes import IGNORE_INDEX


class _SumOverProcesses(torch.autograd.Function):
    """Sum of a tensor over all processes.

    Every process goes on to compute the same loss from it, and data-parallel training averages the gradients,
    so the gradient that comes back is multiplied by the number of processes.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * dist.get_world_size()


def across_processes(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, differentiable; `value` itself where there is only one."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return _SumOverProcesses.apply(value)  # type: ignore[no-any-return, no-untyped-call]
    return value


class Scored:
    """Logits and labels of one batch, and what several losses and metrics need of them, computed once.

    logits: (B, K, H, W), or (B, 1, H, W) for a sigmoid; any float type, brought to float32 here
    labels: int64 (B, H, W), 0 to K - 1 or `IGNORE_INDEX`
    second: other labels of the same shape that are true at once, ignored where `labels` are, and what
        `labels` count for, float32 (B,); the truth y is then share * one-hot + (1 - share) * one-hot of both
    local: sums stay in this process
    """

    def __init__(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        second: tuple[Tensor, Tensor] | None = None,
        local: bool = False,
    ) -> None:
        logits = logits.float()
        self.single = logits.shape[1] == 1
        self.logits = torch.cat([torch.zeros_like(logits), logits], 1) if self.single else logits
        self.labels, self.second = labels, second
        self.num_classes = self.logits.shape[1]
        self.local = local

    def total(self, value: Tensor) -> Tensor:
        """The sum of `value` over all processes, or `value` where only this process counts."""
        return value if self.local else across_processes(value)

    @cached_property
    def valid(self) -> Tensor:
        """float32 (B, H, W): 1 where the pixel counts."""
        return (self.labels != IGNORE_INDEX).float()

    @cached_property
    def count(self) -> Tensor:
        """Labelled pixels of the global batch."""
        return self.total(self.valid.sum()).clamp_min(1)

    @cached_property
    def images(self) -> Tensor:
        """Images of the global batch."""
        return self.total(self.logits.new_tensor(float(len(self.labels))))

    @cached_property
    def probabilities(self) -> Tensor:
        """(B, K, H, W), summing to 1 over K."""
        return self.logits.softmax(1)

    def of_truth(self, value: Callable[[Tensor], Tensor]) -> Tensor:
        """What `value` makes of the true labels (B, H, W); its mean by share where there are two."""
        first = value(self.labels)
        if self.second is None:
            return first
        others, share = self.second
        share = share.reshape(-1, *(1 for _ in first.shape[1:]))
        return share * first + (1 - share) * value(others)

    def log_likelihood_of(self, labels: Tensor) -> Tensor:
        """(B, H, W): log probability of each pixel's label, 0 at ignored pixels."""
        return -F.cross_entropy(self.logits, labels, ignore_index=IGNORE_INDEX, reduction="none")

    def weight_of(self, labels: Tensor, weights: Tensor) -> Tensor:
        """(B, H, W): each pixel's class weight; any finite number at ignored pixels."""
        return weights[labels.clamp_max(self.num_classes - 1)]

    @cached_property
    def log_likelihood(self) -> Tensor:
        """(B, H, W): log probability of the true class, 0 at ignored pixels."""
        return self.of_truth(self.log_likelihood_of)

    @cached_property
    def truth(self) -> Tensor:
        """float32 (B, K, H, W): one-hot labels, all zero at ignored pixels."""
        classes = torch.arange(self.num_classes, device=self.labels.device)[:, None, None]
        return self.of_truth(lambda labels: (labels[:, None] == classes).float())

    @cached_property
    def channels(self) -> tuple[Tensor, Tensor]:
        """y and p as the reference sees them, both 0 at ignored pixels: all classes, or the one
        sigmoid channel.
        """
        y, p = self.truth, self.probabilities * self.valid[:, None]
        return (y[:, 1:], p[:, 1:]) if self.single else (y, p)

    def per_image(self, values: Tensor) -> Tensor:
        """Mean over the images of the global batch of `values` (B,)."""
        return self.total(values.sum()) / self.images
