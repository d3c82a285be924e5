"""What a run is: schema, the native TOML, the reference's INI dialect."""

from .augmentation import (
    AugmentConfig,
    BrighteningConfig,
    DeformationConfig,
    DistortionConfig,
    LensConfig,
    SharpeningConfig,
)
from .convert import convert_config
from .loading import Loaded, load_config, read_config
from .quality import at_quality
from .schema import (
    ClassConfig,
    Config,
    DataConfig,
    EncoderUNetConfig,
    EvaluateConfig,
    FlexUNetConfig,
    LossTerm,
    ModelConfig,
    OutputConfig,
    PredictConfig,
    ResUNetConfig,
    SplitConfig,
    TrainConfig,
)
from .writing import dump_toml

__all__ = [
    "AugmentConfig",
    "BrighteningConfig",
    "ClassConfig",
    "Config",
    "DataConfig",
    "DeformationConfig",
    "DistortionConfig",
    "EncoderUNetConfig",
    "EvaluateConfig",
    "FlexUNetConfig",
    "LensConfig",
    "Loaded",
    "LossTerm",
    "ModelConfig",
    "OutputConfig",
    "PredictConfig",
    "ResUNetConfig",
    "SharpeningConfig",
    "SplitConfig",
    "TrainConfig",
    "at_quality",
    "convert_config",
    "dump_toml",
    "load_config",
    "read_config",
]
