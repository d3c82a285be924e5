"""A scene as a model takes it: its bands in the model's order, and which pixels hold data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, RasterError
from ...modelfile import ModelRecord
from ...raster import Grid, Window, data_mask
from ...raster.closing import Closing
from ...raster.names import is_address
from ...raster.reader import GdalReader, RasterReader, coloured, open_raster
from .bands import choose_bands
from .collar import Collar, find_collar


class SceneSource(Closing):
    """Windows of a scene, ready to be normalised. A context manager; not to be shared between threads."""

    def __init__(
        self,
        scene: str | Path,
        record: ModelRecord,
        *,
        black_is_data: bool = False,
        collar: Collar | Literal["look"] | None = "look",
        threads: int = 1,
    ) -> None:
        """Open `scene`: a file, or any address that GDAL understands (`/vsicurl/https://...`).

        `collar`: what is known of it; `look`: it is looked for, unless `black_is_data`.

        Raises:
            RasterError: it cannot be opened.
            DataError: it has not the bands, or not the type, that the model was trained on.
        """
        self.name = str(scene)
        self._reader = open_scene(scene, record.data.bands, threads)
        self._use_alpha = record.data.alpha == "nodata"
        self._palette = self._reader.palette if isinstance(self._reader, GdalReader) else None
        names, dtype = self._reader.band_names, self._reader.dtype
        if self._palette is not None:
            names, dtype = ("red", "green", "blue"), "uint8"
        chosen = choose_bands(self.name, names, dtype, record)
        self.bands, self.by_position = chosen.bands, chosen.by_position
        self.dtype = np.dtype(dtype)
        self.shape = (self._reader.shape[1], self._reader.shape[2])
        self.grid: Grid = self._reader.grid
        self._nodata = record.data.nodata if self._reader.nodata is None else None
        if collar == "look":
            collar = None
            if not black_is_data and self._palette is None and isinstance(self._reader, GdalReader):
                collar = find_collar(self._reader, self.bands)
        self.collar = collar
        self.notes = chosen.notes + (collar.notes if collar is not None else ())

    @property
    def block_shape(self) -> tuple[int, int]:
        """(rows, columns) that are decoded in one go."""
        return self._reader.block_shape if isinstance(self._reader, GdalReader) else self.shape

    @property
    def decoded_bytes(self) -> int:
        """Memory that the open scene itself takes: pictures that are no rasters are decoded whole."""
        if isinstance(self._reader, GdalReader):
            return 0
        return int(np.prod(self._reader.shape)) * self.dtype.itemsize

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (C, h, w) in the model's band order, and which hold data, bool (h, w).

        Raises:
            RasterError: the file is damaged or cut there.
        """
        reader = self._reader
        if self._palette is not None and isinstance(reader, GdalReader):
            pixels: NDArray[Any] = coloured(reader.path, reader.raw(window, (1,))[0], self._palette)
            valid = np.ones(window.shape, np.bool_)
            if reader.masked:
                valid = reader.read_valid(window, (1,), use_alpha=self._use_alpha)[1]
            return pixels[[band - 1 for band in self.bands]], valid
        if isinstance(reader, GdalReader):
            once = tuple(dict.fromkeys(self.bands))
            pixels, valid = reader.read_valid(window, once, use_alpha=self._use_alpha)
            if once != self.bands:
                pixels = pixels[[once.index(band) for band in self.bands]]
        else:
            pixels, valid = reader.read_valid(window, self.bands)
        if self._nodata is not None:
            valid = valid & data_mask(pixels, self._nodata)
        if self.collar is not None:
            valid = valid & ~self.collar.within(window, pixels)
        return pixels, valid

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def open_scene(scene: str | Path, bands: tuple[int, ...] | None = None, threads: int = 1) -> RasterReader:
    """A reader of any scene.

    Raises:
        RasterError: it cannot be opened.
    """
    if is_address(scene):
        return GdalReader(Path(str(scene)), bands, address=str(scene), threads=threads)
    path = Path(scene)
    if path.is_dir():
        raise RasterError(f"{path}: is a folder")
    opened = open_raster(path)
    if isinstance(opened, GdalReader):
        opened.close()
        return GdalReader(path, bands, threads=threads)
    return opened


def refuse_by_position(source: SceneSource) -> None:
    """What `--strict` says of bands whose names did not help.

    Raises:
        DataError: always, when the bands were taken by position.
    """
    if source.by_position:
        raise DataError(f"{source.name}: {source.notes[0]}. --strict refuses that: name the scene's bands.")
