"""How much of a scene may be in memory at once, and what that is cut into."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...errors import ConfigError
from ...modelfile import ModelRecord
from ...nets.memory import memory_estimate
from ...raster.pyramid import BLOCK, CHUNK
from ..tiles import TileGrid
from .stream import MOST_ROWS_OF_A_BLOCK, rows_of_blocks

FLOAT = 4
MB = 1_000_000
USUAL_BUFFERS = 600 * MB
"""What the stream may take beside the network where nobody set a limit."""
USUAL_NETWORK = 1000 * MB
"""What more images at a time may take in the network where nobody set a limit."""
LEAST_CACHE = 16 * MB
_AHEAD_BATCHES, _AHEAD_TILES = 2, 8
_SLACK = 1.15
"""Allocators and libraries keep some of what they were given."""
_LIBRARIES = 120 * MB
"""What PyTorch and GDAL set aside at their first use."""


@dataclass(frozen=True)
class Sizes:
    """What decides the memory of the stream."""

    grid: TileGrid
    shape: tuple[int, int]
    """(height, width) of the scene."""
    channels: int
    """Bands that are read."""
    inputs: int
    """Channels of a tile's input: bands times the different normalisations of an ensemble."""
    itemsize: int
    """Bytes of a value of a band."""
    classes: int
    shares: int
    """Bands of probability and confidence that are written."""
    block_shape: tuple[int, int]
    """(rows, columns) of the scene's blocks."""
    tile_input: tuple[int, int]
    """(height, width) of what the network gets."""

    def buffers(self, tile_cols: int, batch_size: int) -> int:
        """Bytes of the stream over `tile_cols` columns of tiles, GDAL's cache included."""
        scale = (self.shape[0] / self.grid.height, self.shape[1] / self.grid.width)
        spans = self.grid.cols
        reach = spans[min(tile_cols, len(spans)) - 1].stop - spans[0].start
        width, rows = reach * scale[1], self.grid.rows[0].length * scale[0]
        # a slab, what is read below it, masks; wide file types
        read = rows + 2 * rows_of_blocks(self.block_shape[0])
        slab = width * read * (1.5 * self.channels * self.itemsize + 3)
        strip: float = 3 * self.classes * reach * self.grid.rows[0].length * FLOAT
        if scale != (1.0, 1.0):
            strip += 3 * self.classes * width * rows * FLOAT
        written = width * rows * (4 + 10 * self.shares)
        # two rows of blocks of a level, and the one that they become
        joined = 2 * BLOCK * min(CHUNK, self.shape[1]) * (4 + 6 * self.shares)
        side = self.tile_input[0] * self.tile_input[1] * FLOAT
        tiles = 2 * (tiles_ahead(batch_size) + batch_size) * side * max(self.inputs, self.classes)
        return int(slab + strip + written + joined + tiles + self.cache(width))

    def cache(self, width: float) -> int:
        """GDAL's block cache that keeps a row of high blocks from being decoded twice."""
        if self.block_shape[0] <= MOST_ROWS_OF_A_BLOCK:
            return LEAST_CACHE
        block = self.block_shape[0] * (width + 2 * self.block_shape[1]) * self.channels * self.itemsize
        return int(min(max(1.3 * block, LEAST_CACHE), 512 * MB))


@dataclass(frozen=True)
class Budget:
    """What fits."""

    tile_cols: int
    """Columns of tiles that a panel has at most."""
    batch_size: int
    cache: int
    """GDAL's block cache in bytes."""
    expected: int
    """Peak memory of the process in bytes."""


def tiles_ahead(batch_size: int) -> int:
    """Tiles that wait before the network, and behind it."""
    return max(_AHEAD_BATCHES * batch_size, _AHEAD_TILES)


def network_bytes(record: ModelRecord, shape: tuple[int, int], images: int) -> int:
    """Bytes of a forward pass of `images` tiles of `shape` (height, width), weights included."""
    members = record.members or (record,)
    estimates = [
        memory_estimate(member.model, len(record.classes), (len(record.bands), *shape), images)
        for member in members
    ]
    # the members of an ensemble run one after another, their weights stay
    return max(item.prediction - item.weights for item in estimates) + sum(item.weights for item in estimates)


def fit_memory(sizes: Sizes, network: Callable[[int], int], batch_size: int, limit: int | None) -> Budget:
    """The widest panel, then the largest batch, that keeps the process within `limit` bytes.

    `network` gives the memory of a batch in the network, and of what else is there from the start. On a CPU
    a batch is the tiles that are computed at the same time.

    Raises:
        ConfigError: not even a single column of tiles fits; the message says what would.
    """
    libraries, columns = resident_bytes() + _LIBRARIES, len(sizes.grid.cols)
    for batch in _halves(batch_size):
        taken = libraries + network(batch)
        if limit is None and batch > 1 and network(batch) - network(1) > USUAL_NETWORK:
            continue
        room = (limit / _SLACK if limit is not None else taken + USUAL_BUFFERS) - taken
        fitting = _most(columns, partial(_fits, sizes, batch, room))
        if fitting or (limit is None and batch == 1):
            fitting = max(fitting, 1)
            width = sizes.grid.cols[fitting - 1].stop * sizes.shape[1] / sizes.grid.width
            expected = int((taken + sizes.buffers(fitting, batch)) * _SLACK)
            return Budget(fitting, batch, sizes.cache(width), expected)
    assert limit is not None
    least = int((taken + sizes.buffers(1, 1)) * _SLACK)
    raise ConfigError(
        f"--max-memory {limit / MB:.0f}MB is too little for this model and scene: one column of tiles needs "
        f"{least / MB:.0f}MB, {taken / MB:.0f}MB of it for the libraries and the network. Allow that much, "
        "or use smaller tiles (--tile)."
    )


def resident_bytes() -> int:
    """Memory that this process holds now."""
    if sys.platform.startswith("linux"):
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * 4096
    if sys.platform == "win32":
        return 400 * MB
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def parse_bytes(text: str) -> int:
    """`2GB`, `1.5 GiB`, `800MB` as bytes.

    Raises:
        ConfigError: not such a text.
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    units |= {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
    plain = text.replace(" ", "")
    number = plain.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    unit = plain[len(number) :].upper()
    try:
        size = int(float(number) * units[unit])
    except (ValueError, KeyError, OverflowError) as error:
        raise ConfigError(f"a memory of {text!r} means nothing; write 2GB, 1.5GiB or 800MB.") from error
    if size <= 0:
        raise ConfigError(f"a memory of {text!r} is nothing; write 2GB, 1.5GiB or 800MB.")
    return size


def _halves(number: int) -> Iterator[int]:
    while number > 1:
        yield number
        number //= 2
    yield 1


def _fits(sizes: Sizes, batch_size: int, room: float, tile_cols: int) -> bool:
    return sizes.buffers(tile_cols, batch_size) <= room


def _most(count: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `count` that fits; 0 if none does."""
    low, high = 0, count
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
