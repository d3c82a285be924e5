"""The step up of a U-Net: a transposed 2x2 convolution of stride 2."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MATRIX_PIXELS = 64
"""Maps of at most this many pixels go up by one matrix product on a CPU, if there are many weights."""
_MATRIX_WEIGHTS = 2**20
"""This many: oneDNN then spends most of its time on rearranging them."""


class UpConv2d(nn.ConvTranspose2d):
    """(B, C, H, W) to (B, K, 2H, 2W): every pixel becomes a 2x2 patch, patches do not overlap."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2, stride=2)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Take the step up; `output_size` is fixed to twice the input's and left out."""
        if not self._as_matrix_pays(input):
            return super().forward(input, output_size)
        assert self.bias is not None
        if torch.is_grad_enabled():
            return patches_up(input, self.weight, self.bias)
        # one image at a time, so that the others in the batch never change its rounding
        return torch.cat([patches_up(image, self.weight, self.bias) for image in torch.split(input, 1)])

    def _as_matrix_pays(self, x: Tensor) -> bool:
        recorded = torch.compiler.is_compiling() or torch._C._is_tracing()
        small = x.shape[2] * x.shape[3] <= _MATRIX_PIXELS and self.weight.numel() >= _MATRIX_WEIGHTS
        return small and x.device.type == "cpu" and self.weight.dtype == torch.float32 and not recorded


def patches_up(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.conv_transpose2d(x, weight, bias, stride=2)` of a 2x2 kernel as one matrix product, in float32.

    Args:
        x: (B, C, H, W).
        weight: (C, K, 2, 2).
        bias: (K,).

    Returns:
        (B, K, 2H, 2W) in the memory format of `x`.
    """
    batch, channels, height, width = x.shape
    filters = weight.shape[1]
    with torch.autocast("cpu", enabled=False):
        pixels = x.float().permute(0, 2, 3, 1).reshape(-1, channels)
        if weight.is_contiguous():  # either way the weights are read where they lie
            patches = pixels @ weight.flatten(1)
            patches = patches.view(batch, height, width, filters, 2, 2).permute(0, 1, 4, 2, 5, 3)
        else:
            patches = pixels @ weight.permute(0, 2, 3, 1).flatten(1)
            patches = patches.view(batch, height, width, 2, 2, filters).permute(0, 1, 3, 2, 4, 5)
        result = (patches + bias).reshape(batch, 2 * height, 2 * width, filters).permute(0, 3, 1, 2)
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return result.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
