"""Every image and mask of a split, decoded once and kept memory-mapped.

The cache holds one flat file an image (`entry`), named by what it was decoded from (path, size and
modification time of image and mask) and kept in a folder named by how (the part of the config that matters
for decoding). So a changed file or setting is decoded anew and nothing else is; what a changed file left
behind is removed.

Cost: disk, the decoded bytes: H W (C itemsize + 1), half as much again where pixels are missing. Memory while
decoding: the pictures that the threads have in hand; afterwards the page cache, which the system takes back
when it needs it, and about 1.5 kB a pair. Ten times the Bijie set (27730 crops, median 225 x 225, RGB): 7 GB
on disk, 42 MB in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig, SplitConfig
from ..errors import DataError, Problem, RasterError
from ..files import write_text
from ..raster import read_picture
from .entry import FORMAT, Entry, Header, digest_of, moments_of, read_entry, write_entry
from .folders import Split, split_folders
from .masks import decode_mask
from .pairs import Pair, match_files
from .resize import reduce_labels, resize_labels, resize_pixels

Progress = Callable[[int, int], None]
"""Called with the number of images done and their total, from the thread that opened the store."""

REDUCE_ABOVE = 2.0
"""Pictures more than this many times larger than the network's size are kept reduced (`resize` and `fit`)."""
REDUCE_TO = 1.5
"""Size of a reduced picture in network sizes: enough for zooming in by that much without loss."""

_LISTED_NOTES = 3
_DECODING_FIELDS = (
    "classes", "mask_encoding", "mask_axes", "threshold", "invert_masks", "ignore_value", "ignore_colour",
    "off_map_tolerance", "mask_size", "bands", "channels", "nodata", "alpha", "exif_orientation",
)  # fmt: skip
_CACHE_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Decoded images of flexunet; may be deleted any time.\n"
)


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

    @property
    def size_bytes(self) -> int:
        """What the decoded images take on disk."""
        return sum(entry.size for entry in self._entries)

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
    data: DataConfig, split: Split, *, progress: Progress | None = None, full_size: bool = False
) -> Store:
    """The decoded images of a split, from the cache as far as it is up to date.

    With `resize` and `fit`, pictures more than twice as large as `data.size` are kept as an antialiased copy
    of 1.5 times that size; `full_size` keeps every pixel.

    Raises:
        DataError: everything that is wrong with the split's files, in one report.
    """
    folders = split_folders(data, split)
    pairing = match_files(folders, data)
    if pairing.problems:
        raise DataError(f"the {split} split cannot be used:", pairing.problems)
    cache, notes = _cache_folder(data, folders)
    decoder = _Decoder(data, cache / _decoding_key(data), full_size)
    results = _in_order(decoder, pairing.pairs, progress)
    pairs, entries, problems = [], [], []
    for pair, result in zip(pairing.pairs, results, strict=True):
        if isinstance(result, Entry):
            pairs.append(pair)
            entries.append(result)
        elif result.damaged and data.on_damaged == "skip":
            notes.append(f"left out: {result.problem}")
        else:
            problems.append(result.problem)
    if not problems:
        problems = _contradictions(pairs, entries)
    if problems:
        raise DataError(f"the {split} split cannot be used:", problems)
    if not pairs:
        raise DataError(f"no image of the {split} split can be decoded")
    return Store(pairs, entries, [*pairing.notes, *notes, *_gathered_notes(pairs, entries)])


@dataclass(frozen=True)
class _Failure:
    problem: Problem
    damaged: bool


