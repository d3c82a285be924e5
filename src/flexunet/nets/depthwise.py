"""Depthwise convolutions whose gradients are quick in bf16 on CPUs.

oneDNN 3.x has kernels for most of the gradients of a depthwise convolution in bfloat16, but falls back to
plain loops, 20 to 100 times slower, for two: that to the input at stride 2, and that to 5x5 kernels. Both can
be had from what is quick: the first as a convolution of stride 1 of the gradient with zeros between its
pixels, the second as the gradients of four overlapping 3x3 parts of the kernel. The sums are the same;
`docs/encoders.md` has the times.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class DepthwiseConv2d(nn.Conv2d):
    """One odd kernel a channel, padded by half of it: (B, C, H, W) to (B, C, ceil(H / s), ceil(W / s))."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        if self.bias is None and torch.is_grad_enabled() and _slow_gradients(x, self):
            kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
            y: Tensor = _DepthwiseConv2d.apply(x.to(kind), self.weight.to(kind), self.stride[0])  # type: ignore[no-untyped-call]
            return y
        return super().forward(x)


def _slow_gradients(x: Tensor, layer: nn.Conv2d) -> bool:
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    recorded = torch.compiler.is_compiling() or torch._C._is_tracing()
    special = layer.stride[0] == 2 or layer.kernel_size[0] == 5
    return x.device.type == "cpu" and kind == torch.bfloat16 and special and not recorded


class _DepthwiseConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, _ = ctx.needs_input_grad
        return (
            grad_of_input(grad, x, weight, ctx.stride) if to_x else None,
            grad_of_weight(grad, x, weight, ctx.stride) if to_weight else None,
            None,
        )


def grad_of_input(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient to `x`: what strides have left out is zero, and the kernel is turned by 180 degrees."""
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    return F.conv2d(grad, weight.flip(-2, -1), None, 1, weight.shape[-1] // 2, groups=x.shape[1])


def grad_of_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient to the kernels (C, 1, k, k); 5x5 kernels as four of 3x3 that share a row and a column."""
    kernel = weight.shape[-1]
    if kernel != 5:
        return _grad_of_weight(grad, x, weight, stride, kernel // 2)
    height, width = ((size - 1) * stride + 3 for size in grad.shape[-2:])
    padded = F.pad(x, (2, 2, 2, 2))
    part = weight[:, :, :3, :3].contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            seen = padded[:, :, top : top + height, left : left + width]
            result[:, :, top : top + 3, left : left + 3] = _grad_of_weight(grad, seen, part, stride, 0)
    return result


def _grad_of_weight(grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    gradients = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [stride, stride], [padding, padding], [1, 1], False, [0, 0], x.shape[1],
        [False, True, False],
    )  # fmt: skip
    result: Tensor = gradients[1]
    return result
