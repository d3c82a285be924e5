"""EfficientNet-Lite 0 to 2 as an encoder: feature maps at 1/2 to 1/32 of the image's size.

The architecture of Tan & Le 2019 ("EfficientNet", table 1) in the form that its authors published for small
devices: ReLU6 in place of swish, no squeeze-and-excitation, stem and first and last stage not scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from .resunet import ConvNorm

EPSILON, MOMENTUM = 1e-3, 0.01
"""Of every batch norm, as the published networks have it."""
STEM_WIDTH = 32


@dataclass(frozen=True)
class Stage:
    """A row of table 1: `repeats` inverted bottlenecks, the first of them with the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
SCALES: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
"""Width and depth coefficients."""


class EfficientNetLite(nn.ModuleList):
    """Images (B, C, H, W) to feature maps at 1/2, 1/4, ... 1/32 of their size, of any H and W.

    The i-th of the `levels` (5 at most) is the i-th module; `widths` are the channels of its map.

    Strided convolutions are padded by half a kernel on every side. TensorFlow, with whose padding the
    published weights were trained, pads an even size by one pixel less before the first one: that is this
    network with its kernels turned by 180 degrees, on a picture turned by 180 degrees. `pretrained` turns
    the kernels; seen from above there is no upright.
    """

    def __init__(self, name: str, in_channels: int, levels: int = 5) -> None:
        width_coefficient, depth_coefficient = SCALES[name]
        modules: list[list[nn.Module]] = [[_layer(in_channels, STEM_WIDTH, 3, 2)]]
        widths: list[int] = []
        channels = STEM_WIDTH
        for index, stage in enumerate(STAGES):
            first_or_last = index in (0, len(STAGES) - 1)
            repeats = stage.repeats if first_or_last else math.ceil(stage.repeats * depth_coefficient)
            width = _rounded(stage.width * width_coefficient)
            if stage.stride == 2:
                modules.append([])
                widths.append(channels)
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                modules[-1].append(InvertedBottleneck(channels, width, stage.kernel, stride, stage.expansion))
                channels = width
        super().__init__(nn.Sequential(*level) for level in modules[:levels])
        self.widths = [*widths, channels][:levels]

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps, largest first."""
        maps = [images]
        for level in self:
            maps.append(level(maps[-1]))
        return maps[1:]

    @property
    def blocks(self) -> list[InvertedBottleneck]:
        """The inverted bottlenecks in their order."""
        return [module for module in self.modules() if isinstance(module, InvertedBottleneck)]

    @property
    def stem(self) -> ConvNorm:
        """The first convolution."""
        return next(module for module in self.modules() if isinstance(module, ConvNorm))


class InvertedBottleneck(nn.Module):
    """1x1 to `expansion` times the channels, a depthwise convolution, 1x1 back (Sandler et al. 2018).

    The input is added where the shape stays. (B, C, H, W) to (B, K, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = in_channels * expansion
        self.expand = _layer(in_channels, middle, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _layer(middle, middle, kernel, stride, depthwise=True)
        self.project = _layer(middle, out_channels, 1, activated=False)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Expand, convolve, project, add."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


def _layer(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    *,
    depthwise: bool = False,
    activated: bool = True,
) -> ConvNorm:
    return ConvNorm(
        in_channels, out_channels, kernel, stride, "relu6" if activated else "linear",
        depthwise=depthwise, epsilon=EPSILON, momentum=MOMENTUM,
    )  # fmt: skip


def _rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8 that is not more than a tenth below."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
