"""One decoded image with its labels in one flat file of the cache.

A file holds a magic word, the length of a JSON header, the header, pixels (H, W, C), labels (H, W) and,
unless every pixel is valid, valid (H, W), each at the offset that the header says. It appears whole or not at
all, so a process that dies leaves no half entry, and two that decode the same file write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import whole_file

FORMAT = 1
_MAGIC = b"flexunet"
_ALIGNMENT = 64


@dataclass(frozen=True)
class Moments:
    """Number of valid pixels, and each band's mean and sum of squared distances from it."""

    count: int
    mean: tuple[float, ...]
    squares: tuple[float, ...]

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub & LeVeque 1983, eq. 2.1)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        mean, squares = [], []
        for m1, s1, m2, s2 in zip(self.mean, self.squares, other.mean, other.squares, strict=True):
            step = m2 - m1
            mean.append(m1 + step * other.count / count)
            squares.append(s1 + s2 + step * step * self.count * other.count / count)
        return Moments(count, tuple(mean), tuple(squares))


@dataclass(frozen=True)
class Header:
    """What an entry holds."""

    shape: tuple[int, int, int]
    """(C, H, W) as kept."""
    dtype: str
    native_size: tuple[int, int]
    """(height, width) of the file."""
    all_valid: bool
    digest: str
    """Hash of the decoded pixels, labels and valid, before any reduction."""
    moments: Moments
    band_names: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """An entry of the cache, ready to be mapped."""

    path: Path
    header: Header
    start: int
    """Offset of the pixels in the file."""

    def image(self) -> NDArray[Any]:
        """Pixels (C, H, W), a read-only view of (H, W, C) memory."""
        bands, height, width = self.header.shape
        pixels = self._map(self.header.dtype, self.start, (height, width, bands))
        return pixels.transpose(2, 0, 1)

    def labels(self) -> NDArray[np.uint8]:
        """Labels uint8 (H, W), read-only."""
        return self._map("uint8", self._labels_at(), self.header.shape[1:])

    def valid(self) -> NDArray[np.bool_]:
        """Which pixels hold data, bool (H, W)."""
        if self.header.all_valid:
            return np.ones(self.header.shape[1:], np.bool_)
        pixels = self.header.shape[1] * self.header.shape[2]
        return self._map("bool", self._labels_at() + _padded(pixels), self.header.shape[1:])

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        pixels = self.header.shape[1] * self.header.shape[2]
        return self._labels_at() + _padded(pixels) * (1 if self.header.all_valid else 2)

    def _labels_at(self) -> int:
        return self.start + _padded(int(np.prod(self.header.shape)) * np.dtype(self.header.dtype).itemsize)

    def _map(self, dtype: str, offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.memmap(self.path, dtype, "r", offset, shape).view(np.ndarray)


def write_entry(
    path: Path,
    pixels: NDArray[Any],
    labels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    header: Header,
) -> Entry:
    """Write pixels (C, H, W), labels and valid (H, W) as one entry, whole or not at all."""
    text = json.dumps(asdict(header)).encode()
    start = _padded(len(_MAGIC) + 4 + len(text))
    try:
        with whole_file(path) as beside, beside.open("wb") as handle:
            handle.write((_MAGIC + len(text).to_bytes(4, "little") + text).ljust(start, b"\0"))
            _write_padded(handle, pixels.transpose(1, 2, 0))
            _write_padded(handle, labels)
            if not header.all_valid:
                _write_padded(handle, valid)
    except PermissionError:
        # Windows does not replace a file that another process has mapped; it has written the same then.
        there = read_entry(path)
        if there is None:
            raise
        return there
    return Entry(path, header, start)


def read_entry(path: Path) -> Entry | None:
    """The entry in a file, or None if it is no entry of this format or not whole."""
    try:
        with path.open("rb") as handle:
            head = handle.read(len(_MAGIC) + 4)
            if head[: len(_MAGIC)] != _MAGIC:
                return None
            length = int.from_bytes(head[len(_MAGIC) :], "little")
            fields = json.loads(handle.read(length))
            total = handle.seek(0, 2)
        moments = Moments(
            fields["moments"]["count"], tuple(fields["moments"]["mean"]), tuple(fields["moments"]["squares"])
        )
        header = Header(
            tuple(fields["shape"]), fields["dtype"], tuple(fields["native_size"]), fields["all_valid"],
            fields["digest"], moments, tuple(fields["band_names"]), tuple(fields["notes"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    entry = Entry(path, header, _padded(len(_MAGIC) + 4 + length))
    return entry if entry.size == total else None


def moments_of(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> Moments:
    """Moments of the valid pixels of (C, H, W), in float64."""
    count = int(valid.sum())
    if not count:
        return Moments(0, (0.0,) * len(pixels), (0.0,) * len(pixels))
    mean, squares = [], []
    for band in pixels:
        values = band[valid].astype(np.float64)
        mean.append(float(values.mean()))
        values -= mean[-1]
        squares.append(float(values @ values))
    return Moments(count, tuple(mean), tuple(squares))


def digest_of(*arrays: NDArray[Any]) -> str:
    """A hash of types, shapes and values."""
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def _padded(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _write_padded(handle: Any, array: NDArray[Any]) -> None:
    content = np.ascontiguousarray(array)
    handle.write(content.data)
    handle.write(b"\0" * (_padded(content.nbytes) - content.nbytes))
