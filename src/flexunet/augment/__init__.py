"""Online augmentation: one geometric draw and one warp for image, valid mask and labels; then colour."""

from .augmenter import Augmenter
from .geometry import Sizing

__all__ = ["Augmenter", "Sizing"]
