"""EncoderUNet: a U-Net whose way down is a known image classifier, to start from what it has learned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .efficientnet_lite import EfficientNetLite
from .resunet import ConvNorm, UpsampleTo
from .timm_encoder import PREFIX, TimmEncoder


class EncoderUNet(nn.Module):
    """Images (B, C, H, W) float32 to logits (B, K, H, W), of any height and width.

    Each input band is brought to the encoder's scale (`input_scale`, `input_shift`; 1 and 0 from random
    weights). The encoder goes down one level more than there are decoder widths. Per width, from the deepest
    map up: nearest-neighbour upsampling to the size of the next map, [upsampled, map] and two 3x3
    convolutions with batch norm and ReLU; a 3x3 head at half resolution, its logits brought to the image's
    size bilinearly.
    """

    input_scale: Tensor
    input_shift: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        encoder: str = "efficientnet_lite0",
        decoder_widths: Sequence[int] = (128, 64, 48, 32),
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder_has_learned = False
        """Whether the encoder started from learned weights and is to be trained gently."""
        self.register_buffer("input_scale", torch.ones(in_channels, 1, 1))
        self.register_buffer("input_shift", torch.zeros(in_channels, 1, 1))
        kind = TimmEncoder if encoder.startswith(PREFIX) else EfficientNetLite
        self.encoder = kind(encoder, in_channels, len(decoder_widths) + 1)
        *skips, deepest = self.encoder.widths
        sources = (deepest, *decoder_widths)
        self.decoder = nn.ModuleList(
            nn.Sequential(ConvNorm(source + skip, width, 3, 1, "relu"), ConvNorm(width, width, 3, 1, "relu"))
            for source, skip, width in zip(sources[:-1], reversed(skips), decoder_widths, strict=True)
        )
        self.upsample = UpsampleTo("nearest")
        self.dropout = nn.Dropout2d(dropout_rate) if dropout_rate else nn.Identity()
        self.head = nn.Conv2d(decoder_widths[-1], num_classes, 3, padding=1)
        self.enlarge = UpsampleTo("bilinear")

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, K, H, W)."""
        scaled = (images * self.input_scale + self.input_shift).to(images.dtype)
        *skips, x = self.encoder(scaled)
        for level in self.decoder:
            skip = skips.pop()
            x = level(torch.cat([self.upsample(x, skip), skip], dim=1))
        logits: Tensor = self.enlarge(self.head(self.dropout(x)), images)
        return logits


def learned_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The weights that knew something before training; none of most networks."""
    if isinstance(network, EncoderUNet) and network.encoder_has_learned:
        return list(network.encoder.parameters())
    return []
