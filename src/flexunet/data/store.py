"""Every image and mask of a split, decoded once and kept memory-mapped.

The cache holds one flat file an image (`entry`), named by what it was decoded from (path, size and
modification time of image and mask) and kept in a folder named by how (the part of the config that matters
for decoding). So a changed file or setting is decoded anew and nothing else is; what a changed file left
behind is removed.

Cost: disk, the decoded bytes, H W (C itemsize + 1), one more a pixel where some are missing. Memory while
decoding: the few pictures that the threads have in hand; afterwards the page cache, which the system takes
back when it needs it, and about 5 kB a pair. Measured on ten times the 580 landslide pairs of Bijie: 1.4 GB
on disk, 40 MB in memory, however often they are read. Ten times the whole set (27730 crops) comes to 6 GB and
0.15 GB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import DataError, Problem
from ..parallel import in_parallel
from ..progress import Tell
from .cache import cache_folder, decoding_key
from .decoder import Decoder
from .entry import Entry
from .folders import Split, split_folders
from .folds import pairs_of_split
from .pairs import Pair

_LISTED_NOTES = 3


class Store:
    """The decoded images of a split, in the order of their ids. Reading is safe from many threads."""

    def __init__(self, pairs: Sequence[Pair], entries: Sequence[Entry], notes: Sequence[str]) -> None:
        self.pairs = tuple(pairs)
        self.notes = tuple(notes)
        self._entries = tuple(entries)
        digests = [f"{pair.id} {entry.header.digest}" for pair, entry in zip(pairs, entries, strict=True)]
        self.fingerprint = hashlib.sha256("\n".join(digests).encode()).hexdigest()
        """Hash of ids, pixels and labels: the same wherever the same data are decoded the same way."""

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def ids(self) -> tuple[str, ...]:
        """The pairs' ids."""
        return tuple(pair.id for pair in self.pairs)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, as the first file gives them."""
        return self._entries[0].header.band_names

    @property
    def dtype(self) -> str:
        """Type of all images: uint8, uint16, int16 or float32."""
        return str(np.result_type(*{entry.header.dtype for entry in self._entries}))

    @property
    def channels(self) -> int:
        """Bands of every image."""
        return self._entries[0].header.shape[0]

    def entry(self, index: int) -> Entry:
        """The cache entry of image `index`."""
        return self._entries[index]

    def image(self, index: int) -> NDArray[Any]:
        """Pixels (C, H, W), read-only, of (H, W, C) memory; possibly reduced (see `open_store`)."""
        return self._entries[index].image()

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Labels uint8 (H, W) with IGNORE_INDEX, read-only; missing pixels keep the label of the mask."""
        return self._entries[index].labels()

    def valid(self, index: int) -> NDArray[np.bool_]:
        """Which pixels hold data, bool (H, W)."""
        return self._entries[index].valid()

    def native_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the image file."""
        return self._entries[index].header.native_size


def open_store(
    data: DataConfig, split: Split, *, progress: Tell | None = None, full_size: bool = False
) -> Store:
    """The decoded images of a split, from the cache as far as it is up to date.

    With `resize` and `fit`, pictures more than twice as large as `data.size` are kept as an antialiased copy
    of 1.5 times that size; `full_size` keeps every pixel.

    Raises:
        DataError: everything that is wrong with the split's files, in one report.
    """
    pairing = pairs_of_split(data, split)
    if pairing.problems:
        raise DataError(f"the {split} split cannot be used:", pairing.problems)
    folded = data.fold is not None and split != "test"
    cache, notes = cache_folder(data, split_folders(data, "train" if folded else split))
    decoder = Decoder(data, cache / decoding_key(data), full_size)
    results = in_parallel(decoder, pairing.pairs, stage="decoding", progress=progress)
    pairs, entries, problems = [], [], []
    for pair, result in zip(pairing.pairs, results, strict=True):
        if isinstance(result, Entry):
            pairs.append(pair)
            entries.append(result)
        elif result.damaged and data.on_damaged == "skip":
            notes.append(f"left out: {replace(result.problem, cure=None)}")
        else:
            problems.append(result.problem)
    if not problems:
        problems = _contradictions(pairs, entries)
    if problems:
        raise DataError(f"the {split} split cannot be used:", problems)
    if not pairs:
        raise DataError(f"no image of the {split} split can be decoded")
    told = [(pair.id, entry.header.notes) for pair, entry in zip(pairs, entries, strict=True)]
    return Store(pairs, entries, [*pairing.notes, *notes, *gathered_notes(told)])


def _contradictions(pairs: Sequence[Pair], entries: Sequence[Entry]) -> list[Problem]:
    """Images that differ in bands or, between integers and floats or 8 and 16 bits, in type."""
    problems = []
    for what, cure, kinds in (
        ("bands", "Set data.channels or data.bands.", [str(entry.header.shape[0]) for entry in entries]),
        ("type", "Bring them to one type.", [entry.header.dtype for entry in entries]),
    ):
        if len(set(kinds)) < 2:
            continue
        listed = []
        for kind in sorted(set(kinds)):
            names = [pair.image.name for pair, other in zip(pairs, kinds, strict=True) if other == kind]
            listed.append(f"{kind} in {len(names)} ({names[0]}{' ...' if len(names) > 1 else ''})")
        problems.append(Problem(f"images differ in {what}: {', '.join(listed)}", cure=cure))
    return problems


def gathered_notes(told: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Notes of many files, by id: one line a kind of note, with the first files it is about."""
    kinds: dict[str, list[str]] = {}
    for name, notes_of_file in told:
        for note in notes_of_file:
            numbers, _, text = note.partition(" ")
            kind = text if numbers.endswith("%") else note
            shown = f"{name} {numbers}" if numbers.endswith("%") else name
            kinds.setdefault(kind.partition(" (")[0], []).append(shown)
    notes = []
    for kind, names in kinds.items():
        more = " ..." if len(names) > _LISTED_NOTES else ""
        notes.append(f"{len(names)} files: {kind}: {', '.join(names[:_LISTED_NOTES])}{more}")
    return notes
