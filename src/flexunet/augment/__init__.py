"""Online augmentation: one geometric draw and one warp for image, valid mask and labels; then colour."""

from .augmenter import Augmenter
from .geometry import Placement, Sizing, draw_geometry, place

__all__ = ["Augmenter", "Placement", "Sizing", "draw_geometry", "place"]
