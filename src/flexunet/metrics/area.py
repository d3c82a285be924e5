"""Area from a map and a sample of truth: what the map's errors do to it, and how sure one can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959964


@dataclass(frozen=True)
class AreaEstimate:
    """Areas of the K classes, in the unit of the mapped areas, each array float64 (K,)."""

    mapped: NDArray[np.float64]
    estimated: NDArray[np.float64]
    """Corrected for the errors that the sample shows."""
    standard_error: NDArray[np.float64]

    @property
    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The 95 % interval, 1.96 standard errors to either side."""
        margin = Z_95 * self.standard_error
        return self.estimated - margin, self.estimated + margin


def stratified_area(counts: ArrayLike, mapped: ArrayLike) -> AreaEstimate:
    """The stratified estimator of area (Olofsson, Foody, Herold, Stehman, Woodcock, Wulder, "Good practices
    for estimating area and assessing accuracy of land change", Remote Sensing of Environment 148, 2014, eqs
    9 to 11).

    The strata are the classes of the map. With W_i the mapped share of class i and n_ij the sample units that
    are mapped as i and are j:

    - p_j = sum_i W_i n_ij / n_i, the share of class j;
    - S(p_j) = sqrt(sum_i W_i^2 (n_ij / n_i) (1 - n_ij / n_i) / (n_i - 1)).

    The standard error takes the sample units for independent. Pixels of one image are not: give it points
    that were drawn one by one, or see `bootstrap_interval` over groups.

    Args:
        counts: (K, K), rows truth, columns map, as in `ConfusionMatrix.counts`.
        mapped: (K,), area of each class on the map.

    Raises:
        ValueError: shapes that do not fit, or a mapped class with fewer than 2 sample units.
    """
    by_map = np.asarray(counts, np.float64).T
    areas = np.asarray(mapped, np.float64)
    if by_map.ndim != 2 or by_map.shape != (len(areas), len(areas)):
        raise ValueError(f"counts of shape {by_map.T.shape} do not fit {len(areas)} mapped classes")
    drawn = by_map.sum(1)
    short = [index for index in range(len(areas)) if areas[index] > 0 and drawn[index] < 2]
    if short:
        raise ValueError(f"mapped class {short[0]} has {drawn[short[0]]:g} sample units; 2 are needed")
    total = areas.sum()
    weight = areas / total
    share = by_map / np.maximum(drawn, 1)[:, None]
    spread = share * (1 - share) / np.maximum(drawn - 1, 1)[:, None]
    error = np.sqrt((weight[:, None] ** 2 * spread).sum(0))
    return AreaEstimate(areas, total * (weight[:, None] * share).sum(0), total * error)
