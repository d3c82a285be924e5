"""What a network needs in memory, found by running it on tensors without content."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..config.schema import ModelConfig
from .build import build_network

FLOAT = 4


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes in float32; Python and its libraries themselves (some 300 MB) are not in it."""

    batch_size: int
    weights: int
    training: int
    """Peak of a training step: weights, gradients, two moments of Adam, feature maps and their gradients."""
    prediction: int
    """Peak of a forward pass without gradients: weights and feature maps."""


def memory_estimate(
    model: ModelConfig, num_classes: int, input_shape: Sequence[int], batch_size: int
) -> MemoryEstimate:
    """Peak memory of a training step and of a prediction of `batch_size` images of `input_shape` (C, H, W).

    The network runs forwards and backwards on PyTorch's meta device: every tensor's life is followed, nothing
    is computed. Convolution libraries set aside copies in their own order, which cannot be seen: one tensor
    of the largest size is added for prediction, two for training. Measured on CPUs, a training step takes
    -2 to +19 % more than that.
    """
    with torch.device("meta"):
        network = build_network(model, input_shape[0], num_classes)
        images = torch.zeros(batch_size, *input_shape)
    weights = FLOAT * sum(tensor.numel() for tensor in network.state_dict().values())

    def train_step() -> None:
        logits = network.train()(images)
        labels = torch.zeros(logits.shape[0], *logits.shape[2:], dtype=torch.int64, device="meta")
        loss: Tensor = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]

    def predict() -> None:
        with torch.no_grad():
            torch.softmax(network.eval()(images), dim=1)

    image_bytes = FLOAT * images.numel()
    # the gradients of the weights are counted as they appear; Adam's two moments come on top
    step, forward = _follow(train_step), _follow(predict)
    training = 3 * weights + image_bytes + step.peak + 2 * step.largest
    return MemoryEstimate(
        batch_size, weights, training, weights + image_bytes + forward.peak + forward.largest
    )


def _follow(run: Callable[[], None]) -> _LiveBytes:
    live = _LiveBytes()
    with live:
        run()
    return live


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums up the storages that operations make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self.largest = 0
        self._alive: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {
            id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in known:
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        size = storage.nbytes()

        def freed(reference: Any) -> None:
            self._alive.discard(reference)
            self.now -= size

        self._alive.add(weakref.ref(storage, freed))
        self.now += size
        self.peak = max(self.peak, self.now)
        self.largest = max(self.largest, size)
