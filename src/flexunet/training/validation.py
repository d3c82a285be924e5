"""One pass over the validation split: loss and scores at the network's size, the same for any number of
processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ..classes import IGNORE_INDEX
from ..config.schema import LossTerm
from ..data import Batch
from ..metrics import ConfusionMatrix
from .losses import dice_coef, dice_coef_of_images, weighted_sum
from .scored import Scored, across_processes


class Batches(Protocol):
    """What the loop needs of a loader: batches of any epoch, from any batch on."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch."""

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from `first_step` on."""


@dataclass(frozen=True)
class Validation:
    """Scores of one pass over the validation split."""

    loss: float
    dice_coef: float
    dice_coef_multiclass: float
    confusion: ConfusionMatrix


@torch.no_grad()
def validate(
    network: nn.Module,
    batches: Batches,
    num_classes: int,
    loss: Sequence[LossTerm],
    weights: Tensor | None,
    fabric: Fabric,
    *,
    most: int | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Validation | None:
    """Score `network` (in eval mode) on at most `most` batches; None when `go_on()` became False meanwhile.

    Loss and `dice_coef` are means over batches weighted by their images, as Keras reports them.
    """
    steps = batches.steps_per_epoch if most is None else min(most, batches.steps_per_epoch)
    if fabric.world_size > 1:
        fewest = torch.tensor(steps, device=fabric.device)
        torch.distributed.all_reduce(fewest, torch.distributed.ReduceOp.MAX)
        steps = int(fewest)
    cells = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=fabric.device)
    loss_sum, dice_sum, image_dice_sum, images = 0.0, 0.0, 0.0, 0.0
    stream = batches.epoch(0)
    for _ in range(steps):
        if fabric.world_size == 1 and not go_on():
            return None
        scored = _score(network, next(stream, None), num_classes, fabric)
        count = float(scored.images)
        loss_sum += float(weighted_sum(loss, scored, weights)) * count
        dice_sum += float(dice_coef(scored)) * count
        image_dice_sum += float(across_processes(dice_coef_of_images(scored).sum()))
        images += count
        cells += count_pixels(scored)
    cells = across_processes(cells)
    confusion = ConfusionMatrix(num_classes, cells.reshape(num_classes, num_classes).cpu().numpy())
    share = 1 / max(images, 1)
    return Validation(loss_sum * share, dice_sum * share, image_dice_sum * share, confusion)


def _score(network: nn.Module, batch: Batch | None, num_classes: int, fabric: Fabric) -> Scored:
    """The scored batch; a process that has run out of batches takes part with an empty one."""
    if batch is None:
        empty = torch.zeros((0, num_classes, 1, 1), device=fabric.device)
        return Scored(empty, torch.zeros((0, 1, 1), dtype=torch.int64, device=fabric.device))
    images = batch.images.to(fabric.device, memory_format=torch.channels_last)
    with fabric.autocast():
        logits = network(images)
    return Scored(logits, batch.labels.to(fabric.device))


def count_pixels(scored: Scored) -> Tensor:
    """int64 (K * K,): pixels by true class and predicted class, ignored pixels left out."""
    keep = scored.labels != IGNORE_INDEX
    predicted = scored.logits.argmax(1)
    cells = scored.labels[keep] * scored.num_classes + predicted[keep]
    return torch.bincount(cells, minlength=scored.num_classes**2)
