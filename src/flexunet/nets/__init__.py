"""Networks: images (B, C, H, W) float32 to logits (B, K, H, W), any height and width."""

from .build import build_network, probabilities
from .flexunet import FlexUNet
from .keras_weights import KerasModel, load_keras_weights
from .layers import LayerRow, Stage, layer_table, stages
from .memory import MemoryEstimate, memory_estimate
from .resunet import ResUNet
from .summary import NetworkSummary, summarise

__all__ = [
    "FlexUNet",
    "KerasModel",
    "LayerRow",
    "MemoryEstimate",
    "NetworkSummary",
    "ResUNet",
    "Stage",
    "build_network",
    "layer_table",
    "load_keras_weights",
    "memory_estimate",
    "probabilities",
    "stages",
    "summarise",
]