class _Decoder:
    """Finds or makes the cache entry of a pair; called from many threads."""

    def __init__(self, data: DataConfig, folder: Path, full_size: bool) -> None:
        self.data, self.folder = data, folder
        self.reduces = data.sizing != "crop" and not full_size
        self.there: dict[str, list[str]] = {}
        if folder.is_dir():
            for name in sorted(item.name for item in folder.iterdir()):
                self.there.setdefault(name.partition("-")[0], []).append(name)

    def __call__(self, pair: Pair) -> Entry | _Failure:
        try:
            place, version = _source_key(pair)
            known = self.there.get(place, [])
            for name in (f"{place}-{version}.full", self._reduced_name(place, version)):
                entry = read_entry(self.folder / name) if name in known else None
                if entry is not None and self._suits(entry, name):
                    return entry
            entry = self._decode(pair, place, version)
        except RasterError as error:
            return _Failure(Problem(str(error)), damaged=True)
        except DataError as error:
            return _Failure(Problem(str(error)), damaged=False)
        for name in known:
            if not name.startswith(f"{place}-{version}"):
                _remove(self.folder / name)
        return entry

    def _suits(self, entry: Entry, name: str) -> bool:
        """Whether an entry is of the size wanted: a full one only if nothing has to be reduced."""
        return (
            not name.endswith(".full")
            or self._kept_size(entry.header.native_size) == entry.header.native_size
        )

    def _reduced_name(self, place: str, version: str) -> str:
        height, width = self.data.size
        return f"{place}-{version}.{self.data.sizing}-{height}x{width}"

    def _kept_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) at which a picture of `size` is kept."""
        if not self.reduces:
            return size
        factors = [have / want for have, want in zip(size, self.data.size, strict=True)]
        if self.data.sizing == "fit":
            factors = [max(factors)] * 2
        kept = [
            have if factor <= REDUCE_ABOVE else max(1, round(have / factor * REDUCE_TO))
            for have, factor in zip(size, factors, strict=True)
        ]
        return kept[0], kept[1]

    def _decode(self, pair: Pair, place: str, version: str) -> Entry:
        data = self.data
        picture = read_picture(
            pair.image, bands=data.bands, channels=data.channels, nodata=data.nodata, alpha=data.alpha,
            exif_orientation=data.exif_orientation,
        )  # fmt: skip
        pixels, valid, notes = picture.pixels, picture.valid, picture.notes
        size = (pixels.shape[1], pixels.shape[2])
        labels = np.zeros(size, np.uint8)
        if pair.mask is not None:
            mask = decode_mask(pair.mask, data)
            labels, notes = _matching(pair, size, mask.labels, data), (*notes, *mask.notes)
        digest = digest_of(pixels, labels, valid)
        kept = self._kept_size(size)
        name = f"{place}-{version}.full"
        if kept != size:
            dtype, name = pixels.dtype, self._reduced_name(place, version)
            pixels, valid = resize_pixels(pixels, valid, kept)
            pixels = (np.rint(pixels) if dtype.kind in "iu" else pixels).astype(dtype)
            labels = reduce_labels(labels, kept)
        shape = (len(pixels), *kept)
        moments = moments_of(pixels, valid)
        names = picture.band_names
        header = Header(shape, pixels.dtype.name, size, bool(valid.all()), digest, moments, names, notes)
        return write_entry(self.folder / name, pixels, labels, valid, header)


def _matching(
    pair: Pair, size: tuple[int, int], labels: NDArray[np.uint8], data: DataConfig
) -> NDArray[np.uint8]:
    """Labels of the image's size, or an error that names both sizes."""
    if labels.shape == size:
        return labels
    if data.mask_size == "resize":
        return resize_labels(labels, size)
    turned = labels.shape == size[::-1] and size[0] != size[1]
    problem = Problem(
        f"is {labels.shape[0]} x {labels.shape[1]} (height x width), its image {pair.image} is {size[0]} x {size[1]}",
        path=pair.mask,
        cure="Is it turned? See data.exif_orientation."
        if turned
        else 'Set data.mask_size = "resize" if they show the same.',
    )
    raise DataError(str(problem))


def _in_order(
    decoder: _Decoder, pairs: Sequence[Pair], progress: Progress | None
) -> Iterator[Entry | _Failure]:
    """Results in the order of the pairs; few pictures are in memory at any time."""
    workers = available_cores()
    waiting: deque[Future[Entry | _Failure]] = deque()
    done = 0
    with ThreadPoolExecutor(workers, "decode") as pool:
        try:
            for pair in pairs:
                waiting.append(pool.submit(decoder, pair))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
                    done += 1
                    if progress is not None:
                        progress(done, len(pairs))
            while waiting:
                yield waiting.popleft().result()
                done += 1
                if progress is not None:
                    progress(done, len(pairs))
        finally:
            pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    """CPU cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def _gathered_notes(pairs: Sequence[Pair], entries: Sequence[Entry]) -> list[str]:
    """Notes of all files: one line a kind of note, with the first files it is about."""
    kinds: dict[str, list[str]] = {}
    for pair, entry in zip(pairs, entries, strict=True):
        for note in entry.header.notes:
            numbers, _, text = note.partition(" ")
            kind = text if numbers.endswith("%") else note
            shown = f"{pair.id} {numbers}" if numbers.endswith("%") else pair.id
            kinds.setdefault(kind.partition(" (")[0], []).append(shown)
    return [
        f"{len(names)} files: {kind}: {', '.join(names[:_LISTED_NOTES])}{' ...' if len(names) > _LISTED_NOTES else ''}"
        for kind, names in kinds.items()
    ]


def _source_key(pair: Pair) -> tuple[str, str]:
    """Hash of the paths, and hash of the files' sizes and times."""
    files = [path for path in (pair.image, pair.mask) if path is not None]
    places = json.dumps([str(path) for path in files])
    try:
        stats = [path.stat() for path in files]
    except OSError as error:
        raise RasterError(f"{error.filename}: cannot be opened: {error.strerror}") from error
    versions = json.dumps([[stat.st_size, stat.st_mtime_ns] for stat in stats])
    return _short_hash(places), _short_hash(versions)


def _decoding_key(data: DataConfig) -> str:
    fields = data.model_dump(mode="json", include=set(_DECODING_FIELDS))
    return _short_hash(json.dumps([FORMAT, fields], sort_keys=True))


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _cache_folder(data: DataConfig, folders: SplitConfig) -> tuple[Path, list[str]]:
    """Where entries are kept: as configured, or beside the images, or (where nobody may write) the user's cache."""
    if data.cache_dir is not None:
        _make_cache(data.cache_dir)
        return data.cache_dir, []
    first = next(folder for folder in (*folders.images, *folders.negatives))
    beside = (data.root if data.root is not None else _without_wildcards(first).parent) / ".flexunet-cache"
    try:
        _make_cache(beside)
    except OSError as error:
        elsewhere = _user_cache()
        _make_cache(elsewhere)
        return elsewhere, [f"decoded images are kept in {elsewhere}, because {beside}: {error.strerror}"]
    return beside, []


def _make_cache(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "CACHEDIR.TAG", _CACHE_TAG)


def _without_wildcards(folder: Path) -> Path:
    while any(sign in str(folder) for sign in "*?"):
        folder = folder.parent
    return folder


def _user_cache() -> Path:
    """The user's cache folder by the platform's custom."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "flexunet"


def _remove(path: Path) -> None:
    """Remove an outdated entry; on Windows one that is still mapped elsewhere stays for now."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return
