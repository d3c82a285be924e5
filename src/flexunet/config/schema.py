"""What a run is: one frozen model a section; the description of a field is its help.

Both dialects (native TOML, the reference's INI) produce `Config`; nothing behind this room knows which one
was used. Paths are absolute once a config is loaded (relative ones count from the config file's folder).
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..classes import Classes, Colour
from .augmentation import AugmentConfig
from .section import Positive, Section, Share

# ---------------------------------------------------------------------------------------------------- data


class ClassConfig(Section):
    """One class; its position in `data.classes` is its label, the first one is the background."""

    name: str
    """Name shown in tables and pictures."""
    colour: Colour
    """RGB colour of the class, in colour masks and in everything that is drawn."""
    values: tuple[int, ...] | None = None
    """Grey or index values of this class in index masks; left out: the position of the class."""


class SplitConfig(Section):
    """Where the pictures and masks of one split lie; folders may hold `*` (one folder a match)."""

    images: tuple[Path, ...]
    """Folders of images."""
    masks: tuple[Path, ...] = ()
    """Folders of masks."""
    negatives: tuple[Path, ...] = ()
    """Folders of images without any object: no mask files, every pixel is background."""


class DataConfig(Section):
    """Images and masks."""

    root: Path | None = None
    """Dataset folder with {train,valid,test}/{images,masks} (and optionally negatives beside images)."""
    train: SplitConfig | None = None
    """Explicit folders of the training split, in place of `root`."""
    valid: SplitConfig | None = None
    """Explicit folders of the validation split, in place of `root`."""
    test: SplitConfig | None = None
    """Explicit folders of the test split, in place of `root`."""
    folds: Path | None = None
    """Table of folds (id, group, fold) that `train --folds` writes: it divides train and valid anew."""
    fold: Positive | None = None
    """The fold of the table that is validated on; all others are trained on."""

    classes: tuple[ClassConfig, ...] = (
        ClassConfig(name="background", colour=(0, 0, 0)),
        ClassConfig(name="landslide", colour=(255, 255, 0)),
    )
    """The classes in order; the first one is the background."""
    mask_encoding: Literal["auto", "colours", "index", "threshold", "onehot"] = "auto"
    """How masks say the class: colours, index values, a grey threshold, one-hot .npz; or found per file."""
    mask_axes: Literal["HWC", "CHW"] = "HWC"
    """Axis order of one-hot masks."""
    threshold: int = 127
    """`threshold` encoding: grey values above it are class 1."""
    invert_masks: bool = False
    """`threshold` encoding: grey values up to the threshold are class 1 instead."""
    ignore_value: int | None = None
    """Mask value that counts neither in the loss nor in any score."""
    ignore_colour: Colour | None = None
    """Mask colour that counts neither in the loss nor in any score."""
    off_map_tolerance: Share = 0.02
    """Largest share of a mask's pixels that may lie far from every class colour (blended edges)."""
    mask_size: Literal["error", "resize"] = "error"
    """What to do with a mask of another size than its image: refuse, or resize with nearest neighbour."""

    image_pattern: str | None = None
    """Regular expression on image stems; its groups are the pairing key where the masks' names differ."""
    mask_pattern: str | None = None
    """Regular expression on mask stems; its groups are the pairing key."""
    on_orphan: Literal["error", "skip"] = "error"
    """What to do with an image without mask or a mask without image."""
    on_damaged: Literal["error", "skip"] = "error"
    """What to do with a file that cannot be decoded in full."""

    bands: tuple[int, ...] | None = None
    """Bands to use, counted from 1; left out: all of them."""
    band_names: tuple[str, ...] | None = None
    """Names of the bands in use, kept in the model file."""
    channels: Positive | None = None
    """Channels every image is brought to (grey is repeated to 3, alpha is nodata); left out: as found."""
    nodata: float | None = None
    """Value of missing pixels where files declare none; NaN, infinities and ±3.4e38 are always missing."""
    alpha: Literal["nodata", "ignore"] = "nodata"
    """Transparent pixels are missing data, or alpha is dropped."""
    exif_orientation: Literal["apply", "ignore"] = "apply"
    """Whether pictures are turned as their EXIF orientation tag says."""
    normalisation: Literal["statistics", "scale255", "none"] = "statistics"
    """Band mean and standard deviation of the training split; division by 255; or raw values."""

    size: tuple[Positive, Positive] = (256, 256)
    """Height and width that the network is trained at, in pixels."""
    sizing: Literal["resize", "fit", "crop"] = "resize"
    """How a picture gets there: squeezed; aspect kept and padded (padding is ignored); or random crops."""
    cache_dir: Path | None = None
    """Where decoded images are kept; left out: `.flexunet-cache` beside the images."""

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        self.class_table()
        if (self.folds is None) != (self.fold is None):
            raise ValueError("folds and fold are given together or not at all")
        if (self.image_pattern is None) != (self.mask_pattern is None):
            raise ValueError("image_pattern and mask_pattern are given together or not at all")
        if self.bands is not None and self.band_names is not None and len(self.bands) != len(self.band_names):
            raise ValueError(f"{len(self.bands)} bands but {len(self.band_names)} band_names")
        return self

    def class_table(self) -> Classes:
        """The classes as one value."""
        return Classes(
            names=tuple(item.name for item in self.classes),
            colours=tuple(item.colour for item in self.classes),
        )


