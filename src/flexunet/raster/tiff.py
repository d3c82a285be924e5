"""The container of a Cloud-Optimised GeoTIFF: the levels of a pyramid, each a file, put into one.

Compressed tiles are copied as they are. First come the directories of all levels, the largest first, then
the tiles from the smallest level to the largest, each level row by row: a reader gets the whole layout with
its first request. TIFF 6.0, BigTIFF where 4 GB are not enough, and GDAL's note that says so before the first
directory. As that note promises (see "Header ghost area" in the manual of GDAL's COG driver), the size of a
tile stands before it and its last four bytes once more behind it: one request gets a tile.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of a value of each TIFF type."""
_LONG, _LONG8 = 4, 16
_REDUCED, _OFFSETS, _COUNTS = 254, 324, 325
_OF_THE_WHOLE = {33550, 33922, 34264, 34735, 34736, 34737, 42112}
"""Tags of place, reference system and metadata: those of the largest level count for all."""
_SAID = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_NOTE = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_SAID) + _SAID

_AROUND = 8
"""Bytes before and behind a tile, half of them each."""

Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, values."""


@dataclass(frozen=True)
class _Level:
    """A tiled TIFF of one image."""

    path: Path
    entries: tuple[Entry, ...]
    offsets: NDArray[np.uint64]
    counts: NDArray[np.uint64]

    @property
    def length(self) -> int:
        """Bytes of its tiles in a COG."""
        return int(self.counts.sum()) + _AROUND * len(self.counts)


def join_levels(levels: Sequence[Path], out: Path, *, big: bool | None = None) -> None:
    """Write the tiled little-endian TIFFs `levels`, from the largest to the smallest, as one COG to `out`.

    `big`: as BigTIFF; None: where it has to be. Memory: a tile, and 16 bytes for each. Time: copying.

    Raises:
        OSError: a level lacks tiles, as after a full disk; or `out` cannot be written.
    """
    found = [_read(path) for path in levels]
    big = _end(found, big=False) >= 2**32 if big is None else big
    with out.open("wb") as target:
        target.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16 + len(_NOTE)) if big else b"")
        target.write(b"" if big else struct.pack("<2sHI", b"II", 42, 8 + len(_NOTE)))
        target.write(_NOTE)
        starts = _starts(found, big=big)
        for index, (level, start) in enumerate(zip(found, starts, strict=True)):
            entries = _entries(level, start, reduced=index > 0, big=big)
            target.write(_directory(entries, target.tell(), last=index + 1 == len(found), big=big))
        for level, start in zip(reversed(found), reversed(starts), strict=True):
            assert target.tell() == start
            with level.path.open("rb") as source:
                for offset, count in zip(level.offsets.tolist(), level.counts.tolist(), strict=True):
                    source.seek(offset)
                    tile = source.read(count)
                    target.write(struct.pack("<I", count) + tile + tile[-4:])


def _read(path: Path) -> _Level:
    """The only directory of a file and where its tiles are."""
    with path.open("rb") as source:
        head = source.read(16)
        assert head[:4] in (b"II*\0", b"II+\0"), "levels are little-endian TIFFs"
        big = head[:4] == b"II+\0"
        source.seek(struct.unpack("<Q", head[8:16])[0] if big else struct.unpack("<I", head[4:8])[0])
        number = struct.unpack("<Q", source.read(8))[0] if big else struct.unpack("<H", source.read(2))[0]
        width, layout = (20, "<HHQ8s") if big else (12, "<HHI4s")
        table = source.read(width * number)
        entries: dict[int, Entry] = {}
        for tag, kind, count, value in struct.iter_unpack(layout, table):
            length = count * _SIZES[kind]
            if length > len(value):
                source.seek(int.from_bytes(value, "little"))
                value = source.read(length)
            entries[tag] = (tag, kind, count, value[:length])
    offsets, counts = (_numbers(entries.pop(tag)) for tag in (_OFFSETS, _COUNTS))
    if not counts.all() or int((offsets + counts).max()) > path.stat().st_size:
        raise OSError(f"{path.name} is not whole")
    return _Level(path, tuple(entries.values()), offsets, counts)


def _numbers(entry: Entry) -> NDArray[np.uint64]:
    _, kind, _, values = entry
    return np.frombuffer(values, f"<u{_SIZES[kind]}").astype(np.uint64)


def _entries(level: _Level, start: int, *, reduced: bool, big: bool) -> list[Entry]:
    """The directory of a level whose tiles begin at `start`."""
    ends = start + np.cumsum(level.counts + np.uint64(_AROUND))
    places = (ends - level.counts - np.uint64(_AROUND // 2)).astype("<u8" if big else "<u4").tobytes()
    kept = [item for item in level.entries if item[0] not in (_OF_THE_WHOLE if reduced else ())]
    if reduced:
        kept = [item for item in kept if item[0] != _REDUCED]
        kept.append((_REDUCED, _LONG, 1, struct.pack("<I", 1)))
    kept.append((_OFFSETS, _LONG8 if big else _LONG, len(level.offsets), places))
    kept.append((_COUNTS, _LONG, len(level.counts), level.counts.astype("<u4").tobytes()))
    return sorted(kept)


def _directory(entries: Sequence[Entry], position: int, *, last: bool, big: bool) -> bytes:
    """A directory that stands at `position`, the next one right behind it."""
    inline = 8 if big else 4
    table, values = b"", b""
    tail = position + _table_size(len(entries), big)
    for tag, kind, count, raw in entries:
        place = raw.ljust(inline, b"\0")
        if len(raw) > inline:
            place = (tail + len(values)).to_bytes(inline, "little")
            values += raw + b"\0" * (len(raw) % 2)
        table += struct.pack("<HHQ8s" if big else "<HHI4s", tag, kind, count, place)
    following = 0 if last else tail + len(values)
    number = struct.pack("<Q" if big else "<H", len(entries))
    return number + table + following.to_bytes(inline, "little") + values


def _table_size(entries: int, big: bool) -> int:
    return 8 + 20 * entries + 8 if big else 2 + 12 * entries + 4


def _starts(levels: Sequence[_Level], *, big: bool) -> list[int]:
    """Where the tiles of each level begin."""
    position = (16 if big else 8) + len(_NOTE)
    for index, level in enumerate(levels):
        entries = _entries(level, 0, reduced=index > 0, big=big)
        position += len(_directory(entries, 0, last=True, big=big))
    starts = []
    for level in reversed(levels):
        starts.append(position)
        position += level.length
    return starts[::-1]


def _end(levels: Sequence[_Level], *, big: bool) -> int:
    return _starts(levels, big=big)[0] + levels[0].length
