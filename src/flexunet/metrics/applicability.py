"""How far a picture lies from those of training, in features; and what is gained by leaving some out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FARTHEST = 1e6
"""What is farther, or not finite, is this far."""
MOST_DIRECTIONS = 32
PICTURES_A_DIRECTION = 8
SHRUNK = 0.5
"""How much of every variance is that of unrelated channels."""
_LEAST_SPREAD = 0.05  # of a channel, in spreads of the middle channel: a dead one must not decide


@dataclass(frozen=True)
class FeatureCloud:
    """The features of training as a cloud of one centre, long in a few directions and round in the others.

    The covariance model of probabilistic principal components (Tipping & Bishop 1999), on channels divided by
    their spread: `variances` along `directions`, `rest` across them.
    """

    centre: Floats
    """(D,)"""
    spread: Floats
    """(D,), positive"""
    directions: Floats
    """(k, D), orthonormal"""
    variances: Floats
    """(k,), positive"""
    rest: float

    def distance(self, features: ArrayLike) -> Floats:
        """Mahalanobis distances (N,) of features (N, D), divided by the root of D."""
        scaled = (np.asarray(features, np.float64) - self.centre) / self.spread
        with np.errstate(over="ignore", invalid="ignore"):
            along = scaled @ self.directions.T
            squared = (along**2 / self.variances).sum(1)
            squared += np.maximum((scaled**2).sum(1) - (along**2).sum(1), 0) / self.rest
            found = np.sqrt(squared / len(self.centre))
        clipped: Floats = np.where(np.isfinite(found), np.minimum(found, FARTHEST), FARTHEST)
        return clipped


def fit_cloud(features: ArrayLike) -> FeatureCloud:
    """The cloud of features (N, D), N of at least 2: a direction for every eight pictures, at most 32.

    Its covariance is half that of the features and half the identity, as few pictures know few directions
    well.
    """
    values = np.asarray(features, np.float64)
    count, channels = values.shape
    if count < 2 or not np.isfinite(values).all():
        raise ValueError(f"{count} pictures with finite features; at least 2 are needed")
    deviation = values.std(0)
    typical = float(np.median(deviation[deviation > 0])) if (deviation > 0).any() else 1.0
    spread = np.maximum(deviation, _LEAST_SPREAD * typical)
    centre = values.mean(0)
    scaled = (values - centre) / spread
    variances, vectors = np.linalg.eigh(scaled.T @ scaled / (count - 1))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    kept = min(MOST_DIRECTIONS, count // PICTURES_A_DIRECTION, channels - 1)
    variances = SHRUNK + (1 - SHRUNK) * np.maximum(variances, 0)
    rest = float(variances[kept:].mean())
    return FeatureCloud(centre, spread, vectors[:, :kept].T, variances[:kept], rest)


def shares_at_least_as_far(
    distances: ArrayLike, groups: Sequence[str], most: int = 500
) -> tuple[Floats, Floats]:
    """Sorted distances (M,) and for each the share of held-out pictures that are at least as far (M,).

    Every group counts as one, whatever its number of pictures. Of more than `most` distances every n-th
    stays.
    """
    values = np.asarray(distances, np.float64)
    _, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    order = np.argsort(values, kind="stable")
    weights = (1 / sizes[group])[order]
    shares = np.cumsum(weights[::-1])[::-1] / len(sizes)
    ordered, first = np.unique(values[order], return_index=True)
    shares = np.minimum(shares[first], 1)
    if len(ordered) > most:
        places = np.linspace(0, len(ordered) - 1, most).round().astype(int)
        ordered, shares = ordered[places], shares[places]
    return ordered, shares


def share_at_least_as_far(distance: ArrayLike, known: Floats, shares: Floats) -> Floats:
    """The share for any distances, by the table of `shares_at_least_as_far`; 0 beyond the farthest."""
    places = np.searchsorted(known, np.asarray(distance, np.float64), "left")
    found: Floats = np.append(shares, 0.0)[places]
    return found


def distance_at(share: float, known: Floats, shares: Floats) -> float:
    """The smallest distance that at most `share` of the held-out pictures reach; else the largest known."""
    reached = np.flatnonzero(shares <= share)
    return float(known[reached[0]] if len(reached) else known[-1])


def kept_scores(
    counts: ArrayLike, order: ArrayLike, labels: Sequence[int], steps: int = 51
) -> tuple[Floats, Floats]:
    """Risk over coverage: share of pixels left out (S,), and mean IoU of `labels` over those kept (S,).

    counts: confusion counts (N, K, K) of pieces, rows truth. order: (N,), pieces with the lowest are left out
    first. A piece is left out as a whole. NaN where none of the classes is in what is kept. The shares are
    those that whole pieces give, near `steps` even ones.
    """
    cells = np.asarray(counts, np.float64)
    cells = cells[np.argsort(np.asarray(order), kind="stable")]
    total = cells.sum()
    if not len(cells) or not total:
        return np.zeros(0), np.full(0, np.nan)
    kept = np.concatenate([cells[::-1].cumsum(0)[::-1], np.zeros_like(cells[:1])])
    left_out = 1 - kept.sum((1, 2)) / total
    places = np.unique(np.searchsorted(left_out, np.linspace(0, 1, steps)[:-1], "left"))
    places = places[kept[np.minimum(places, len(kept) - 1)].sum((1, 2)) > 0]
    kept = kept[places]
    hits = np.einsum("nkk->nk", kept)
    under = kept.sum(1) + kept.sum(2) - hits
    iou = np.divide(hits, under, out=np.full_like(hits, np.nan), where=under > 0)[:, list(labels)]
    known = np.isfinite(iou)
    mean = np.divide(
        np.where(known, iou, 0).sum(1), known.sum(1), out=np.full(len(iou), np.nan), where=known.any(1)
    )
    return left_out[places], mean
