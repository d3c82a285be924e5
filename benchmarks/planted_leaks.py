"""Leaks of every kind, made from real pictures: what people do to a picture before it lands in two splits.

Every function takes pixels uint8 (H, W, 3) and a generator, and returns a changed copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet.augment.displacement import Displacement, deformation, distortion, lens
from flexunet.config.augmentation import LensConfig

Pixels = NDArray[np.uint8]
Plant = Callable[[Pixels, np.random.Generator], Pixels]


def exact(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The very same pixels."""
    return image.copy()


def rescaled(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Half to twice the size."""
    return _resized(image, math.exp(rng.uniform(math.log(0.5), math.log(2))))


def squeezed(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Resized to 512 x 512 whatever the aspect, as the reference trains."""
    return np.asarray(cv2.resize(image, (512, 512), interpolation=cv2.INTER_LINEAR), np.uint8)


def flipped(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Mirrored left to right or upside down."""
    return np.ascontiguousarray(np.flip(image, int(rng.integers(2))))


def turned(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A quarter turn, a half or three quarters."""
    return np.ascontiguousarray(np.rot90(image, int(rng.integers(1, 4))))


def rotated(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Any angle about the middle, black outside."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(5, 355), 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8)


def shrunk(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The reference's shrink: 0.8 of the size, pasted into the middle of a plain picture."""
    small = _resized(image, 0.8)
    sheet = np.full_like(image, image[2, 2])
    top, left = (image.shape[0] - small.shape[0]) // 2, (image.shape[1] - small.shape[1]) // 2
    sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    return sheet


def sheared(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Sheared by up to 0.2."""
    height, width = image.shape[:2]
    slope = float(rng.choice([-1, 1]) * rng.uniform(0.08, 0.2))
    matrix = np.array([[1, 0, 0], [slope, 1, -slope * (width - 1) / 2]])
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8)


def distorted(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The reference's distortion of 0.01 to 0.03, at its size of at least 512."""
    large = _resized(image, max(1.0, 512 / min(image.shape[:2])))
    return _moved(large, distortion(large.shape[:2], float(rng.choice([0.01, 0.02, 0.03])), 40, rng))


def deformed(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The reference's elastic deformation (alpha 1300, sigma 8) at its size."""
    large = _resized(image, max(1.0, 512 / min(image.shape[:2])))
    return _moved(large, deformation(large.shape[:2], 1300, 8, rng))


def bulged(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The reference's barrel distortion (radius 0.3, amount 0.3) at one centre."""
    centre = float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7))
    return _moved(image, lens(image.shape[:2], LensConfig(radius=0.3, amount=0.3, centres=(centre,))))


def recoloured(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Gamma, gain and offset of each band, and less colour."""
    values = (image / 255.0) ** rng.uniform(0.6, 1.6)
    values = values * rng.uniform(0.7, 1.3, 3) + rng.uniform(-0.1, 0.1, 3)
    grey = values.mean(2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.3, 1.5)
    return np.asarray((values.clip(0, 1) * 255).round(), np.uint8)


def swapped(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Red and blue exchanged: written by one library, read by another."""
    return np.ascontiguousarray(image[..., ::-1])


def jpeg(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Through a JPEG of quality 40 to 80."""
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 81))])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def sharpened(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The reference's sharpening (k = 1), then its brightening (1.2, 10)."""
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 9
    sharp = cv2.filter2D(image, -1, kernel)
    return np.asarray(cv2.convertScaleAbs(sharp, alpha=1.2, beta=10), np.uint8)


def noisy(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Blurred a little, then noise of 8 grey values."""
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.2)).astype(np.float32)
    return np.asarray((soft + rng.normal(0, 8, image.shape)).clip(0, 255).round(), np.uint8)


def cut_shifted(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A crop of 60 to 80 % of each edge, not on whole pixels."""
    return _cut(image, rng, 0.6, 0.8)


def cut_small(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A crop of 45 to 60 % of each edge, enlarged to the size of the whole, recoloured."""
    part = _cut(image, rng, 0.45, 0.6)
    size = image.shape[1], image.shape[0]
    return recoloured(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8), rng)


def everything(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A crop, flipped, turned, distorted, recoloured and saved as JPEG."""
    part = turned(flipped(_cut(image, rng, 0.75, 0.9), rng), rng)
    moved = _moved(part, distortion(part.shape[:2], 0.01, min(part.shape[:2]) / 12, rng))
    return jpeg(recoloured(moved, rng), rng)


PLANTS: tuple[Plant, ...] = (
    exact, rescaled, squeezed, flipped, turned, rotated, shrunk, sheared, distorted, deformed, bulged,
    recoloured, swapped, jpeg, sharpened, noisy, cut_shifted, cut_small, everything,
)  # fmt: skip


def neighbouring_crops(image: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels, float]:
    """Two crops of one scene, each 65 % of either edge, and the share of one that is in the other.

    The second one is brought to another size, as when two people cut the same scene.
    """
    height, width = image.shape[:2]
    crop_h, crop_w = round(0.65 * height), round(0.65 * width)
    free_h, free_w = height - crop_h, width - crop_w
    down, across = rng.uniform(0.3, 1) * free_h, rng.uniform(0.3, 1) * free_w
    if rng.random() < 0.5:
        first, second = (0, 0), (round(down), round(across))
    else:
        first, second = (0, round(across)), (round(down), 0)
    one = image[first[0] : first[0] + crop_h, first[1] : first[1] + crop_w]
    other = image[second[0] : second[0] + crop_h, second[1] : second[1] + crop_w]
    share = (1 - abs(second[0] - first[0]) / crop_h) * (1 - abs(second[1] - first[1]) / crop_w)
    return np.ascontiguousarray(one), _resized(other, rng.uniform(0.8, 1.3)), share


def _resized(image: Pixels, factor: float) -> Pixels:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = max(8, round(image.shape[1] * factor)), max(8, round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def _moved(image: Pixels, displacement: Displacement) -> Pixels:
    rows, columns = np.indices(image.shape[:2], np.float32)
    return np.asarray(
        cv2.remap(image, columns + displacement[..., 0], rows + displacement[..., 1], cv2.INTER_LINEAR),
        np.uint8,
    )


def _cut(image: Pixels, rng: np.random.Generator, least: float, most: float) -> Pixels:
    height, width = image.shape[:2]
    size = round(rng.uniform(least, most) * width), round(rng.uniform(least, most) * height)
    x = rng.uniform(size[0] / 2, width - size[0] / 2) - 0.5
    y = rng.uniform(size[1] / 2, height - size[1] / 2) - 0.5
    return np.asarray(cv2.getRectSubPix(image, size, (x, y)), np.uint8)
