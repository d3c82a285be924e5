"""What a run is: one frozen model a section; the description of a field is its help.

Both dialects (native TOML, the reference's INI) produce `Config`; nothing behind this room knows which one
was used. Paths are absolute once a config is loaded (relative ones count from the config file's folder).
The large sections stand in files of their own and are handed on from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .augmentation import AugmentConfig
from .dataset import ClassConfig, DataConfig, SplitConfig
from .networks import (
    ENCODERS,
    Activation,
    EncoderUNetConfig,
    FlexUNetConfig,
    ModelConfig,
    ResUNetConfig,
)
from .recipes import Quality, fill_in
from .section import Contradiction, Positive, Section
from .training import LossName, LossTerm, Precision, TrainConfig

__all__ = [
    "ENCODERS",
    "Activation",
    "AugmentConfig",
    "ClassConfig",
    "Config",
    "DataConfig",
    "EncoderUNetConfig",
    "EvaluateConfig",
    "FlexUNetConfig",
    "LossName",
    "LossTerm",
    "ModelConfig",
    "OutputConfig",
    "Precision",
    "PredictConfig",
    "Quality",
    "ResUNetConfig",
    "SplitConfig",
    "TrainConfig",
]


class PredictConfig(Section):
    """Prediction; also the defaults that go into the model file."""

    images: Path | None = None
    """Folder or file that `flexunet predict CONFIG` takes when none is named."""
    out: Path | None = None
    """Folder that `flexunet predict CONFIG` writes to when none is named."""
    tiled_images: Path | None = None
    """Folder that `flexunet predict CONFIG --tiled` takes when none is named; left out: `images`."""
    tiled_out: Path | None = None
    """Folder that `flexunet predict CONFIG --tiled` writes to when none is named; left out: `out`."""
    tiling: Literal["auto", "whole", "tiled"] = "auto"
    """Whole image at once, tiles, or tiles where the image is much larger than the training size."""
    tile: Positive | None = None
    """Tile edge in pixels of the input image, halo not counted; left out: the training size less the halo."""
    halo: Annotated[int, Field(ge=0)] | None = None
    """Overlap on each side of a tile in pixels; left out: an eighth of the training size."""
    batch_size: Positive = 8
    """Images or tiles a forward pass."""
    tta: bool = False
    """Mean over the eight flips and quarter turns."""
    max_memory: str | None = None
    """Scenes: memory that the process keeps to, such as `2GB`; left out: moderate buffers."""
    strict: bool = False
    """Scenes: refuse another ground resolution or bands without names instead of adapting."""


class EvaluateConfig(Section):
    """Evaluation."""

    batch_size: Positive = 8
    """Images a forward pass."""
    tta: bool = False
    """Mean over the eight flips and quarter turns."""
    gallery: Annotated[int, Field(ge=0)] = 6
    """Worst and best images that are drawn, each."""
    metric: str | None = None
    """The reference's metric in `evaluation.csv`; left out: the first of `output.metrics` that it knows."""


class OutputConfig(Section):
    """Where the results of a run go."""

    dir: Path = Path("runs/run")
    """Run folder."""
    layout: Literal["native", "reference"] = "native"
    """All in the run folder, or the reference's names: models/, eval/, epoch_change_infer/, history.json."""
    model_dir: Path | None = None
    """`reference` layout: folder of the model and the config copy; left out: DIR/models."""
    eval_dir: Path | None = None
    """`reference` layout: folder of train_losses and train_metrics; left out: DIR/eval."""
    epoch_pictures_dir: Path | None = None
    """Folder of the epoch pictures; left out: DIR/epoch_change_infer."""
    epoch_pictures_tiled_dir: Path | None = None
    """Folder of the tiled epoch pictures; left out: DIR/epoch_change_tiled_infer."""
    metrics: tuple[str, ...] = ("dice_coef_multiclass", "val_dice_coef_multiclass")
    """`reference` layout: the log names written to train_metrics.csv."""


class Config(Section):
    """What a run is."""

    quality: Quality | None = None
    """One dial for network, input size, epochs, augmentation, rates, averaging and test-time augmentation:
    what is not written in the config follows from it. Left out: every option at its own default.
    """
    data: DataConfig = DataConfig()
    model: ModelConfig = ResUNetConfig()
    train: TrainConfig = TrainConfig()
    augment: AugmentConfig = AugmentConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    predict: PredictConfig = PredictConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _dialled(self) -> Self:
        """What `quality` stands for, in a config made in Python as in one that was read."""
        if self.quality is None:
            return self
        tree = self.model_dump(exclude_unset=True)
        if "model" in tree:
            tree["model"]["architecture"] = self.model.architecture
        if fill_in(tree):
            filled = type(self).model_validate(tree)
            for name in type(self).model_fields:
                object.__setattr__(self, name, getattr(filled, name))  # frozen for all but its making
        return self

    def contradictions(self) -> Iterator[Contradiction]:
        """Network and weights for as many classes as there are."""
        model, weights, classes = self.model, self.train.class_weights, len(self.data.classes)
        if isinstance(model, FlexUNetConfig) and model.sigmoid and classes != 2:
            yield Contradiction(
                (("model", "sigmoid"), ("data", "classes")),
                f"model.sigmoid is for two classes; data.classes names {classes}",
            )
        if isinstance(weights, tuple) and len(weights) != classes:
            yield Contradiction(
                (("train", "class_weights"), ("data", "classes")),
                f"train.class_weights has {len(weights)} numbers for {classes} classes",
            )
