"""What is told of each polygon: names short enough for a Shapefile, units in the name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .measure import Shapes, Surveyor
from .zonal import ObjectTable

Columns = dict[str, NDArray[Any]]


def columns_of(
    objects: ObjectTable,
    shapes: Shapes,
    surveyor: Surveyor,
    names: Sequence[str],
    *,
    first_id: int,
    probability: bool,
    terrain: bool,
    applicability: bool = False,
) -> Columns:
    """One array a field, in the order of the fields; lengths in metres, or pixels without a CRS."""
    unit = "px" if surveyor.method == "pixels" else "m"
    class_names = np.array([*names, *(f"class {i}" for i in range(len(names), 256))], object)
    columns: Columns = {
        "id": np.arange(first_id, first_id + len(objects)),
        "class": class_names[objects.labels],
        "class_id": objects.labels.astype(np.int32),
        "pixels": objects.pixels,
        "area_px" if unit == "px" else "area_m2": shapes.area,
        f"perim_{unit}": shapes.perimeter,
        f"axis_maj_{unit}"[:10]: shapes.major,
        f"axis_min_{unit}"[:10]: shapes.minor,
        "orient_deg": shapes.orientation,
        "centroid_x": shapes.centroid[:, 0],
        "centroid_y": shapes.centroid[:, 1],
    }
    if probability:
        layer = objects.layers["probability"]
        columns["prob_mean"] = layer.means
        columns["prob_max"] = np.where(layer.counts > 0, layer.highest, np.nan)
    if applicability:
        layer = objects.layers["applicability"]
        columns["appl_mean"] = layer.means
        columns["appl_min"] = np.where(layer.counts > 0, layer.lowest, np.nan)
    if terrain:
        columns |= _terrain_columns(objects, surveyor, unit)
    return columns


def _terrain_columns(objects: ObjectTable, surveyor: Surveyor, unit: str) -> Columns:
    """Slope, aspect, and the fall from the highest to the lowest cell.

    H (`relief_m`) is the elevation of the polygon's highest cell less that of its lowest, L (`runout_m`) the
    horizontal distance between the centres of these two cells; atan(H / L) is the angle of reach (Heim 1932;
    Corominas 1996, "The angle of reach as a mobility index for small and large landslides", Can. Geotech. J.
    33(2)). Of several equally high cells the first in reading order counts. Aspect is the direction of the
    mean downhill vector, in degrees clockwise from north.
    """
    slope, elevation = objects.layers["slope"], objects.layers["elevation"]
    east, north = objects.layers["east"], objects.layers["north"]
    known = elevation.counts > 0
    width = surveyor.size_hw[1]
    ends = []
    for place in (elevation.highest_at, elevation.lowest_at):
        row, col = np.divmod(np.where(known, place, 0), width)
        ends.append(np.column_stack((col + 0.5, row + 0.5)))
    length = np.where(known, surveyor.distances(*ends), np.nan)
    drop = np.full(len(known), np.nan)
    drop[known] = elevation.highest[known] - elevation.lowest[known]
    aspect = np.degrees(np.arctan2(east.sums, north.sums)) % 360.0
    return {
        "elev_min_m": np.where(known, elevation.lowest, np.nan),
        "elev_max_m": np.where(known, elevation.highest, np.nan),
        "slope_mean": slope.means,
        "slope_max": np.where(slope.counts > 0, slope.highest, np.nan),
        "aspect": np.where(east.counts > 0, aspect, np.nan),
        "relief_m": drop,
        f"runout_{unit}": length,
        "reach_deg": np.where(length > 0, np.degrees(np.arctan2(drop, length)), np.nan),
    }
