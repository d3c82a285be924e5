"""From `[model]` of a config to a network, and from its logits to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..bands import Bands
from ..config.schema import EncoderUNetConfig, FlexUNetConfig, ModelConfig
from ..errors import ConfigError
from .encoder_unet import EncoderUNet
from .flexunet import FlexUNet
from .pretrained import find_weights, load_pretrained, places_in_words
from .resunet import ResUNet


def build_network(model: ModelConfig, in_channels: int, num_classes: int) -> nn.Module:
    """The network with random weights: images (B, C, H, W) to logits (B, K, H, W), any H and W.

    K is `num_classes`, but 1 for two classes under `model.sigmoid`; `probabilities` takes both.

    Raises:
        ConfigError: `model.sigmoid` with other than two classes, or two different dilations.
    """
    if isinstance(model, FlexUNetConfig):
        if model.sigmoid and num_classes != 2:
            raise ConfigError(f"model.sigmoid is for two classes, not {num_classes}")
        return FlexUNet(
            in_channels,
            1 if model.sigmoid else num_classes,
            base_filters=model.base_filters,
            base_kernels=model.base_kernels,
            num_layers=model.num_layers,
            dropout_rate=model.dropout_rate,
            dilation=model.dilation,
            normalization=model.normalization,
            activation=model.activation,
        )
    if isinstance(model, EncoderUNetConfig):
        return EncoderUNet(in_channels, num_classes, model.encoder, model.decoder_widths, model.dropout_rate)
    return ResUNet(in_channels, num_classes, model.widths, model.depths, model.dropout_rate, model.activation)


def initial_network(model: ModelConfig, bands: Bands, num_classes: int) -> nn.Module:
    """The network that training starts from: random weights, but for an encoder that has learned before.

    Raises:
        ConfigError: as `build_network`.
        MissingExtraError: the package with the encoder's weights is not installed.
        ModelFileError: its weight file is damaged.
    """
    network = build_network(model, len(bands), num_classes)
    if isinstance(model, EncoderUNetConfig) and model.weights == "imagenet":
        assert isinstance(network, EncoderUNet)
        load_pretrained(network, model.encoder, bands)
    return network


def check_weights(model: ModelConfig) -> None:
    """Whether the weights that training would start from are here, before anything else is done.

    Raises:
        MissingExtraError: they are not; the message has the command that installs them.
    """
    if isinstance(model, EncoderUNetConfig) and model.weights == "imagenet":
        find_weights(model.encoder)


def colours_in_words(model: ModelConfig, bands: Bands) -> str | None:
    """Which bands an encoder takes for the colours it has learned; None where there is no question."""
    learned = isinstance(model, EncoderUNetConfig) and model.weights == "imagenet"
    return places_in_words(bands.names) if learned else None


def probabilities(logits: Tensor) -> Tensor:
    """Logits (B, K, H, W) to probabilities (B, K, H, W) that sum to 1; one logit p gives [1 - p, p]."""
    if logits.shape[1] == 1:
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    return torch.softmax(logits, dim=1)