# --------------------------------------------------------------------------------------------------- model

Activation = Literal[
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "swish", "silu", "mish", "softplus", "softsign",
    "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear",
]  # fmt: skip


ENCODERS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""The classifiers that `encoder-unet` can be built on."""


class FlexUNetConfig(Section):
    """The reference's network: a U-Net of free depth, width and kernel size."""

    architecture: Literal["flexunet"] = "flexunet"
    """Which network."""
    base_filters: Positive = 16
    """Filters of the first level; every level doubles them."""
    base_kernels: tuple[Positive, Positive] = (3, 3)
    """Kernel of the first level; it shrinks by 2 a level down to 3."""
    num_layers: Annotated[int, Field(ge=2)] = 6
    """Levels including the bridge."""
    dropout_rate: Share = 0.05
    """Dropout of level i is i times this."""
    dilation: tuple[Positive, Positive] = (1, 1)
    """Dilation of the first level; it shrinks by 1 a level down to 1."""
    normalization: bool = False
    """Batch normalisation after the activation."""
    activation: Activation = "relu"
    """Activation of every convolution, by its Keras name."""
    sigmoid: bool = False
    """One output channel with a sigmoid in place of two with a softmax (two classes only)."""

    @model_validator(mode="after")
    def _dropout_below_one(self) -> FlexUNetConfig:
        deepest = self.dropout_rate * (self.num_layers - 1)
        if deepest >= 1:
            raise ValueError(
                f"dropout_rate {self.dropout_rate} times {self.num_layers - 1} levels is {deepest:g}, "
                f"it must stay below 1"
            )
        return self


class ResUNetConfig(Section):
    """Our own U-Net: residual blocks, batch norm before the activation, capped widths, a strided stem."""

    architecture: Literal["resunet"] = "resunet"
    """Which network."""
    widths: tuple[Positive, ...] = (24, 32, 64, 128, 192, 256)
    """Channels of each level, from half the input's resolution down."""
    depths: tuple[Positive, ...] = (1, 2, 2, 2, 1)
    """Residual blocks of each level below the stem."""
    dropout_rate: Share = 0.0
    """Channel dropout before the head."""
    activation: Activation = "relu"
    """Activation of every block."""

    @model_validator(mode="after")
    def _one_depth_a_level(self) -> ResUNetConfig:
        if len(self.depths) != len(self.widths) - 1:
            raise ValueError(
                f"{len(self.widths)} widths need {len(self.widths) - 1} depths, not {len(self.depths)}"
            )
        return self


class EncoderUNetConfig(Section):
    """A U-Net on an image classifier that knows ImageNet already."""

    architecture: Literal["encoder-unet"] = "encoder-unet"
    """Which network."""
    encoder: str = "efficientnet_lite0"
    """The way down: efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, or timm:NAME."""
    weights: Literal["imagenet", "random"] = "imagenet"
    """What training starts the encoder from."""
    decoder_widths: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=4)] = (128, 64, 48, 32)
    """Channels on the way up, the last at 1/2 of the input's resolution; with fewer than four the encoder's
    deepest levels are left out.
    """
    dropout_rate: Share = 0.0
    """Channel dropout before the head."""

    @model_validator(mode="after")
    def _known_encoder(self) -> EncoderUNetConfig:
        if self.encoder not in ENCODERS and not self.encoder.startswith("timm:"):
            near = get_close_matches(self.encoder.lower(), ENCODERS, 1, 0.4)
            meant = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"unknown encoder {self.encoder!r}, known are {', '.join(ENCODERS)} and timm:NAME{meant}"
            )
        return self


ModelConfig = Annotated[
    FlexUNetConfig | ResUNetConfig | EncoderUNetConfig, Field(discriminator="architecture")
]

# --------------------------------------------------------------------------------------------------- train

Precision = Annotated[
    Literal["auto", "32", "bf16", "fp16"],
    BeforeValidator(lambda value: str(value) if type(value) is int else value),  # 32 without quotes
]

LossName = Literal[
    "categorical_crossentropy", "binary_crossentropy", "dice", "focal", "tversky", "lovasz",
    "dice_loss_multiclass", "dice_loss", "bce_dice_loss", "jacard_loss", "iou_loss", "bce_iou_loss",
    "ssim_loss", "basnet_hybrid_loss",
]  # fmt: skip


