"""The reference's two numbers: its loss and its metric, on pictures brought to the network's size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..config.schema import LossTerm
from ..errors import ConfigError
from ..metrics import REFERENCE_LOSSES, REFERENCE_METRICS

Probabilities = Callable[[Tensor], Tensor]

DEFAULT_LOSS = "categorical_crossentropy"
DEFAULT_METRIC = "dice_coef_multiclass"


class ReferenceNumbers:
    """Mean of loss and metric over batches weighted by their images, as Keras' `evaluate` has it."""

    def __init__(
        self,
        probabilities: Probabilities,
        *,
        loss: str = DEFAULT_LOSS,
        metric: str = DEFAULT_METRIC,
        batch_size: int = 8,
        one_channel: bool = False,
    ) -> None:
        """`probabilities`: images (B, C, H, W) to (B, K, H, W); `one_channel`: the network has one."""
        for what, name, table in (
            ("loss", loss, REFERENCE_LOSSES),
            ("metric", metric, REFERENCE_METRICS),
        ):
            if name not in table:
                raise ConfigError(f"the reference has no {what} {name!r}; it has {', '.join(sorted(table))}")
        self.loss, self.metric = loss, metric
        self._probabilities, self._batch_size, self._one_channel = probabilities, batch_size, one_channel
        self._waiting: list[tuple[NDArray[np.float32], NDArray[np.uint8]]] = []
        self._sums = {"loss": 0.0, "metric": 0.0}
        self._images = 0

    def add(self, image: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
        """One normalised image (C, H, W) with labels (H, W), both at the network's size."""
        self._waiting.append((image, labels))
        if len(self._waiting) == self._batch_size:
            self._run()

    def result(self) -> dict[str, Any]:
        """Names and values; None when no image was added."""
        if self._waiting:
            self._run()
        mean = {what: value / self._images if self._images else None for what, value in self._sums.items()}
        return {
            "loss": {"name": self.loss, "value": mean["loss"]},
            "metric": {"name": self.metric, "value": mean["metric"]},
            "images": self._images,
        }

    def _run(self) -> None:
        images, labels = (np.stack(column) for column in zip(*self._waiting, strict=True))
        self._waiting.clear()
        probabilities = self._probabilities(torch.from_numpy(images)).numpy()
        for what, name, table in (
            ("loss", self.loss, REFERENCE_LOSSES),
            ("metric", self.metric, REFERENCE_METRICS),
        ):
            # one-class models of the reference have one channel; a softmax loss has no meaning on it
            single = self._one_channel and name != DEFAULT_LOSS
            seen = probabilities[:, 1:] if single else probabilities
            self._sums[what] += table[name](seen, labels) * len(labels)
        self._images += len(labels)


def loss_name(terms: Sequence[LossTerm]) -> str:
    """The reference's name of a training loss; its default where the loss is none of the reference's."""
    return terms[0].name if len(terms) == 1 and terms[0].name in REFERENCE_LOSSES else DEFAULT_LOSS


def metric_name(names: Sequence[str | None]) -> str:
    """The first name that the reference knows as a metric, else its default."""
    plain = [name.removeprefix("val_") for name in names if name]
    return next((name for name in plain if name in REFERENCE_METRICS), DEFAULT_METRIC)
