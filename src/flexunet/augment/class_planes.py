"""Labels as one weight plane a class, so that a warp can interpolate them.

A label taken from the nearest pixel lies up to half a pixel beside its image, along a slow distortion all in
the same direction. The class with the largest bilinear weight has its outline where the image has it. Two
classes need one plane of bytes, which travels with the bands of an 8-bit image at hardly any cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

_MOST_CLASSES = 16
_WHOLE, _HALF = 255, 127


@dataclass(frozen=True)
class ClassPlanes:
    """The labels that occur, in order, and the weights 0 to 255 of all but the first, uint8 (h, w) each."""

    values: tuple[int, ...]
    planes: tuple[Plane, ...]

    def labels(self, moved: list[Plane], size_hw: tuple[int, int]) -> Plane:
        """uint8 `size_hw`: the label with the largest weight in the `moved` planes; the lower on a tie."""
        if not moved:
            return np.full(size_hw, self.values[0], np.uint8)
        if len(moved) == 1:
            first, second = self.values
            more = as_mask(moved[0]).view(np.uint8)
            return more if self.values == (0, 1) else np.where(more, np.uint8(second), np.uint8(first))
        total = moved[0]
        for plane in moved[1:]:
            total = np.asarray(cv2.add(total, plane), np.uint8)
        largest = np.asarray(cv2.bitwise_not(total), np.uint8)
        labels = np.full(size_hw, self.values[0], np.uint8)
        for value, plane in zip(self.values[1:], moved, strict=True):
            labels[plane > largest] = value
            largest = np.asarray(cv2.max(largest, plane), np.uint8)
        return labels


def class_planes(labels: NDArray[np.uint8]) -> ClassPlanes | None:
    """Weight planes of labels uint8 (h, w), whatever their values; None where there are too many classes."""
    low, high, _, _ = cv2.minMaxLoc(labels)
    values = (int(low), int(high)) if high - low <= 1 else tuple(_occurring(labels))
    if values[0] == values[-1]:
        return ClassPlanes(values[:1], ())
    if len(values) > _MOST_CLASSES:
        return None
    planes = tuple(as_plane(labels == value) for value in values[1:])
    return ClassPlanes(values, planes)


def as_plane(mask: NDArray[np.bool_]) -> Plane:
    """A mask as weights."""
    return np.ascontiguousarray(mask).view(np.uint8) * np.uint8(_WHOLE)


def as_mask(plane: Plane) -> NDArray[np.bool_]:
    """Where the weight is more than half."""
    return plane > _HALF


def _occurring(labels: NDArray[np.uint8]) -> list[int]:
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])
    return [int(value) for value in np.flatnonzero(counts)]
