"""FlexUNet: the reference's U-Net of free depth, width, kernel size and dilation (docs/reference-dialect)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config.schema import Activation
from ..errors import ConfigError
from .activations import activation_function
from .blocks import BatchNorm2d, SameConv2d, glorot_uniform_, he_normal_
from .dropout import one_pass_pays, relu_dropout_
from .up_conv import UpConv2d


class FlexUNet(nn.Module):
    """Images (B, C, H, W) float32 to logits (B, K, H, W) float32, of any height and width.

    Level i of `num_layers` (the last is the bridge) has `base_filters` * 2^i filters, kernels of max(3,
    base_kernels - 2i), dilation max(1, dilation - i) and dropout `dropout_rate` * i. Each level is
    convolution, activation, [batch norm], dropout, convolution, activation, [batch norm]; 2x2 max pooling
    leads down; a transposed 2x2 convolution and [upsampled, skip] lead up; a 1x1 convolution ends it. Kernels
    are square: of a pair that differs, the last number counts, as it always did.

    Heights and widths that are no multiple of `stride` = 2^(num_layers - 1) are filled up at the right and
    bottom by repeating the edge; the logits are cut back to the image.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        base_filters: int = 16,
        base_kernels: int | tuple[int, int] = (3, 3),
        num_layers: int = 6,
        dropout_rate: float = 0.05,
        dilation: int | tuple[int, int] = (1, 1),
        normalization: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        kernel = base_kernels if isinstance(base_kernels, int) else base_kernels[-1]
        spread = _one_number(dilation)
        if not 0 <= dropout_rate * (num_layers - 1) < 1:
            raise ConfigError(f"dropout_rate {dropout_rate} times {num_layers - 1} levels must stay below 1")
        filters = [base_filters * 2**level for level in range(num_layers)]
        sources = [in_channels, *filters[:-1]]

        def block(level: int, channels: int) -> Block:
            return Block(
                channels,
                filters[level],
                max(3, kernel - 2 * level),
                max(1, spread - level),
                dropout_rate * level,
                normalization,
                activation,
            )

        below_bridge = range(num_layers - 2, -1, -1)
        self.stride = 2 ** (num_layers - 1)
        self.activation = activation
        self.encoder = nn.ModuleList(block(level, sources[level]) for level in range(num_layers))
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList(UpConv2d(filters[level + 1], filters[level]) for level in below_bridge)
        self.decoder = nn.ModuleList(block(level, 2 * filters[level]) for level in below_bridge)
        self.head = nn.Conv2d(base_filters, num_classes, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Keras' initial weights: He-normal in the blocks, Glorot-uniform on the way up and in the head."""
        for module in self.modules():
            if isinstance(module, SameConv2d):
                he_normal_(module)
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                glorot_uniform_(module)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        height, width = images.shape[-2:]
        x = self._fill_up(images)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                skips.append(x)
                x = self.pool(x)
            x = block(x)
        for up, block in zip(self.ups, self.decoder, strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]

    def _fill_up(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        bottom, right = -height % self.stride, -width % self.stride
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom), mode="replicate")
        return images


class Block(nn.Module):
    """Twice convolution, activation and, if asked for, batch norm (Keras' numbers); dropout between."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        dilation: int,
        dropout: float,
        normalization: bool,
        activation: Activation,
    ) -> None:
        super().__init__()

        def norm() -> nn.Module:
            return BatchNorm2d(out_channels, eps=1e-3, momentum=0.01) if normalization else nn.Identity()

        self.conv1 = SameConv2d(in_channels, out_channels, kernel, dilation)
        self.norm1 = norm()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = SameConv2d(out_channels, out_channels, kernel, dilation)
        self.norm2 = norm()
        self.activate = activation_function(activation)
        self.dropout_rate = dropout
        self.relu_then_dropout = activation == "relu" and dropout > 0 and not normalization

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, filters, H, W)."""
        x = self.conv1(x)
        if self.relu_then_dropout and self.training and one_pass_pays(x):
            x = relu_dropout_(x, self.dropout_rate)
        else:
            x = self.dropout(self.norm1(self.activate(x)))
        y: Tensor = self.norm2(self.activate(self.conv2(x)))
        return y


def _one_number(dilation: int | tuple[int, int]) -> int:
    if isinstance(dilation, int):
        return dilation
    if dilation[0] != dilation[1]:
        raise ConfigError(f"model.dilation {dilation}: both numbers must be equal, as kernels are square.")
    return dilation[0]
