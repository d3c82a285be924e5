"""Which way a convolution is computed on a CPU: directly, by Fourier transforms, or as one matrix product.

All three give the same numbers but for rounding. The choice hangs on shapes and types alone, never on a
measurement, so a run can be repeated. `benchmarks/README.md` has the numbers behind each rule.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .dft_conv import dft_conv2d

_DFT_KERNEL = 5
"""Fourier transforms pay from this kernel size on."""
_DFT_CHANNELS = 16
"""And from this many channels in and out."""
_DFT_SIZE = 32
"""And from images of this height and width."""
_MATRIX_PIXELS = 64
"""Images of at most this many pixels are convolved as one matrix product where the kernel is large."""
_MATRIX_WEIGHTS = 2**20
"""From this many weights on a kernel is large: oneDNN then spends its time on rearranging it."""


def conv2d_same(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, dilation: int) -> Tensor:
    """`F.conv2d` of stride 1 by the fastest way known: (B, C, H, W) to (B, K, H, W)."""
    if _plain(x, weight, padding, dilation):
        filters, channels, kernel, _ = weight.shape
        height, width = x.shape[-2:]
        if height * width <= _MATRIX_PIXELS and weight.numel() >= _MATRIX_WEIGHTS:
            return matrix_conv2d(x, weight, bias)
        if (
            kernel >= _DFT_KERNEL
            and min(channels, filters) >= _DFT_CHANNELS
            and min(height, width) >= _DFT_SIZE
            and _stays_float32(x, weight)
        ):
            return dft_conv2d(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=padding, dilation=dilation)


def _plain(x: Tensor, weight: Tensor, padding: int, dilation: int) -> bool:
    """Whether the other ways apply: on a CPU, dilation 1, odd kernel with 'same' padding, no recording."""
    recorded = torch.compiler.is_compiling() or torch._C._is_tracing()
    return x.device.type == "cpu" and dilation == 1 and weight.shape[2] == 2 * padding + 1 and not recorded


def _stays_float32(x: Tensor, weight: Tensor) -> bool:
    return x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def matrix_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The 'same' convolution of odd square kernels as one matrix product: (B, C, H, W) to (B, K, H, W).

    For images of a few pixels with thousands of channels, where reading the weights once is all the work. It
    computes in the type of the weights, also under mixed precision: to round that many float32 weights to
    bfloat16 would take longer than the product.
    """
    with torch.autocast("cpu", enabled=False):
        x = x.to(weight.dtype)
        if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
            result: Tensor = _MatrixConv2d.apply(x, weight, bias)  # type: ignore[no-untyped-call]
            return result
        # one image at a time, so that the others in the batch never change its rounding
        return torch.cat([_convolve(image, weight, bias)[0] for image in torch.split(x, 1)])


def _as_matrix(weight: Tensor) -> tuple[Tensor, bool]:
    """(K, C * k * k) without a copy, and whether the taps come before the channels (channels last)."""
    if weight.is_contiguous():
        return weight.flatten(1), False
    return weight.permute(0, 2, 3, 1).flatten(1), True


def _patches(x: Tensor, kernel: int, taps_first: bool) -> Tensor:
    """Every pixel's neighbourhood as a column: (B, C, H, W) to (C * k * k, B * H * W)."""
    batch, channels, height, width = x.shape
    columns = F.unfold(x, kernel, padding=kernel // 2).view(batch, channels, kernel * kernel, height * width)
    order = (2, 1, 0, 3) if taps_first else (1, 2, 0, 3)
    return columns.permute(order).reshape(channels * kernel * kernel, batch * height * width)


def _fold(columns: Tensor, shape: torch.Size, kernel: int, taps_first: bool) -> Tensor:
    """The transpose of `_patches`: neighbourhoods added up to (B, C, H, W)."""
    batch, channels, height, width = shape
    if taps_first:
        columns = columns.view(kernel * kernel, channels, batch, height * width).permute(2, 1, 0, 3)
    else:
        columns = columns.view(channels, kernel * kernel, batch, height * width).permute(2, 0, 1, 3)
    flat = columns.reshape(batch, channels * kernel * kernel, height * width)
    return F.fold(flat, (height, width), kernel, padding=kernel // 2)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The convolution, and the patches it was made from."""
    batch, _, height, width = x.shape
    matrix, taps_first = _as_matrix(weight)
    patches = _patches(x, weight.shape[2], taps_first)
    out = torch.mm(matrix, patches) if bias is None else torch.addmm(bias[:, None], matrix, patches)
    result = x.new_empty(batch, weight.shape[0], height, width)
    result.copy_(out.view(-1, batch, height, width).transpose(0, 1))
    return result, patches


class _MatrixConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        out, patches = _convolve(x, weight, bias)
        ctx.save_for_backward(patches, weight)
        ctx.with_bias, ctx.shape = bias is not None, x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        patches, weight = ctx.saved_tensors
        matrix, taps_first = _as_matrix(weight)
        filters, channels, kernel, _ = weight.shape
        columns = grad.transpose(0, 1).reshape(filters, -1)
        grad_matrix = torch.mm(columns, patches.t())
        if taps_first:
            grad_weight = grad_matrix.view(filters, kernel, kernel, channels).permute(0, 3, 1, 2)
        else:
            grad_weight = grad_matrix.view(filters, channels, kernel, kernel)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = _fold(torch.mm(matrix.t(), columns), ctx.shape, kernel, taps_first)
        return grad_x, grad_weight, columns.sum(1) if ctx.with_bias else None
