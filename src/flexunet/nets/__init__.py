"""Networks: images (B, C, H, W) float32 to logits (B, K, H, W), any height and width."""

from .build import build_network, probabilities
from .flexunet import FlexUNet
from .keras_weights import KerasModel, load_keras_weights
from .resunet import ResUNet

__all__ = ["FlexUNet", "KerasModel", "ResUNet", "build_network", "load_keras_weights", "probabilities"]
