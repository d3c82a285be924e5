"""One sample made of two augmented ones: MixUp, CutMix, ClassMix, Copy-Paste."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..config.augmentation import MixConfig
from ..data import Drawn, Mixed
from .values import Image

Labels = NDArray[np.uint8]

_EDGE_SIGMA = 1.0  # pixels over which a pasted object fades into its new surroundings
_CONNECTIVITY = 8


class SampleMixer:
    """Mixes samples as often as a config says; a `Mixer` of the loader.

    What is ignored or missing stays so, in whichever of the two pictures it is seen.
    """

    def __init__(self, config: MixConfig, background: int | None = 0) -> None:
        self.config, self.background = config, background

    def __call__(
        self, image: Image, labels: Labels, other: Callable[[], Drawn], rng: np.random.Generator
    ) -> Mixed:
        """See `data.Mixer`. One number is drawn where nothing happens."""
        kind = rng.random()
        for name in ("mixup", "cutmix", "classmix", "copy_paste"):
            kind -= getattr(self.config, name)
            if kind < 0:
                break
        else:
            return Mixed(image, labels)
        second, second_labels = other()
        if name == "mixup":
            return mixup(image, labels, second, second_labels, rng.beta(self.config.alpha, self.config.alpha))
        mask: NDArray[np.bool_] | None
        if name == "cutmix":
            mask = draw_rectangle((labels.shape[0], labels.shape[1]), rng)
        elif name == "classmix":
            mask = draw_classes(second_labels, rng)
        else:
            mask = draw_objects(second_labels, self.background, rng)
        if mask is None:
            return Mixed(image, labels)
        return pasted(image, labels, second, second_labels, mask, soft=name == "copy_paste")


def mixup(image: Image, labels: Labels, second: Image, second_labels: Labels, share: float) -> Mixed:
    """share * one + (1 - share) * other; the one that counts for more comes first in the labels.

    Zhang et al. 2018, section 2. A pixel that is ignored in one of them is ignored.
    """
    if share < 0.5:
        image, labels, second, second_labels, share = second, second_labels, image, labels, 1 - share
    both = np.asarray(cv2.addWeighted(image, share, second, 1 - share, 0.0), np.float32).reshape(image.shape)
    ignored = (labels == IGNORE_INDEX) | (second_labels == IGNORE_INDEX)
    nothing = ignored & ((image == 0).all(0) | (second == 0).all(0))
    np.copyto(both, 0, where=nothing)
    known, others = (np.where(ignored, np.uint8(IGNORE_INDEX), each) for each in (labels, second_labels))
    return Mixed(both, known, others, share)


def draw_rectangle(size_hw: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A rectangle of the frame's shape, bool (H, W), whose area is uniform before it is cut off at the edge.

    Yun et al. 2019, section 3.1, with their alpha of 1.
    """
    area, centre_x, centre_y = rng.random(3)
    mask = np.zeros(size_hw, np.bool_)
    spans = []
    for length, centre in zip(size_hw, (centre_y, centre_x), strict=True):
        half = math.sqrt(area) * length / 2
        spans.append(slice(max(0, round(centre * length - half)), max(0, round(centre * length + half))))
    mask[spans[0], spans[1]] = True
    return mask


def draw_classes(labels: Labels, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """Where half of the classes present are, rounded down, bool (H, W); None where there is one class.

    Olsson et al. 2021, algorithm 1, with the true labels.
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:IGNORE_INDEX])
    if len(present) < 2:
        return None
    chosen = np.zeros(256, np.bool_)
    chosen[rng.permutation(present)[: len(present) // 2]] = True
    return chosen[labels]


def draw_objects(
    labels: Labels, background: int | None, rng: np.random.Generator
) -> NDArray[np.bool_] | None:
    """Connected regions of everything but background, each with probability one half and at least one.

    bool (H, W), or None where there is no object. Ghiasi et al. 2021, section 3.
    """
    objects = labels != IGNORE_INDEX
    if background is not None:
        objects &= labels != background
    count, numbers = cv2.connectedComponents(objects.view(np.uint8), connectivity=_CONNECTIVITY)
    if count < 2:
        return None
    chosen = np.concatenate([[False], rng.random(count - 1) < 0.5])
    chosen[1 + int(rng.integers(count - 1))] = True
    return np.asarray(chosen[numbers], np.bool_)


def pasted(
    image: Image,
    labels: Labels,
    second: Image,
    second_labels: Labels,
    mask: NDArray[np.bool_],
    *,
    soft: bool = False,
) -> Mixed:
    """The other sample where `mask`, bool (H, W), is True; `soft` blends the images across its edge."""
    out_labels = np.where(mask, second_labels, labels)
    if not soft:
        return Mixed(np.where(mask, second, image), out_labels)
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE_SIGMA)
    blended = image + weight * (second - image)
    np.copyto(blended, 0, where=((image == 0).all(0) & ~mask) | ((second == 0).all(0) & mask))
    return Mixed(np.asarray(blended, np.float32), out_labels)
