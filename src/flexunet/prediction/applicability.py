"""How far what the network sees lies from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..metrics.applicability import FeatureCloud, share_at_least_as_far
from ..modelfile import Applicability
from ..modelfile.applicability import array_of
from .network_call import NetworkCall
from .tta import ProbabilitiesOf

FAR = 0.05
"""A picture is called far where no larger share of the held-out pictures is at least as far."""


@dataclass(frozen=True)
class Familiar:
    """The applicability of a model file, ready to use."""

    cloud: FeatureCloud
    unit: float
    known: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, record: Applicability) -> Familiar:
        """From what the model file says."""
        cloud = FeatureCloud(
            centre=array_of(record.centre),
            spread=array_of(record.spread),
            directions=array_of(record.directions).reshape(-1, record.channels),
            variances=np.asarray(record.variances),
            rest=record.rest,
        )
        return cls(cloud, record.unit, np.asarray(record.held_out), np.asarray(record.shares))

    def distance(self, features: ArrayLike) -> NDArray[np.float32]:
        """Distances (N,) of features (N, D); from 1 on as far as the farthest twentieth held out."""
        found: NDArray[np.float32] = (self.cloud.distance(features) / self.unit).astype(np.float32)
        return found

    def value(self, distance: ArrayLike) -> NDArray[np.float32]:
        """Applicability, 0 to 1, of distances of any shape: the share of the held-out pictures of the
        training region that are at least as far. 0: farther than all of them.
        """
        found = share_at_least_as_far(distance, self.known, self.shares)
        return np.asarray(found, np.float32)


def with_distance(
    probabilities_of: ProbabilitiesOf, call: NetworkCall, familiar: Familiar
) -> ProbabilitiesOf:
    """The same with one plane more, (B, K + 1, H, W): the distance of each image, everywhere alike.

    So tiles are blended, cut and resampled with their distance as with their probabilities. `call` is what
    `probabilities_of` shows the images to first, unturned.
    """

    def both(images: Tensor) -> Tensor:
        with call.listening() as heard:
            found = probabilities_of(images)
        features = torch.cat(heard)[: len(images)]
        plane = torch.from_numpy(familiar.distance(features.numpy())).view(-1, 1, 1, 1)
        return torch.cat([found, plane.expand(-1, 1, *found.shape[2:])], dim=1)

    return both
