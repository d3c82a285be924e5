"""From `[model]` of a config to a network, and from its logits to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config.schema import FlexUNetConfig, ModelConfig
from ..errors import ConfigError
from .flexunet import FlexUNet
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
    return ResUNet(in_channels, num_classes, model.widths, model.depths, model.dropout_rate, model.activation)


def probabilities(logits: Tensor) -> Tensor:
    """Logits (B, K, H, W) to probabilities (B, K, H, W) that sum to 1; one logit p gives [1 - p, p]."""
    if logits.shape[1] == 1:
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    return torch.softmax(logits, dim=1)
