"""Which file names say that one picture was made from another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

_NUMBER = r"-?\d+(?:\.\d+)?"
_PREFIXES = re.compile(
    rf"(?:hflipped|vflipped|flipped|rotated_{_NUMBER}|shrinked_{_NUMBER}|sheared_{_NUMBER}(?:_[a-z]+)?|"
    rf"deformed_alpha_{_NUMBER}_sigmoid_{_NUMBER}|distorted_{_NUMBER}_rsigma{_NUMBER}_sigma{_NUMBER}|"
    rf"(?:barrdistorted|pincdistorted)_\d+_{_NUMBER}_{_NUMBER}|sharpened(?:_{_NUMBER})?|"
    rf"brightened(?:_{_NUMBER}){{0,2}}|aug(?:mented)?(?:_?\d+)?)_",
    re.IGNORECASE,
)
"""The reference's own names (its offline generator puts the operation first), and `aug_`."""
_SUFFIXES = re.compile(
    r"(?:[_-](?:hflip|vflip|h?v?flip(?:ped)?|fliplr|flipud|rot(?:ated?)?_?(?:90|180|270)|aug(?:mented)?_?\d*|copy)"
    r"|[ ]\(\d+\)|[ ]-[ ](?:Copy|Kopie)|_jpg\.rf\.[0-9a-f]{32}|_png\.rf\.[0-9a-f]{32}|\.rf\.[0-9a-f]{32})$",
    re.IGNORECASE,
)
"""What other tools append: `_hflip`, `_rot90`, `_aug3`, ` (1)`, Roboflow's hash."""


def source_name(stem: str) -> str:
    """The stem of the picture that this one was made from, as far as its name says so.

    Example: `hflipped_distorted_0.02_rsigma0.5_sigma40_10009` comes from `10009`.
    """
    while True:
        shorter = _SUFFIXES.sub("", _PREFIXES.sub("", stem, count=1) if _PREFIXES.match(stem) else stem)
        if shorter == stem or not shorter:
            return stem
        stem = shorter


def sibling_groups(stems: Sequence[str]) -> list[list[int]]:
    """Groups of two or more positions of stems that come from one source, one of them by its name."""
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, stem in enumerate(stems):
        by_source[source_name(stem).casefold()].append(index)
    return [
        members
        for members in by_source.values()
        if len(members) > 1 and any(source_name(stems[index]) != stems[index] for index in members)
    ]
