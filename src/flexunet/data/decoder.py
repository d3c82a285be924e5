"""One pair of files to one entry of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import BandsError, DataError, Problem, RasterError
from ..raster import read_picture
from .cache import remove_entry, source_key
from .entry import Entry, Header, digest_of, moments_of, read_entry, write_entry
from .masks import decode_mask
from .pairs import Pair
from .resize import reduce_labels, resize_labels, resize_pixels

REDUCE_ABOVE = 2.0
"""Pictures more than this many times larger than the network's size are kept reduced (`resize` and `fit`)."""
REDUCE_TO = 1.5
"""Size of a reduced picture in network sizes: enough for zooming in by that much without loss."""

_DAMAGED_CURE = 'Replace the file, or leave damaged ones out: data.on_damaged = "skip".'
_BANDS_CURE = "Choose with data.bands and data.channels."
_RESIZE_CURE = 'If both show the same ground, set data.mask_size = "resize".'


@dataclass(frozen=True)
class Failure:
    """Why a pair has no entry."""

    problem: Problem
    damaged: bool
    """Whether a file is damaged, rather than good and not what the config says."""


class Decoder:
    """Finds or makes the cache entry of a pair; called from many threads."""

    def __init__(self, data: DataConfig, folder: Path, full_size: bool) -> None:
        self.data, self.folder = data, folder
        self.reduces = data.sizing != "crop" and not full_size
        self.there: dict[str, list[str]] = {}
        if folder.is_dir():
            for name in sorted(item.name for item in folder.iterdir()):
                self.there.setdefault(name.partition("-")[0], []).append(name)

    def __call__(self, pair: Pair) -> Entry | Failure:
        try:
            place, version = source_key(pair)
            known = self.there.get(place, [])
            for name in (f"{place}-{version}.full", self._reduced_name(place, version)):
                entry = read_entry(self.folder / name) if name in known else None
                if entry is not None and self._suits(entry):
                    return entry
            entry = self._decode(pair, place, version)
        except BandsError as error:
            return Failure(Problem(str(error), cure=_BANDS_CURE), damaged=False)
        except RasterError as error:
            return Failure(Problem(str(error), cure=_DAMAGED_CURE), damaged=True)
        except DataError as error:
            return Failure(Problem(str(error)), damaged=False)
        except OSError as error:  # only writing the entry is left to fail
            raise RasterError(
                f"{self.folder}: decoded images cannot be kept: {error.strerror or error}. "
                f"Make room there, or set data.cache_dir."
            ) from error
        for name in known:
            if not name.startswith(f"{place}-{version}"):
                remove_entry(self.folder / name)
        return entry

    def _suits(self, entry: Entry) -> bool:
        """Whether an entry is of the size wanted."""
        return entry.header.shape[1:] == self._kept_size(entry.header.native_size)

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
        f"is {labels.shape[0]} x {labels.shape[1]} pixels (height x width), "
        f"its image {pair.image} is {size[0]} x {size[1]}",
        path=pair.mask,
        cure="Is one of them turned? See data.exif_orientation." if turned else _RESIZE_CURE,
    )
    raise DataError(str(problem))
