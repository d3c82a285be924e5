"""Pictures that show the same ground although no pixel is equal: rescaled, turned, flipped, cut."""

from .features import Features, describe, without_collar
from .search import find_copies
from .verify import Match

__all__ = ["Features", "Match", "describe", "find_copies", "without_collar"]
