"""Online augmentation: one geometric draw and one warp for image, valid mask and labels; then values; then
samples made of two."""

from .augmenter import Augmenter
from .geometry import Sizing
from .mix import SampleMixer

__all__ = ["Augmenter", "SampleMixer", "Sizing"]
