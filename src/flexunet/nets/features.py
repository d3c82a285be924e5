"""What a network's way down says about an image, as one vector: the means of a deep feature map."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .ensemble import EnsembleNetwork


class FeatureTap:
    """Takes the last but one map of a network's way down as it passes; the last one where there is but one.

    The deepest map has most channels and is the most specific to the classes; the one before it told other
    regions and sensors from those of training better (docs/applicability.md). Of an ensemble the first
    member is listened to. A context manager: on leaving, the network is as it was. Images may pass in several
    threads; each takes its own.
    """

    def __init__(self, network: nn.Module) -> None:
        """The network's modules of its way down are in `encoder`; see `has_features`."""
        level = _level(network)
        assert level is not None, "this network has no way down"
        self._level = level
        self._passed = threading.local()

    def __enter__(self) -> FeatureTap:
        self._handle = self._level.register_forward_hook(self._keep)
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.remove()

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor | Sequence[Tensor]) -> None:
        self._passed.maps = output if isinstance(output, Tensor) else output[max(len(output) - 2, 0)]

    def take(self, images: Tensor) -> Tensor:
        """Features float32 (B, D) of the images (B, C, H, W) that passed last in this thread: means over what
        has data.

        Pixels without data are 0 in every channel, as `Bands.normalise` leaves them; an image without any
        other pixel is averaged as a whole.
        """
        maps: Tensor = self._passed.maps.float()
        del self._passed.maps
        known = (images != 0).any(1, keepdim=True).float()
        weights = F.adaptive_avg_pool2d(known, (maps.shape[2], maps.shape[3]))
        total = weights.sum((2, 3), keepdim=True)
        weights = weights.where(total > 0, weights.new_ones(()))
        return (maps * weights).sum((2, 3)) / weights.sum((2, 3))


def has_features(network: nn.Module) -> bool:
    """Whether a `FeatureTap` can listen to the network."""
    return _level(network) is not None


def _level(network: nn.Module) -> nn.Module | None:
    """The module whose output is the map, or the list of all maps."""
    if isinstance(network, EnsembleNetwork):
        return _level(network.members[0])
    encoder = getattr(network, "encoder", None)
    if type(encoder) is nn.ModuleList:  # never called itself
        return encoder[max(len(encoder) - 2, 0)] if len(encoder) else None
    return encoder if isinstance(encoder, nn.Module) else None
