"""The colours of a scene, and the picture that layers are painted onto."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

SOILS: tuple[Colour, ...] = ((168, 134, 96), (158, 110, 80), (164, 150, 128), (184, 168, 140), (146, 122, 98))
FORESTS: tuple[Colour, ...] = ((40, 58, 36), (48, 68, 38), (58, 76, 44), (44, 60, 46))
MEADOWS: tuple[Colour, ...] = ((104, 118, 66), (126, 126, 78), (92, 110, 58), (146, 134, 92))
WATERS: tuple[Colour, ...] = ((74, 92, 84), (112, 112, 90), (56, 76, 76), (128, 120, 98))


@dataclass(frozen=True)
class Season:
    """The colours of one scene."""

    soil: NDArray[np.float32]
    forest: NDArray[np.float32]
    meadow: NDArray[np.float32]
    water: NDArray[np.float32]
    rock: NDArray[np.float32]

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Season:
        """One of each palette, a little shifted."""

        def pick(palette: tuple[Colour, ...]) -> NDArray[np.float32]:
            shift = generator.normal(0, 5) + generator.normal(0, 2.5, 3)
            return (np.array(palette[int(generator.integers(len(palette)))]) + shift).astype(np.float32)

        soil = pick(SOILS)
        grey = np.full(3, soil.mean() - 4, np.float32)
        return cls(soil, pick(FORESTS), pick(MEADOWS), pick(WATERS), 0.35 * soil + 0.65 * grey)


class Canvas:
    """A picture that layers are blended onto."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colour = np.zeros((size, size, 3), np.float32)
        self.canopy = np.zeros((size, size), np.float32)

    def paint(
        self, share: NDArray[Any], colour: NDArray[np.float32], canopy: NDArray[Any] | float = 0.0
    ) -> None:
        """Blends `colour` ((3,) or (size, size, 3)) over what is there; the canopy beneath goes with it."""
        self.colour += (share[..., None] * (colour - self.colour)).astype(np.float32)
        self.canopy += (share * (canopy - self.canopy)).astype(np.float32)


def textured(colour: NDArray[np.float32], texture: NDArray[Any], strength: float) -> NDArray[np.float32]:
    """The colour made lighter and darker by `strength` times `texture` (size, size)."""
    return np.asarray(colour * (1 + strength * texture)[..., None], np.float32)
