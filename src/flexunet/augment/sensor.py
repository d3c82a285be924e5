"""What optics, sensor and storage leave on a normalised image: blur, noise, JPEG artefacts, lost bands."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.augmentation import BandDropoutConfig, BlurConfig, JpegConfig, NoiseConfig
from .values import Image

_KERNEL_IN_SIGMAS = 2.5
_NOISE_VALUES = 2**18


def blur(image: Image, valid: NDArray[np.bool_] | None, config: BlurConfig, rng: np.random.Generator) -> None:
    """Gaussian blur of (C, H, W) in place, as often as drawn; what is missing weighs nothing."""
    happens, share = rng.random(2)
    if happens >= config.probability:
        return
    sigma = config.sigma[0] + share * (config.sigma[1] - config.sigma[0])
    size = 2 * max(1, round(_KERNEL_IN_SIGMAS * sigma)) + 1
    weight = None
    if valid is not None:
        weight = cv2.GaussianBlur(valid.astype(np.float32), (size, size), sigma)
        np.maximum(weight, np.float32(1e-3), out=weight)
    for band in image:
        if valid is not None:
            band[~valid] = 0
        cv2.GaussianBlur(band, (size, size), sigma, dst=band)
        if weight is not None:
            band /= weight


def add_noise(image: Image, config: NoiseConfig, rng: np.random.Generator) -> None:
    """Gaussian noise on (C, H, W) in place, as often as drawn.

    Each band takes a stretch of a fixed sequence of normal numbers, from a place that is drawn: a thirtieth
    of the time that drawing them all takes.
    """
    happens, share = rng.random(2)
    starts = rng.integers(0, _NOISE_VALUES, len(image)).tolist()
    if happens >= config.probability:
        return
    deviation = config.deviation[0] + share * (config.deviation[1] - config.deviation[0])
    bank = _noise()
    for band, start in zip(image, starts, strict=True):
        values, done = band.reshape(-1, 1), 0
        while done < len(values):
            piece = values[done : done + _NOISE_VALUES - start]
            cv2.scaleAdd(bank[start : start + len(piece)], deviation, piece, dst=piece)
            done, start = done + len(piece), 0


@lru_cache(maxsize=1)
def _noise() -> NDArray[np.float32]:
    """float32 (n, 1), the same in every process."""
    values = np.random.default_rng(0x0A15E).standard_normal((_NOISE_VALUES, 1), np.float32)
    values.setflags(write=False)
    return values


def compress(
    image: Image,
    config: JpegConfig,
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """What JPEG changes, added to (C, H, W) in place, as often as drawn.

    Bands are brought to 8 bit between `low` and `high` (C,), threes as the colours of a picture, the rest as
    grey ones. Only the difference that compression makes is brought back, so that values beyond the limits
    and finer than a 255th of them stay.
    """
    happens, share = rng.random(2)
    if happens >= config.probability:
        return
    quality = round(config.quality[0] + share * (config.quality[1] - config.quality[0]))
    threes = len(image) // 3 * 3
    for bands in [
        *(range(first, first + 3) for first in range(0, threes, 3)),
        *([b] for b in range(threes, len(image))),
    ]:
        steps = [float(high[band] - low[band]) / 255 for band in bands]
        before = [
            _as_bytes(image[band], float(low[band]), step) for band, step in zip(bands, steps, strict=True)
        ]
        after = _through_jpeg(before, quality)
        for band, step, was, now in zip(bands, steps, before, after, strict=True):
            cv2.scaleAdd(np.subtract(now, was, dtype=np.float32), step, image[band], dst=image[band])


def _as_bytes(band: Image, low: float, step: float) -> NDArray[np.uint8]:
    scaled = cv2.addWeighted(band, 1 / step, band, 0.0, -low / step, dtype=cv2.CV_8U)  # rounds and saturates
    return np.asarray(scaled, np.uint8)


def _through_jpeg(planes: list[NDArray[np.uint8]], quality: int) -> list[NDArray[np.uint8]]:
    """One grey plane, or red, green and blue."""
    colour = len(planes) == 3
    picture = cv2.merge(planes[::-1]) if colour else planes[0]  # OpenCV takes blue first
    done, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV has a JPEG encoder"
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE)
    assert decoded is not None, "what was just encoded can be decoded"
    return [np.asarray(p, np.uint8) for p in cv2.split(decoded)][::-1]


def drop_bands(image: Image, config: BandDropoutConfig, rng: np.random.Generator) -> None:
    """Set bands of (C, H, W) to 0, their mean, in place, as often as drawn; one is always left."""
    happens, share = rng.random(2)
    order = rng.permutation(len(image))
    most = min(config.most, len(image) - 1)
    if happens < config.probability and most > 0:
        image[order[: math.floor(share * most) + 1]] = 0
