"""Pairs -> decoded store -> samples -> batches. torch is loaded with `Loader` and `Batch` only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .folders import split_folders
from .folds import FoldRow, has_validation, ids_beside, pairs_of_folds, pairs_of_split, read_folds
from .masks import Mask, decode_mask
from .mixing import Drawn, Mixed, Mixer
from .pairs import Pair, Pairing, find_pairs, match_files
from .resize import bring_to_size, fit_window, resize_labels, resize_pixels
from .sampler import PlainSampler, Sampler
from .statistics import band_statistics
from .store import Store, gathered_notes, open_store

if TYPE_CHECKING:
    from .loader import Batch, Loader

__all__ = [
    "Batch",
    "Drawn",
    "FoldRow",
    "Loader",
    "Mask",
    "Mixed",
    "Mixer",
    "Pair",
    "Pairing",
    "PlainSampler",
    "Sampler",
    "Store",
    "band_statistics",
    "bring_to_size",
    "decode_mask",
    "find_pairs",
    "fit_window",
    "gathered_notes",
    "has_validation",
    "ids_beside",
    "match_files",
    "open_store",
    "pairs_of_folds",
    "pairs_of_split",
    "read_folds",
    "resize_labels",
    "resize_pixels",
    "split_folders",
]


def __getattr__(name: str) -> Any:
    if name in ("Batch", "Loader"):
        from . import loader

        return getattr(loader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
