"""What a careful colleague would find before training: pictures that show the same ground."""

from .overlaps import Overlap, Overlaps, find_overlaps, join_groups

__all__ = ["Overlap", "Overlaps", "find_overlaps", "join_groups"]
