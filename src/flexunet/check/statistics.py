"""Numbers of each split: classes, objects, sizes, bands; and where the splits differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from .facts import BINS, Facts

SHIFT_EFFECT, SHIFT_Z = 0.5, 3.5
"""A band differs when the means of its pictures are this many deviations and standard errors apart."""


@dataclass(frozen=True)
class SplitNumbers:
    """What a split holds."""

    split: str
    images: int
    negatives: int
    """Pictures without mask."""
    empty: int
    """Masks without any foreground."""
    class_pixels: NDArray[np.int64]
    """(K,)"""
    class_images: NDArray[np.int64]
    """(K,): pictures that hold the class."""
    together: NDArray[np.int64]
    """(K, K): pictures that hold both classes."""
    ignored_pixels: int
    objects: dict[int, NDArray[np.int64]]
    """Areas in pixels by foreground class."""
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    object_counts: NDArray[np.int64]
    """Patches in each picture with foreground."""
    object_share: NDArray[np.float64]
    """Foreground share of each picture."""
    image_means: NDArray[np.float64]
    """(images, C)"""
    band_mean: NDArray[np.float64]
    band_std: NDArray[np.float64]
    band_low: NDArray[np.float64]
    band_high: NDArray[np.float64]
    missing: float
    """Share of all pixels."""


def numbers_of(split: str, facts: Sequence[Facts], classes: Classes) -> SplitNumbers:
    """Numbers of the members of one split; pictures of other bands count without their bands."""
    count = len(classes)
    pixels, images, ignored = np.zeros(count, np.int64), np.zeros(count, np.int64), 0
    together = np.zeros((count, count), np.int64)
    objects: dict[int, list[int]] = {label: [] for label in classes.foreground}
    counts, shares = [], []
    usable = [item for item in facts if item.class_pixels]
    for item in usable:
        held = np.array(item.class_pixels, np.int64)
        pixels += held
        images += held > 0
        together += np.outer(held > 0, held > 0)
        ignored += item.ignored_pixels
        foreground = int(held[list(classes.foreground)].sum())
        shares.append(foreground / max(1, int(held.sum())))
        if foreground:
            counts.append(len(item.objects))
        for label, area in item.objects:
            objects[label].append(area)
    bands = Counter(len(item.means) for item in facts).most_common(1)[0][0]
    alike = [item for item in facts if len(item.means) == bands and np.isfinite(item.means).all()]
    mean, std, low, high = _pooled(alike, bands)
    areas = np.array([item.size[0] * item.size[1] for item in facts], np.float64)
    return SplitNumbers(
        split=split,
        images=len(facts),
        negatives=sum(item.member.pair.mask is None for item in facts),
        empty=sum(
            item.member.pair.mask is not None and not sum(item.class_pixels[k] for k in classes.foreground)
            for item in usable
        ),
        class_pixels=pixels,
        class_images=images,
        together=together,
        ignored_pixels=ignored,
        objects={label: np.array(found, np.int64) for label, found in objects.items()},
        heights=np.array([item.size[0] for item in facts], np.int64),
        widths=np.array([item.size[1] for item in facts], np.int64),
        object_counts=np.array(counts, np.int64),
        object_share=np.array(shares, np.float64),
        image_means=np.array([item.means for item in alike], np.float64).reshape(len(alike), bands),
        band_mean=mean,
        band_std=std,
        band_low=low,
        band_high=high,
        missing=float((np.array([item.missing for item in facts]) * areas).sum() / areas.sum()),
    )


def _pooled(facts: Sequence[Facts], bands: int) -> tuple[NDArray[np.float64], ...]:
    """Mean, deviation, least and largest value of each band over all valid pixels."""
    if not facts:
        return tuple(np.full(bands, np.nan) for _ in range(4))
    weights = np.array([item.size[0] * item.size[1] * (1 - item.missing) for item in facts])[:, None]
    means, deviations = (
        np.array([getattr(item, name) for item in facts]) for name in ("means", "deviations")
    )
    mean = (means * weights).sum(0) / weights.sum()
    variance = ((deviations**2 + (means - mean) ** 2) * weights).sum(0) / weights.sum()
    return (
        mean,
        np.sqrt(variance),
        np.min([item.lows for item in facts], axis=0),
        np.max([item.highs for item in facts], axis=0),
    )


def histograms(facts: Sequence[Facts], low: float, high: float, band: int) -> NDArray[np.float64]:
    """(BINS,): share of the sampled pixels of a band in equal bins from `low` to `high`."""
    counts = np.zeros(BINS)
    for item in facts:
        if band < len(item.sample):
            counts += np.histogram(item.sample[band], BINS, (low, high))[0]
    return np.asarray(counts / max(1.0, counts.sum()), np.float64)


@dataclass(frozen=True)
class BandShift:
    """A band whose pictures are brighter or darker in one split than in training."""

    split: str
    band: int
    effect: float
    """Difference of the mean picture from training's, in deviations between pictures (Cohen's d)."""


def band_shifts(train: SplitNumbers, other: SplitNumbers) -> list[BandShift]:
    """Bands in which a split differs from training by more than chance and by more than a little."""
    a, b = train.image_means, other.image_means
    if min(len(a), len(b)) < 5 or a.shape[1] != b.shape[1]:
        return []
    variance = (a.var(0, ddof=1) * (len(a) - 1) + b.var(0, ddof=1) * (len(b) - 1)) / (len(a) + len(b) - 2)
    effect = (b.mean(0) - a.mean(0)) / np.sqrt(np.maximum(variance, 1e-12))
    z = np.abs(effect) / np.sqrt(1 / len(a) + 1 / len(b))
    return [
        BandShift(other.split, band, float(effect[band]))
        for band in np.flatnonzero((np.abs(effect) > SHIFT_EFFECT) & (z > SHIFT_Z)).tolist()
    ]


def as_json(numbers: SplitNumbers, classes: Classes) -> dict[str, Any]:
    """The numbers as JSON values; None for what cannot be measured."""
    total = max(1, int(numbers.class_pixels.sum()))
    return {
        "images": numbers.images,
        "negatives": numbers.negatives,
        "masks_without_foreground": numbers.empty,
        "classes": {
            name: {
                "pixels": int(numbers.class_pixels[label]),
                "share": int(numbers.class_pixels[label]) / total,
                "images": int(numbers.class_images[label]),
                **(_object_numbers(numbers.objects[label]) if label in numbers.objects else {}),
            }
            for label, name in enumerate(classes.names)
        },
        "ignored_pixels": numbers.ignored_pixels,
        "objects_an_image": _five(numbers.object_counts),
        "foreground_share_of_an_image": _five(numbers.object_share),
        "height": _five(numbers.heights),
        "width": _five(numbers.widths),
        "bands": [
            {"mean": _number(mean), "std": _number(std), "min": _number(low), "max": _number(high)}
            for mean, std, low, high in zip(
                numbers.band_mean, numbers.band_std, numbers.band_low, numbers.band_high, strict=True
            )
        ],
        "missing_share": numbers.missing,
        "images_with_both_classes": numbers.together.tolist(),
    }


def _object_numbers(areas: NDArray[np.int64]) -> dict[str, Any]:
    return {"objects": len(areas), "object_area_px": _five(areas)}


def _five(values: NDArray[Any]) -> dict[str, float] | None:
    """Least, quartiles, median and largest value; None of nothing."""
    if not len(values):
        return None
    names = ("min", "q25", "median", "q75", "max")
    points = np.percentile(values.astype(np.float64), (0, 25, 50, 75, 100))
    return {name: float(point) for name, point in zip(names, points, strict=True)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
