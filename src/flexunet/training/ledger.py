"""The numbers of an epoch's batches, taken over all processes and read one batch late.

A batch's numbers are ready when the next one has been started: reading them then does not hold up a GPU. So a
loss that is not finite is found one batch late, before anything is saved.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DivergedError
from .losses import dice_coef, dice_coef_of_images
from .scored import Scored
from .state import Progress

SUMS = ("loss", "dice", "image_dice", "correct", "pixels", "images", "foreground")


@dataclass(frozen=True)
class _Entry:
    """One batch whose numbers (len(SUMS) + 2,) are on their way."""

    numbers: Tensor
    """Of all processes."""
    own: Tensor
    """Of this process."""
    step: int
    """The optimiser step it belongs to, counted from 1."""
    ids: tuple[str, ...]
    """Its samples in this process."""


class Ledger:
    """Adds batches up into `progress`, and says what the processes agreed on with them.

    stop_asked: a process was asked to stop. save_due: the time for a saved state within the epoch has come.
    """

    def __init__(self, progress: Progress, *, processes: int, save_every_seconds: float) -> None:
        self._progress, self._processes = progress, processes
        self._save_every = save_every_seconds
        self._pending: _Entry | None = None
        self._clock = self._saved = time.monotonic()
        self.stop_asked = self.save_due = False
        if progress.batch == 0:
            progress.sums, progress.seconds = dict.fromkeys(SUMS, 0.0), 0.0

    def enter(self, scored: Scored, loss: Tensor, ids: tuple[str, ...], *, step: int, stop: bool) -> None:
        """A batch of optimiser step `step` (from 1) is done; `stop`: this process was asked to stop.

        Raises:
            DivergedError: the loss of the batch before is not finite.
        """
        self.settle()
        due = time.monotonic() - self._saved > self._save_every
        numbers = own = batch_numbers(scored, loss, flags=(stop, due))
        if self._processes > 1:
            numbers = own.double()  # only here: Apple's GPUs have no float64, and never several processes
            torch.distributed.all_reduce(numbers)
        else:
            self.stop_asked = self.stop_asked or stop
        self._pending = _Entry(numbers, own, step, ids)
        now = time.monotonic()
        self._progress.seconds += now - self._clock
        self._clock = now

    def settle(self) -> None:
        """Read the last batch's numbers.

        Raises:
            DivergedError: its loss is not finite.
        """
        if self._pending is None:
            return
        entry, progress = self._pending, self._progress
        *numbers, stop, due = entry.numbers.tolist()
        if not math.isfinite(numbers[0]):
            raise DivergedError(
                f"The loss is not finite ({numbers[0]}) in epoch {progress.epoch + 1}, step {entry.step}, "
                f"samples {', '.join(self._suspects(entry))}. What was saved before is intact. Check these "
                f"files for wrong values, lower train.learning_rate, or set train.clip_norm."
            )
        for name, number in zip(SUMS, numbers, strict=True):
            progress.sums[name] += number
        self.stop_asked, self.save_due = self.stop_asked or stop > 0, self.save_due or due > 0
        self._pending = None

    def _suspects(self, entry: _Entry) -> list[str]:
        """The samples, of all processes, that a loss which is not finite may come from.

        A loss over the global batch is the same in every process; the mean probability of the true class is
        of a process's own images, and not a number where its logits are not finite.
        """
        own = dict(zip(SUMS, entry.own.tolist()[: len(SUMS)], strict=True))
        told = [(math.isfinite(own["image_dice"]), math.isfinite(own["loss"]), entry.ids)]
        if self._processes > 1:
            mine, told = told[0], told * self._processes
            torch.distributed.all_gather_object(told, mine)
        sources = [ids for logits_fine, _, ids in told if not logits_fine]
        sources = sources or [ids for _, loss_fine, ids in told if not loss_fine]
        return [name for ids in sources for name in ids]

    def saved(self) -> None:
        """A state was saved just now."""
        self._saved, self.save_due = time.monotonic(), False


@torch.no_grad()
def batch_numbers(scored: Scored, loss: Tensor, flags: tuple[bool, ...]) -> Tensor:
    """float32 (len(SUMS) + len(flags),): what a batch adds to the epoch's sums, then the flags as 0 and 1."""
    predicted = scored.logits.argmax(1)
    valid = scored.valid > 0
    return torch.stack([
        loss.detach().float() * len(scored.labels),
        dice_coef(scored) * len(scored.labels),
        dice_coef_of_images(scored).sum(),
        (predicted == scored.labels).sum(),
        valid.sum(),
        loss.new_tensor(float(len(scored.labels))),
        ((predicted > 0) & valid).sum(),
        *(loss.new_tensor(float(flag)) for flag in flags),
    ])  # fmt: skip
