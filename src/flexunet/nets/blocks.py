"""What both networks are built from: 'same' convolutions, batch norm, initial weights."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from .fast_conv import conv2d_same


def same_padding(kernel: int, dilation: int) -> tuple[int, int]:
    """Pixels before and after that keep the size at stride 1; the odd one goes after, as in TensorFlow."""
    total = dilation * (kernel - 1)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution (B, C, H, W) -> (B, K, H, W) of any kernel size, padded with zeros as Keras' 'same'."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, dilation: int = 1, *, bias: bool = True
    ):
        before, after = same_padding(kernel, dilation)
        super().__init__(in_channels, out_channels, kernel, padding=before, dilation=dilation, bias=bias)
        self.surplus = after - before

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; an even kernel needs one more row and column after the last than `padding` can say."""
        if self.surplus:
            x = F.pad(x, (0, self.surplus, 0, self.surplus))
        return conv2d_same(x, self.weight, self.bias, int(self.padding[0]), self.dilation[0])


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that uses the running statistics where a batch holds one value a channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0, self.eps
            )
        return super().forward(x)


def he_normal_(convolution: nn.Conv2d) -> None:
    """Keras' `he_normal` (truncated normal, fan-in) for the kernel, zero for the bias.

    He et al. 2015, eq. 10. A normal distribution cut at two standard deviations keeps 0.8796 of its
    deviation, which Keras makes up for.
    """
    fan_in = convolution.weight[0].numel()
    std = math.sqrt(2 / fan_in) / 0.87962566103423978
    nn.init.trunc_normal_(convolution.weight, std=std, a=-2 * std, b=2 * std)
    _zero_bias(convolution)


def glorot_uniform_(convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Keras' `glorot_uniform` for the kernel (Glorot & Bengio 2010, eq. 16), zero for the bias."""
    nn.init.xavier_uniform_(convolution.weight)
    _zero_bias(convolution)


def _zero_bias(convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
