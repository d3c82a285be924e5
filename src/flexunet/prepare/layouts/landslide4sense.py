"""Landslide4Sense: TrainData/{img,mask}/*.h5 with the keys `img` (128, 128, 14) and `mask` (128, 128)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...data.folders import first_folder
from ...errors import DataError, Problem, RasterError
from ...raster import Grid, RasterReader, Window
from ...raster.values import bring_to_native, data_mask, without_bad_floats
from ..items import Item, Labels, Source, memory_reader
from ..options import Options
from .folders import files_with

BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "slope", "dem")
"""Sentinel-2 bands as the dataset's authors number them, then slope and elevation (ALOS PALSAR)."""


@dataclass(frozen=True)
class H5Image:
    """The array `img` (H, W, C) of an HDF5 file."""

    path: Path
    nodata: float | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def copyable(self) -> Path | None:
        return None

    def open(self) -> RasterReader:
        with _array(self.path, "img", 3) as array:
            pixels = bring_to_native(np.ascontiguousarray(array.transpose(2, 0, 1)))
        names = BANDS if len(pixels) == len(BANDS) else tuple(f"band {i + 1}" for i in range(len(pixels)))
        valid = data_mask(pixels, self.nodata)
        return memory_reader(self.path, without_bad_floats(pixels), valid, names, Grid())


@dataclass(frozen=True)
class H5Mask:
    """The array `mask` (H, W) of an HDF5 file: 0 background, 1 landslide."""

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def copyable(self) -> Path | None:
        return None

    def labels(self, size_hw: tuple[int, int], grid: Grid, window: Window | None = None) -> Labels:
        """See `MaskSource`."""
        with _array(self.path, "mask", 2) as array:
            if not np.isin(array, (0, 1)).all():
                raise DataError(
                    f"{self.path}: mask holds {np.unique(array)[:8].tolist()}; 0 and 1 are expected."
                )
            labels: Labels = array.astype(np.uint8)
        return labels if window is None else labels[window.rows, window.cols]


@contextmanager
def _array(path: Path, key: str, axes: int) -> Iterator[Any]:
    """The array of a file.

    Raises:
        RasterError: no HDF5 file, damaged, without the key, or of another shape.
    """
    try:
        with h5py.File(path, "r") as file:
            if key not in file:
                raise RasterError(f"{path}: has no array {key!r}; it has {', '.join(file) or 'nothing'}.")
            array = np.asarray(file[key][()])
    except OSError as error:
        if isinstance(error, RasterError):
            raise
        raise RasterError(f"{path}: damaged or no HDF5 file: {error}") from error
    if array.ndim != axes or array.dtype.kind not in "buif":
        raise RasterError(f"{path}: {key} is {array.dtype} of shape {array.shape}; {axes} axes are expected.")
    yield array


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    return bool(_parts(root))


def _parts(root: Path) -> list[tuple[str, Path, Path | None]]:
    """Name, image folder and mask folder of each part; `root` may be a part itself."""
    parts = []
    for folder in (root, *(path for path in sorted(root.iterdir()) if path.is_dir())):
        images, masks = first_folder(folder, ("img",)), first_folder(folder, ("mask",))
        if images is not None and files_with(images, (".h5",)):
            parts.append(("" if folder == root else folder.name, images, masks))
    return parts


def read(root: Path, options: Options) -> Source:
    """Every part that has masks; `image_7.h5` belongs to `mask_7.h5`."""
    problems: list[Problem] = []
    notes = []
    items = []
    labelled = []
    for name, images, masks in _parts(root):
        if masks is None:
            notes.append(f"{name or root.name}: left out, it has no masks")
            continue
        labelled.append((name, images, masks))
    for name, images, masks in labelled:
        by_key = {_key(path): path for path in files_with(masks, (".h5",))}
        pictures = {_key(path): path for path in files_with(images, (".h5",))}
        for key in sorted(pictures.keys() ^ by_key.keys(), key=_natural):
            path = pictures.get(key, by_key.get(key))
            problems.append(Problem("has no mask." if key in pictures else "belongs to no image.", path))
        for key in sorted(pictures.keys() & by_key.keys(), key=_natural):
            stem = pictures[key].stem if len(labelled) == 1 else f"{name}_{pictures[key].stem}"
            image = H5Image(pictures[key], options.nodata)
            items.append(Item(stem, image, H5Mask(by_key[key]), {"region": name} if name else {}))
    if not items and not problems:
        problems.append(Problem("no part has both img/*.h5 and mask/*.h5.", root))
    if problems:
        raise DataError("Images and masks do not pair up:", problems)
    return Source("landslide4sense", root, tuple(items), ("background", "landslide"), tuple(notes))


def _key(path: Path) -> str:
    return path.stem.removeprefix("image").removeprefix("mask").strip("_")


def _natural(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() else 0, key)
