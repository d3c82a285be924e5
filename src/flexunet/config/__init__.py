"""What a run is: schema, the native TOML, the reference's INI dialect."""

from .schema import (
    AugmentConfig,
    ClassConfig,
    Config,
    DataConfig,
    EvaluateConfig,
    FlexUNetConfig,
    ModelConfig,
    OutputConfig,
    PredictConfig,
    ResUNetConfig,
    SplitConfig,
    TrainConfig,
)

__all__ = [
    "AugmentConfig",
    "ClassConfig",
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "FlexUNetConfig",
    "ModelConfig",
    "OutputConfig",
    "PredictConfig",
    "ResUNetConfig",
    "SplitConfig",
    "TrainConfig",
]
