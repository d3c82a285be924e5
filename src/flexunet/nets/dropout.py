"""ReLU and dropout in one pass over memory: the result alone says where the gradient goes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def one_pass_pays(x: Tensor) -> bool:
    """On CPUs, where dropout keeps a mask of the input's size and type; GPUs have a kernel of their own."""
    recorded = torch.compiler.is_compiling() or torch._C._is_tracing()
    return x.device.type == "cpu" and not recorded


def relu_dropout_(x: Tensor, rate: float) -> Tensor:
    """`dropout(relu(x), rate)` in training, in place, with the same random numbers.

    Srivastava et al. 2014, in the inverted form: kept values are divided by 1 - rate. Where the result is
    above 0 the value was kept and the ReLU open, so backward needs neither the mask nor the ReLU's output:
    two feature maps less in memory.
    """
    result: Tensor = _ReluDropout.apply(x, rate)  # type: ignore[no-untyped-call]
    return result


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        kept = torch.empty_like(x).bernoulli_(1 - rate).div_(1 - rate)
        x.relu_().mul_(kept)
        ctx.rate = rate
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad, result, 0).div_(1 - ctx.rate), None
