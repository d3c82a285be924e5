"""How much of a scene is like the pictures of training, in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...raster import read_reduced
from ..applicability import FAR

_EDGE_PX = 2000
_BYTE = 254


def describe_applicability_of(path: Path) -> str:
    """The line about the raster of applicability, from a picture of it whose longer edge is 2000 pixels."""
    reduced = read_reduced(path, _EDGE_PX)
    values = reduced.pixels[0][reduced.valid].astype(np.float32)
    if reduced.pixels.dtype == np.uint8:
        values /= _BYTE
    if not values.size:
        return "applicability: nothing was predicted"
    far = float((values <= FAR + 0.5 / _BYTE).mean())
    return (
        f"applicability: mean {values.mean():.2f}; {100 * far:.0f} % of the ground is as far from the "
        f"training pictures as at most 5 of 100 held-out ones are ({path.name})"
    )
