"""What every source layout is turned into: items with an image, a mask and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..classes import Colour, palette_colour
from ..config.schema import DataConfig
from ..data import Mask, decode_mask, resize_labels
from ..raster import Grid, Picture, RasterReader, Window, open_raster, read_picture
from ..raster.missing import collar
from ..raster.reader import PictureReader

Labels = NDArray[np.uint8]


class Image(Protocol):
    """Pixels of one item."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        ...

    @property
    def copyable(self) -> Path | None:
        """The file that can be copied as it is, if there is one."""
        ...

    def open(self) -> RasterReader:
        """A reader of it."""
        ...


class MaskSource(Protocol):
    """Labels of one item."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        ...

    @property
    def copyable(self) -> Path | None:
        """The file that can be copied as it is, if there is one."""
        ...

    def labels(self, size_hw: tuple[int, int], grid: Grid, window: Window | None = None) -> Labels:
        """Labels uint8 (H, W), 255 = ignore, of a picture of `size_hw` on `grid`, or of a window of it."""
        ...


@dataclass(frozen=True)
class PictureFile:
    """A picture or raster file. Small formats are decoded whole, scenes are read by windows."""

    path: Path
    nodata: float | None = None
    windowed: bool = False
    """Whether it is too large to be read in one piece."""
    alpha: Literal["nodata", "ignore"] = "nodata"
    exif_orientation: Literal["apply", "ignore"] = "apply"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def copyable(self) -> Path | None:
        usual = self.alpha == "nodata" and self.exif_orientation == "apply"
        return self.path if usual else None

    def open(self) -> RasterReader:
        if self.windowed:
            return open_raster(self.path)
        return _reader(self.path, self._picture())

    def _picture(self) -> Picture:
        return read_picture(
            self.path, nodata=self.nodata, alpha=self.alpha, exif_orientation=self.exif_orientation
        )

    def open_for_tiles(self) -> RasterReader:
        """A reader that keeps the picture for the next tile."""
        return open_raster(self.path) if self.windowed else _reader(self.path, _kept(self))

    def collar(self) -> NDArray[np.bool_] | None:
        """The collar of the picture, see `missing.collar`; kept for the next tile."""
        return _kept_collar(self)


@lru_cache(maxsize=4)
def _kept(image: PictureFile) -> Picture:
    return image._picture()


@lru_cache(maxsize=4)
def _kept_collar(image: PictureFile) -> NDArray[np.bool_] | None:
    return collar(_kept(image).pixels, _kept(image).valid)


def _reader(path: Path, picture: Picture) -> RasterReader:
    reader = DecodedReader(path, picture.pixels, picture.valid, picture.band_names, picture.grid)
    reader.notes = picture.notes
    return reader


class DecodedReader(PictureReader):
    """A picture in memory whose valid mask is known already."""

    notes: tuple[str, ...] = ()
    """What was done to it on reading, for people."""

    def read_valid(
        self, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        window, chosen = self._checked(window, bands)
        whole = window.shape == self.shape[1:] and chosen == tuple(range(1, self.shape[0] + 1))
        if whole:
            return self._pixels, self._shown
        part = self._pixels[[band - 1 for band in chosen], window.rows, window.cols]
        return part, self._shown[window.rows, window.cols]


def memory_reader(
    path: Path, pixels: NDArray[Any], valid: NDArray[np.bool_], names: tuple[str, ...], grid: Grid
) -> RasterReader:
    """A reader of pixels (C, H, W) in memory that come from `path`."""
    return DecodedReader(path, pixels, valid, names, grid)


@dataclass(frozen=True)
class MaskFile:
    """A mask file of any encoding; `settings` say its classes."""

    path: Path
    settings: DataConfig | None = None
    """Left out until the classes of all masks are known."""

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def copyable(self) -> Path | None:
        return self.path

    def labels(self, size_hw: tuple[int, int], grid: Grid, window: Window | None = None) -> Labels:
        settings = self.settings or DataConfig()
        whole = _decoded_mask(self.path, settings).labels
        if settings.mask_size == "resize" and whole.shape != size_hw:
            whole = resize_labels(whole, size_hw)
        return whole.copy() if window is None else whole[window.rows, window.cols].copy()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not quite as it should be; the mask is decoded for that, but for those read last."""
        return _decoded_mask(self.path, self.settings or DataConfig()).notes


@lru_cache(maxsize=4)
def _decoded_mask(path: Path, settings: DataConfig) -> Mask:
    return decode_mask(path, settings)


@dataclass(frozen=True)
class Item:
    """One picture of the raw material; without a mask it is a negative, all of it background."""

    id: str
    image: Image
    mask: MaskSource | None
    hints: Mapping[str, str] = field(default_factory=dict)
    """What the source tells: `region`, `split`, attributes."""
    companions: tuple[tuple[str, Path], ...] = ()
    """More rasters of the same ground, by name."""

    @property
    def stratum(self) -> str:
        """The folder it is written to."""
        return "images" if self.mask is not None else "negatives"


@dataclass(frozen=True)
class Source:
    """All that a layout has found."""

    layout: str
    root: Path
    items: tuple[Item, ...]
    class_names: tuple[str, ...] | None
    """With the background; None where they must be found in the mask files."""
    notes: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()

    def with_settings(self, settings: DataConfig) -> Source:
        """The same with mask files that are decoded by `settings`."""
        items = tuple(
            replace(item, mask=replace(item.mask, settings=settings))
            if isinstance(item.mask, MaskFile)
            else item
            for item in self.items
        )
        table = settings.class_table()
        return replace(self, items=items, class_names=table.names, colours=table.colours)

    def with_reading(self, settings: DataConfig) -> Source:
        """The same with picture files whose alpha and EXIF orientation are read by `settings`."""

        def read_so(image: Image) -> Image:
            if not isinstance(image, PictureFile):
                return image
            return replace(image, alpha=settings.alpha, exif_orientation=settings.exif_orientation)

        return replace(self, items=tuple(replace(item, image=read_so(item.image)) for item in self.items))

    @property
    def class_colours(self) -> tuple[Colour, ...]:
        """Colours of the classes: those given; yellow for the only object class; else the VOC palette."""
        if self.colours:
            return self.colours
        count = len(self.class_names or ())
        return ((0, 0, 0), (255, 255, 0)) if count == 2 else tuple(palette_colour(i) for i in range(count))
