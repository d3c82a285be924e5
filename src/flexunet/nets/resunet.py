"""ResUNet: our own U-Net for satellite and aerial images, small and quick to train from random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.schema import Activation
from .activations import ActivationFunction, activation_function
from .blocks import BatchNorm2d
from .depthwise import DepthwiseConv2d


class ResUNet(nn.Module):
    """Images (B, C, H, W) float32 to logits (B, K, H, W) float32, of any height and width.

    A 5x5 stem of stride 2 with `widths[0]` channels; per further width a residual block of stride 2 and
    `depths[i]` - 1 more (He et al. 2016, "basic" blocks); on the way up, nearest-neighbour upsampling to the
    size of the skip, [upsampled, skip] and two 3x3 convolutions; a 3x3 head at half resolution, its logits
    brought to the image's size bilinearly. Batch norm comes before each activation.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        widths: Sequence[int] = (24, 32, 64, 128, 192, 256),
        depths: Sequence[int] = (1, 2, 2, 2, 1),
        dropout_rate: float = 0.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.stride = 2 ** len(widths)
        self.stem = ConvNorm(in_channels, widths[0], 5, 2, activation)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(source, width, 2, activation),
                *(ResidualBlock(width, width, 1, activation) for _ in range(depth - 1)),
            )
            for source, width, depth in zip(widths, widths[1:], depths, strict=False)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(
                ConvNorm(source + width, width, 3, 1, activation), ConvNorm(width, width, 3, 1, activation)
            )
            for source, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.upsample = UpsampleTo("nearest")
        self.dropout = nn.Dropout2d(dropout_rate) if dropout_rate else nn.Identity()
        self.head = nn.Conv2d(widths[0], num_classes, 3, padding=1)
        self.enlarge = UpsampleTo("bilinear")

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        x = self.stem(images)
        skips: list[Tensor] = []
        for level in self.encoder:
            skips.append(x)
            x = level(x)
        for level in self.decoder:
            skip = skips.pop()
            x = level(torch.cat([self.upsample(x, skip), skip], dim=1))
        logits: Tensor = self.enlarge(self.head(self.dropout(x)), images)
        return logits


class UpsampleTo(nn.Module):
    """Brings a map to the height and width of another: (B, C, h, w), (B, K, H, W) to (B, C, H, W)."""

    def __init__(self, mode: Literal["nearest", "bilinear"]) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Resample `x`; only the size of `other` counts."""
        return F.interpolate(x, size=other.shape[-2:], mode=self.mode)


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation; (B, C, H, W) to (B, K, ceil(H / stride), ceil(W / stride))."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, activation: Activation,
        *, depthwise: bool = False, epsilon: float = 1e-5, momentum: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = (
            DepthwiseConv2d(out_channels, kernel, stride)
            if depthwise
            else nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        )
        self.norm = BatchNorm2d(out_channels, epsilon, momentum)
        self.activate: ActivationFunction = activation_function(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, activate."""
        return self.activate(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """activation(x + f(x)), f two 3x3 convolutions with batch norm; x through a 1x1 where shapes differ.

    A stride is taken by the mean of 2x2 pixels before the 1x1, which loses none of them (He et al. 2019, "Bag
    of tricks", ResNet-D). It also keeps clear of 1x1 convolutions of stride 2, whose gradient in
    `channels_last` writes past its memory on CPUs in PyTorch 2.13 for 8 or 12 channels.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.first = ConvNorm(in_channels, out_channels, 3, stride, activation)
        self.second = ConvNorm(out_channels, out_channels, 3, 1, "linear")
        self.shrink = nn.AvgPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(in_channels, out_channels, 1, 1, "linear")
        self.activate = activation_function(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, ceil(H / stride), ceil(W / stride))."""
        return self.activate(self.second(self.first(x)) + self.shortcut(self.shrink(x)))
