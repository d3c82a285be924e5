"""What a loader hands to something that makes one sample of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mixed:
    """One sample, perhaps made of two."""

    image: NDArray[np.float32]
    """(C, H, W), normalised."""
    labels: NDArray[np.uint8]
    """(H, W) with IGNORE_INDEX."""
    others: NDArray[np.uint8] | None = None
    """The other picture's labels, where both are seen at once."""
    share: float = 1.0
    """What `labels` count for; `others` count for the rest."""


Drawn = tuple[NDArray[np.float32], NDArray[np.uint8]]
Mixer = Callable[[NDArray[np.float32], NDArray[np.uint8], Callable[[], Drawn], np.random.Generator], Mixed]
"""(image, labels, what draws another sample, generator) -> a sample that may be made of both; neither is
changed. Whether, how, and what the other one is all come from the generator."""


def stacked_others(samples: list[Mixed]) -> tuple[NDArray[Any], NDArray[np.float32]] | None:
    """Second labels uint8 (B, H, W) and shares of the first ones float32 (B,); None where none has any."""
    if all(sample.others is None for sample in samples):
        return None
    others = np.stack([sample.labels if sample.others is None else sample.others for sample in samples])
    return others, np.array([sample.share for sample in samples], np.float32)
