"""The train section and the losses that it may sum."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .section import Contradiction, Positive, Section, Share

Precision = Annotated[
    Literal["auto", "32", "bf16", "fp16"],
    BeforeValidator(lambda value: str(value) if type(value) is int else value),  # 32 without quotes
]

AtLeast0 = Annotated[float, Field(ge=0)]

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
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 137
    """Seed of weights, order, augmentation and dropout."""

    loss: Annotated[tuple[LossTerm, ...], Field(min_length=1)] = (
        LossTerm(name="categorical_crossentropy"),
        LossTerm(name="dice"),
    )
    """Weighted sum of losses."""
    class_weights: Literal["none", "auto"] | tuple[AtLeast0, ...] = "none"
    """Weight of each class in the cross-entropy: given, or from its frequency."""

    start_from: Path | None = None
    """Model file whose network, weights and normalisation training starts from, in place of [model]."""
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

    def contradictions(self) -> Iterator[Contradiction]:
        """Some class has to count."""
        if isinstance(self.class_weights, tuple) and not any(self.class_weights):
            yield Contradiction((("class_weights",),), "class_weights are all 0; nothing would be learned")
