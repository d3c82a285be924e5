"""Networks: images (B, C, H, W) float32 to logits (B, K, H, W), any height and width."""

from .build import build_network, probabilities
from .flexunet import FlexUNet
from .resunet import ResUNet

__all__ = ["FlexUNet", "ResUNet", "build_network", "probabilities"]
