"""Pictures that tiles are cut from at another size: every one of them is resized whole, then cut."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from ..errors import DataError
from ..raster import RasterReader
from .items import Image, Source, memory_reader
from .options import Options
from .resizing import asked_size, resized, resized_grid

Made = TypeVar("Made")
_LARGEST_PX = 2**24


class Kept(Generic[Made]):
    """What was made last, a few of them; each once, however many threads ask for it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()
        self._made: dict[str, Future[Made]] = {}

    def of(self, key: str, make: Callable[[], Made]) -> Made:
        """What `make` gives, or gave for this key before."""
        with self._lock:
            known = self._made.pop(key, None)
            future = self._made[key] = known or Future()
            while len(self._made) > self._count:
                del self._made[next(iter(self._made))]
        if known is None:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()


@dataclass(frozen=True)
class ResizedImage:
    """A picture at the size that the options ask for."""

    original: Image
    options: Options = field(repr=False)
    kept: Kept[Any] = field(repr=False, compare=False)
    """Resized pieces by item id, shared by all pictures of a source."""

    @property
    def files(self) -> tuple[Path, ...]:
        return self.original.files

    @property
    def copyable(self) -> Path | None:
        return None

    def open(self) -> RasterReader:
        """A reader of the resized picture; the original's where it has that size already."""
        reader = self.original.open()
        size_hw = reader.shape[1], reader.shape[2]
        wanted = self.size_of(size_hw)
        if wanted == size_hw:
            return reader
        with reader:
            pixels, valid = resized(*reader.read_valid(), wanted)
            grid = resized_grid(reader.grid, size_hw, wanted)
            return memory_reader(reader.path, pixels, valid, reader.band_names, grid)

    def size_of(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """What a picture of `size_hw` is brought to.

        Raises:
            DataError: too large to be held whole.
        """
        height, width = wanted = asked_size(size_hw, self.options)
        if wanted != size_hw and height * width > _LARGEST_PX:
            raise DataError(
                f"{self.files[0]}: would be resized to {width}x{height} pixels before it is cut into tiles; "
                f"{_LARGEST_PX} pixels are the most. Cut it first (--tile alone), then resize the tiles by a "
                "second prepare of them."
            )
        return wanted


def with_resized(source: Source, options: Options, workers: int) -> Source:
    """The source with pictures at the size that its tiles are cut from; itself where nothing is resized."""
    if options.tile is None or (options.size is None and options.min_side is None):
        return source
    kept: Kept[Any] = Kept(workers + 1)
    items = (replace(item, image=ResizedImage(item.image, options, kept)) for item in source.items)
    return replace(source, items=tuple(items))
