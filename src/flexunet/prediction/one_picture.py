"""One picture: its windows through the network in batches, their results joined to classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..raster import Picture
from .blending import blend
from .decision import Decision
from .framing import Framing


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one picture."""

    picture: Picture
    labels: NDArray[np.uint8]
    """Classes uint8 (H, W); pixels without data are background. The last of `Predictor.classes` is `unsure`
    where that was asked for."""
    probabilities: NDArray[np.float32] | None
    """float32 (K, H, W), 0 to 1, calibrated where the model file has a calibration; if asked for."""
    distance: float | None = None
    """From the pictures of training, 1 = as far as the farthest twentieth of the held-out ones; the mean over
    the pixels with data. None: the model file does not know."""
    applicability: float | None = None
    """0 to 1, the share of held-out pictures of the training region that are at least as far."""


def join(
    picture: Picture, framing: Framing, outputs: Iterator[Tensor], decision: Decision, *, keep: bool
) -> Prediction:
    """The prediction of `picture` from what the network says of each of its windows, (K, h, w).

    `keep`: whether the probabilities are kept.
    """
    shape = picture.valid.shape
    labels = np.empty(shape, np.uint8)
    kept: NDArray[np.float32] | None = None
    distance, pixels = 0.0, 0
    tiles = (
        framing.leave(output, window.shape)
        for window, output in zip(framing.grid, outputs, strict=False)  # other pictures' come behind
    )
    for row, planes in blend(framing.grid, tiles):
        rows = slice(row, row + planes.shape[1])
        decided = decision.of(planes, probabilities=keep)
        labels[rows] = decided.labels
        if decision.familiar is not None:
            seen = planes[-1][picture.valid[rows]] if picture.valid.any() else planes[-1]
            distance, pixels = distance + float(seen.sum(dtype=np.float64)), pixels + seen.size
        if keep:
            strip = decided.probabilities
            assert strip is not None
            if strip.shape[1:] == shape:
                kept = strip
            else:
                kept = np.empty((len(strip), *shape), np.float32) if kept is None else kept
                kept[:, rows] = strip
    if not picture.valid.all():
        labels[~picture.valid] = decision.classes.background or 0
    if decision.familiar is None:
        return Prediction(picture, labels, kept)
    mean = distance / pixels
    return Prediction(picture, labels, kept, mean, float(decision.familiar.value(mean)))


def told(
    outputs: Iterator[Tensor], most: int, progress: Callable[[int, int], None] | None
) -> Iterator[Tensor]:
    """The same outputs; `progress` gets how many have come, and `most`."""
    for done, output in enumerate(outputs, 1):
        if progress is not None:
            progress(done, most)
        yield output


def in_batches(
    call: Callable[[Tensor], Tensor], inputs: Iterable[NDArray[np.float32]], batch_size: int
) -> Iterator[Tensor]:
    """`call` on neighbours of one shape together: inputs (C, H, W) to outputs (K, H, W), in their order."""
    batch: list[Tensor] = []
    for array in inputs:
        image = torch.from_numpy(array)
        if batch and (len(batch) >= batch_size or image.shape != batch[0].shape):
            yield from call(torch.stack(batch))
            batch = []
        batch.append(image)
    if batch:
        yield from call(torch.stack(batch))
