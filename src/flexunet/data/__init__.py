"""Pairs -> decoded store -> samples -> batches."""

from .folders import split_folders
from .masks import Mask, decode_mask
from .pairs import Pair, Pairing, find_pairs, match_files

__all__ = ["Mask", "Pair", "Pairing", "decode_mask", "find_pairs", "match_files", "split_folders"]
