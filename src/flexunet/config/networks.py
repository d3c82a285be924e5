"""The model section: one set of options a network; `architecture` says which."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .section import Contradiction, Positive, Section, Share

Activation = Literal[
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus", "softsign",
    "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear",
]  # fmt: skip


ENCODERS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""The classifiers that `encoder-unet` can be built on."""


class FlexUNetConfig(Section):
    """The reference's network: a U-Net of free depth, width and kernel size."""

    architecture: Literal["flexunet"] = "flexunet"
    """Which network."""
    base_filters: Positive = 16
    """Filters of the first level; every level doubles them."""
    base_kernels: tuple[Positive, Positive] = (3, 3)
    """Kernel of the first level; it shrinks by 2 a level down to 3."""
    num_layers: Annotated[int, Field(ge=2, le=12)] = 6
    """Levels including the bridge."""
    dropout_rate: Share = 0.05
    """Dropout of level i is i times this."""
    dilation: tuple[Positive, Positive] = (1, 1)
    """Dilation of the first level; it shrinks by 1 a level down to 1."""
    normalization: bool = False
    """Batch normalisation after the activation."""
    activation: Activation = "relu"
    """Activation of every convolution, by its Keras name."""
    sigmoid: bool = False
    """One output channel with a sigmoid in place of two with a softmax (two classes only)."""

    def contradictions(self) -> Iterator[Contradiction]:
        """Dropout below 1 at every level; dilation in both directions alike."""
        deepest = self.dropout_rate * (self.num_layers - 1)
        if deepest >= 1:
            yield Contradiction(
                (("dropout_rate",), ("num_layers",)),
                f"dropout_rate {self.dropout_rate} times {self.num_layers - 1} levels is {deepest:g}, "
                f"it must stay below 1",
            )
        if self.dilation[0] != self.dilation[1]:
            yield Contradiction(
                (("dilation",),),
                f"dilation {list(self.dilation)} is unequal; twice the same number is expected",
            )


class ResUNetConfig(Section):
    """Our own U-Net: residual blocks, batch norm before the activation, capped widths, a strided stem."""

    architecture: Literal["resunet"] = "resunet"
    """Which network."""
    widths: tuple[Positive, ...] = (24, 32, 64, 128, 192, 256)
    """Channels of each level, from half the input's resolution down."""
    depths: tuple[Positive, ...] = (1, 2, 2, 2, 1)
    """Residual blocks of each level below the stem."""
    dropout_rate: Share = 0.0
    """Channel dropout before the head."""
    activation: Activation = "relu"
    """Activation of every block."""

    def contradictions(self) -> Iterator[Contradiction]:
        """One number of blocks for each level below the stem."""
        if len(self.depths) != len(self.widths) - 1:
            yield Contradiction(
                (("widths",), ("depths",)),
                f"{len(self.widths)} widths need {len(self.widths) - 1} depths, not {len(self.depths)}",
            )


class EncoderUNetConfig(Section):
    """A U-Net on an image classifier that knows ImageNet already."""

    architecture: Literal["encoder-unet"] = "encoder-unet"
    """Which network."""
    encoder: str = "efficientnet_lite0"
    """The way down: efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, or timm:NAME."""
    weights: Literal["imagenet", "random"] = "imagenet"
    """What training starts the encoder from."""
    decoder_widths: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=4)] = (128, 64, 48, 32)
    """Channels on the way up, the last at 1/2 of the input's resolution; with fewer than four the encoder's
    deepest levels are left out.
    """
    dropout_rate: Share = 0.0
    """Channel dropout before the head."""

    @field_validator("encoder")
    @classmethod
    def _known_encoder(cls, encoder: str) -> str:
        if encoder not in ENCODERS and not encoder.startswith("timm:"):
            near = get_close_matches(encoder.lower(), ENCODERS, 1, 0.4)
            meant = f"; did you mean {near[0]!r}" if near else ""
            raise ValueError(
                f"unknown encoder {encoder!r}, known are {', '.join(ENCODERS)} and timm:NAME{meant}"
            )
        return encoder


ModelConfig = Annotated[
    FlexUNetConfig | ResUNetConfig | EncoderUNetConfig, Field(discriminator="architecture")
]