class LossTerm(Section):
    """One term of a weighted sum of losses."""

    name: LossName
    """Which loss."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its weight in the sum."""


class TrainConfig(Section):
    """The training loop."""

    epochs: Positive = 50
    """Largest number of passes over the training split."""
    budget_minutes: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock budget; a probe turns it into a number of epochs, in place of `epochs`."""
    batch_size: Positive = 16
    """Samples a step and process; the global batch is this times processes times `accumulate`."""
    accumulate: Positive = 1
    """Batches whose gradients are added up before a step."""
    steps_per_epoch: Positive | None = None
    """Steps that make an epoch; left out: one pass over the training split."""
    validation_steps: Positive | None = None
    """Batches of validation an epoch; left out: the whole validation split."""
    seed: Annotated[int, Field(ge=0)] = 137
    """Seed of weights, order, augmentation and dropout."""

    loss: tuple[LossTerm, ...] = (LossTerm(name="categorical_crossentropy"), LossTerm(name="dice"))
    """Weighted sum of losses."""
    class_weights: Literal["none", "auto"] | tuple[float, ...] = "none"
    """Weight of each class in the cross-entropy: given, or from its frequency."""

    teacher: Path | None = None
    """Model file (an ensemble, say) whose probabilities are learned beside the truth."""
    teacher_weight: Share = 0.5
    """Part of the loss that comes from the teacher; the rest comes from the masks."""
    teacher_temperature: Annotated[float, Field(gt=0)] = 2.0
    """How much the probabilities of both are softened; 1: not at all."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    """Optimiser."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Peak learning rate."""
    encoder_rate: Annotated[float, Field(gt=0)] = 0.2
    """Factor on the learning rate of an encoder that starts from learned weights."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Weight decay of kernels (never of biases or norms); without effect for `adam`."""
    momentum: Share = 0.9
    """Momentum of `sgd`."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    """Epsilon of Adam and AdamW."""
    clip_value: Annotated[float, Field(gt=0)] | None = None
    """Each gradient element is clipped to plus or minus this."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 5.0
    """The gradient's global norm is clipped to this."""
    schedule: Literal["constant", "plateau", "cosine", "onecycle"] = "onecycle"
    """Course of the learning rate."""
    warmup: Share = 0.15
    """Share of all steps in which cosine and one-cycle climb to the peak."""
    reducer_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """`plateau`: factor on the rate after `reducer_patience` epochs without a lower validation loss."""
    reducer_patience: Positive = 4
    """`plateau`: epochs without improvement that are waited for."""
    patience: Positive | None = None
    """Stop after this many epochs without improvement of `monitor`; left out: never."""
    monitor: Literal["val_loss", "val_iou"] = "val_iou"
    """What decides which epoch is best: validation loss (least) or mean foreground IoU (largest)."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the moving average of the weights that is validated and saved; 0: off."""

    devices: Positive | Literal["auto"] = 1
    """Processes (GPUs, or CPU processes) on this machine."""
    num_nodes: Positive = 1
    """Machines, under torchrun or SLURM."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    precision: Precision = "auto"
    """Mixed precision; `auto` takes bf16 where the hardware has the instructions."""
    channels_last: bool = True
    """Memory layout of the network: channels last."""
    compile: bool = False
    """Compile the network with torch.compile."""
    threads: Positive | None = None
    """CPU threads of each process; left out: all cores."""
    num_workers: Annotated[int, Field(ge=0)] = 1
    """Threads that prepare batches ahead."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 2.0
    """The resumable state is saved at every epoch's end and this often within."""

    epoch_pictures: Annotated[int, Field(ge=0)] = 6
    """Images predicted and drawn after each epoch."""
    epoch_pictures_images: Path | None = None
    """Folder of these images; left out: the validation split."""
    epoch_pictures_whole: bool = True
    """Draw the prediction of the whole image."""
    epoch_pictures_tiled: bool = False
    """Draw the tiled prediction."""
    calibrate: bool | None = None
    """Fit temperature and threshold on validation at the end; left out: yes, but for the reference's
    configs."""

    @model_validator(mode="after")
    def _rates(self) -> TrainConfig:
        if not self.loss:
            raise ValueError("loss: at least one term is needed")
        return self


# ------------------------------------------------------------------------------------ predict and evaluate


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


Quality = Literal["quick", "good", "best"]


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
    def _one_story(self) -> Config:
        model = self.model
        if isinstance(model, FlexUNetConfig) and model.sigmoid and len(self.data.classes) != 2:
            raise ValueError(f"model.sigmoid is for two classes; data.classes names {len(self.data.classes)}")
        weights = self.train.class_weights
        if isinstance(weights, tuple) and len(weights) != len(self.data.classes):
            raise ValueError(
                f"train.class_weights has {len(weights)} numbers for {len(self.data.classes)} classes"
            )
        return self
