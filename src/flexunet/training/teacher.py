"""Distillation: a network learns what another one, or an ensemble, says about the same picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..bands import Bands
from ..config import Config, TrainConfig
from ..modelfile import ModelRecord, load_model, require_bands, require_classes
from ..nets import probabilities
from .losses import weighted_sum
from .scored import Scored

Objective = Callable[[Scored, Tensor], Tensor]
"""(the student's logits and the labels, images (B, C, H, W) as the student saw them) -> loss."""


class Teacher(nn.Module):
    """A trained model as it sees a student's input: images (B, C, H, W) to probabilities (B, K, H, W).

    Student and teacher may normalise the same raw bands differently; pixels that are 0 in all bands are
    without data to both.
    """

    def __init__(self, network: nn.Module, record: ModelRecord, bands: Bands) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        ours = torch.tensor([bands.mean, bands.std])
        theirs = [torch.tensor([item.mean, item.std]) for item in record.inputs]
        # x' = (x std + mean - mean') / std', by channel, each (C, 1, 1)
        self._scales = [(ours[1] / item[1])[:, None, None] for item in theirs]
        self._shifts = [((ours[0] - item[0]) / item[1])[:, None, None] for item in theirs]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        self.network.eval()
        seen = (images != 0).any(1, keepdim=True)
        inputs = [
            torch.where(seen, images * scale.to(images) + shift.to(images), 0.0)
            for scale, shift in zip(self._scales, self._shifts, strict=True)
        ]
        return probabilities(self.network(torch.cat(inputs, 1)).float())


def open_teacher(config: Config, bands: Bands) -> Teacher | None:
    """The teacher that `train.teacher` names; None where there is none.

    Raises:
        ModelFileError: the model file cannot be used.
        ConfigError: it knows other classes or takes other bands than the student will.
    """
    path = config.train.teacher
    if path is None:
        return None
    model = load_model(path)
    check_teacher(config, path, model.record)
    require_bands(f"{path}, the teacher,", model.record, bands)
    return Teacher(model.network, model.record, bands)


def check_teacher(config: Config, path: Path, record: ModelRecord) -> None:
    """Refuse a teacher of other classes, before images are decoded.

    Raises:
        ConfigError: its classes are not those of the config.
    """
    require_classes(f"{path}, the teacher,", record, config.data.class_table())


def soft_cross_entropy(scored: Scored, taught: Tensor, temperature: float) -> Tensor:
    """Mean over labelled pixels of -T^2 sum_k q_k log p_k, p and q softened by the temperature T.

    Hinton et al. 2015, section 2: p = softmax(z / T); q_k is proportional to the teacher's
    probability to the power of 1 / T; T^2 keeps the gradients as large as those of the truth.

    taught: (B, K, H, W), the teacher's probabilities.
    """
    q = torch.softmax(taught.clamp_min(1e-12).log() / temperature, 1)
    log_p = torch.log_softmax(scored.logits / temperature, 1)
    of_pixel = -(q * log_p).sum(1) * scored.valid
    return scored.total(of_pixel.sum()) * temperature**2 / scored.count


def objective(train: TrainConfig, weights: Tensor | None, teacher: Teacher | None) -> Objective:
    """What training minimises: the configured losses on the truth, mixed with what the teacher says."""

    def on_truth(scored: Scored, images: Tensor) -> Tensor:
        return weighted_sum(train.loss, scored, weights)

    if teacher is None:
        return on_truth

    def taught(scored: Scored, images: Tensor) -> Tensor:
        soft = soft_cross_entropy(scored, teacher(images), train.teacher_temperature)
        return (1 - train.teacher_weight) * on_truth(scored, images) + train.teacher_weight * soft

    return taught
