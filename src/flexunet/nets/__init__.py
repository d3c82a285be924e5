"""Networks: images (B, C, H, W) float32 to logits (B, K, H, W), any height and width."""

from .build import build_network, check_weights, colours_in_words, initial_network, probabilities
from .encoder_unet import EncoderUNet, learned_parameters
from .ensemble import EnsembleNetwork
from .features import FeatureTap, has_features
from .flexunet import FlexUNet
from .keras_weights import KerasModel, load_keras_weights
from .layers import LayerRow, Stage, layer_table, stages
from .memory import MemoryEstimate, memory_estimate
from .resunet import ResUNet
from .scaled import AS_IT_IS, Scale, seen_at
from .summary import NetworkSummary, summarise

__all__ = [
    "AS_IT_IS",
    "EncoderUNet",
    "EnsembleNetwork",
    "FeatureTap",
    "FlexUNet",
    "KerasModel",
    "LayerRow",
    "MemoryEstimate",
    "NetworkSummary",
    "ResUNet",
    "Scale",
    "Stage",
    "build_network",
    "check_weights",
    "colours_in_words",
    "has_features",
    "initial_network",
    "layer_table",
    "learned_parameters",
    "load_keras_weights",
    "memory_estimate",
    "probabilities",
    "seen_at",
    "stages",
    "summarise",
]
