"""What a model file is told of its training pictures, so that it can tell others from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classes import Classes
from ..data import Store
from ..errors import DataError
from ..metrics.applicability import (
    FeatureCloud,
    distance_at,
    fit_cloud,
    kept_scores,
    shares_at_least_as_far,
)
from ..modelfile import Applicability
from ..modelfile.applicability import text_of
from ..prediction import FAR, Predictor
from ..raster import Grid, Picture
from .scores import ImageScores

LOOKED_AT = 1000
"""Pictures of each split at most, drawn evenly."""
LEAST_TRAINED, LEAST_HELD_OUT = 16, 10
WINDOWS_A_PICTURE = 4
"""Tiles of a large picture that are looked at, drawn evenly."""

Progress = Callable[[str, int, int], None]


def fit_applicability(
    predictor: Predictor,
    train: Store,
    held_out: Store,
    groups: Sequence[str],
    *,
    split: str = "valid",
    progress: Progress | None = None,
) -> Applicability:
    """Describe the training pictures by their features, and how far held-out pictures lie from them.

    Every picture is seen as `predict` shows it to the network, unturned. `groups`: of the held-out pictures;
    every group counts as one. Costs one forward pass for each of at most `LOOKED_AT` pictures of both splits.

    Raises:
        DataError: too few pictures, or a network without a way down.
    """
    if not predictor.has_features:
        raise DataError("the network has no way down that features can be taken from.")
    if len(train) < LEAST_TRAINED or len(held_out) < LEAST_HELD_OUT:
        raise DataError(
            f"{len(train)} training and {len(held_out)} held-out pictures; at least {LEAST_TRAINED} and "
            f"{LEAST_HELD_OUT} are needed to say how far others lie from them."
        )
    tell = progress or (lambda stage, done, images: None)
    trained = np.concatenate(list(_features(predictor, train, "features of training", tell)))
    places = _evenly(len(held_out))
    seen = list(_features(predictor, held_out, "held-out features", tell))
    owners = [groups[place] for place, windows in zip(places, seen, strict=True) for _ in windows]
    fitted_on = {
        "train_images": min(len(train), LOOKED_AT),
        "split": split,
        "images": len(places),
        "groups": len(set(owners)),
        "fingerprint": held_out.fingerprint,
    }
    return applicability_from(trained, np.concatenate(seen), owners, fitted_on)


def applicability_from(
    trained: NDArray[np.float32],
    held_out: NDArray[np.float32],
    owners: Sequence[str],
    fitted_on: dict[str, Any],
) -> Applicability:
    """The same from features of training (N, D), those held out (M, D), and the group of each of these."""
    cloud = _as_stored(fit_cloud(trained))
    known, shares = shares_at_least_as_far(cloud.distance(held_out), owners)
    unit = max(distance_at(FAR, known, shares), 1e-6)
    return Applicability(
        channels=len(cloud.centre),
        centre=text_of(cloud.centre),
        spread=text_of(cloud.spread),
        directions=text_of(cloud.directions),
        variances=tuple(float(value) for value in cloud.variances),
        rest=cloud.rest,
        unit=unit,
        held_out=tuple(float(np.float32(value / unit)) for value in known),
        shares=tuple(float(value) for value in shares),
        fitted_on=fitted_on,
    )


def applicability_of(images: Sequence[ImageScores]) -> dict[str, Any] | None:
    """How many images lie far from those of training; JSON values, None where the model does not know."""
    known = [image.applicability for image in images if image.applicability is not None]
    if not known:
        return None
    return {
        "images": len(known),
        "far": sum(value <= FAR for value in known),
        "level": FAR,
        "median": float(np.median(known)),
    }


def kept_part(
    images: Sequence[ImageScores], by_margin: NDArray[np.int64], classes: Classes
) -> dict[str, Any]:
    """Mean foreground IoU of what is kept over the share that is left out; JSON values.

    by_margin: confusion counts (N, K, K) of pixels in N steps of the margin, the smallest first. Images are
    left out as a whole, the least applicable first.
    """
    labels = classes.foreground
    orders = {"by_margin": (by_margin, np.arange(len(by_margin)))}
    known = [image for image in images if image.applicability is not None]
    if known:
        counts = np.stack([image.confusion.counts for image in known])
        orders["by_applicability"] = (counts, np.array([image.applicability for image in known]))
    found: dict[str, Any] = {"by_applicability": None}
    for name, (counts, order) in orders.items():
        left_out, scores = kept_scores(counts, order, labels)
        found[name] = {
            "left_out": [round(float(value), 4) for value in left_out],
            "iou": [round(float(value), 4) if np.isfinite(value) else None for value in scores],
        }
    return found


def describe_applicability(found: Applicability | None) -> str:
    """One line about what a model file holds."""
    if found is None:
        return "Applicability: not known; it needs the pictures of training and a few held-out ones."
    about = found.fitted_on
    return (
        f"Applicability: features of {about['train_images']} training images, distances of "
        f"{about['images']} {about['split']} images in {about['groups']} groups."
    )


def _features(
    predictor: Predictor, store: Store, stage: str, tell: Progress
) -> Iterator[NDArray[np.float32]]:
    places = _evenly(len(store))
    pictures = (Picture(store.image(i), store.valid(i), Grid()) for i in places)
    for done, seen in enumerate(predictor.features(pictures, most=WINDOWS_A_PICTURE), 1):
        tell(stage, done, len(places))
        yield seen


def _evenly(count: int) -> list[int]:
    places: list[int] = np.linspace(0, count - 1, min(count, LOOKED_AT)).round().astype(int).tolist()
    return places


def _as_stored(cloud: FeatureCloud) -> FeatureCloud:
    """Rounded as the file rounds it, so that distances here and there are the same."""

    def rounded(values: NDArray[Any]) -> NDArray[np.float64]:
        return values.astype(np.float32).astype(np.float64)

    return FeatureCloud(
        rounded(cloud.centre), rounded(cloud.spread), rounded(cloud.directions), cloud.variances, cloud.rest
    )
