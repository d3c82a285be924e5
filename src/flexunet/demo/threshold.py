"""How far a threshold gets: the best cut through any one colour or index, chosen with the truth at hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 512


@dataclass(frozen=True)
class BestThreshold:
    """The cut with the highest pooled IoU of all features, thresholds and directions."""

    feature: str
    above: bool
    """Whether pixels above (or below) the threshold are called landslide."""
    threshold: float
    iou: float
    brightness_iou: float
    """The same for brightness alone."""


def features(image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Brightness, single bands and the usual soil and vegetation indices of RGB (H, W, 3), each (H, W).

    Values lie from -1 to 1. Excess green: Woebbecke et al. (1995), Transactions of the ASAE 38.
    """
    red, green, blue = np.moveaxis(image.astype(np.float32) / 255, 2, 0)
    total = np.maximum(red + green + blue, 1e-3)
    return {
        "brightness": total / 3,
        "red": red,
        "green": green,
        "blue": blue,
        "red share": red / total,
        "green share": green / total,
        "blue share": blue / total,
        "red - green": red - green,
        "excess green": np.clip((2 * green - red - blue) / total, -1, 1),
        "green-red index": (green - red) / np.maximum(green + red, 1e-3),
        "saturation": (np.max([red, green, blue], 0) - np.min([red, green, blue], 0)) / total,
    }


def best_threshold(scenes: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> BestThreshold:
    """The best cut over all (image RGB (H, W, 3), mask (H, W) of 0 and 1) together.

    The truth of these very scenes chooses it, so no method with one threshold can do better on them.
    """
    edges = np.linspace(-1, 1.001, _BINS + 1)
    histograms: dict[str, NDArray[np.int64]] = {}
    for image, mask in scenes:
        for name, values in features(image).items():
            both = np.stack([np.histogram(values[mask == label], edges)[0] for label in (0, 1)])
            histograms[name] = histograms.get(name, np.zeros((2, _BINS), np.int64)) + both
    best = {name: _best_cut(histogram, edges) for name, histogram in histograms.items()}
    name = max(best, key=lambda feature: best[feature][0])
    iou, above, threshold = best[name]
    return BestThreshold(name, above, threshold, iou, best["brightness"][0])


def _best_cut(histogram: NDArray[np.int64], edges: NDArray[np.float64]) -> tuple[float, bool, float]:
    """(IoU, above, threshold) of the best cut; histogram (2, bins) of background and landslide."""
    below = histogram.cumsum(1)
    landslide = below[1, -1]
    cuts = []
    for above, called in ((False, below), (True, below[:, -1:] - below)):
        iou = called[1] / np.maximum(called[0] + landslide, 1)
        index = int(iou.argmax())
        cuts.append((float(iou[index]), above, float(edges[index + 1])))
    return max(cuts)
