"""One face for every raster: `open_raster` gives pixels by window, from a BigTIFF or a small PNG alike."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from ..errors import RasterError
from .closing import Closing
from .decode import decode_npy, decode_picture, sniff
from .grid import PIXEL_TRANSFORM, ControlPoint, Grid
from .names import band_names, is_address
from .values import bring_to_native, chosen_bands, data_mask, native_dtype, without_bad_floats
from .window import Window

# Most pictures have no georeference and need none; a filter inside `catch_warnings` would not be thread-safe.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_TOLD_BY_CONTENT = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy", ".webp")
_SHOWN = 5


class RasterReader(Protocol):
    """Pixels of one raster; a context manager. Bands count from 1. Not to be shared between threads."""

    path: Path
    shape: tuple[int, int, int]
    """(bands, height, width), an alpha band not counted."""
    dtype: str
    """One of uint8, uint16, int16, float32; wider types in the file are read as float32."""
    grid: Grid
    band_names: tuple[str, ...]
    nodata: float | None
    """The value the file declares for missing pixels."""

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels (C, h, w) in `dtype`; NaN, infinities and ±3.4e38 are read as 0."""
        ...

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Which pixels hold data, bool (h, w): not transparent, not nodata, finite in all `bands`."""
        ...

    def read_valid(
        self, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """`read` and `valid` of the same window for one reading of the file."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Reader(Closing):
    """What both readers do the same way."""

    path: Path
    shape: tuple[int, int, int]

    def read_valid(
        self, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        raise NotImplementedError

    def read(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[Any]:
        return self.read_valid(window, bands)[0]

    def valid(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        return self.read_valid(window, bands)[1]

    def _checked(self, window: Window | None, bands: Sequence[int] | None) -> tuple[Window, tuple[int, ...]]:
        count, height, width = self.shape
        window = window or Window(0, 0, height, width)
        if not window.within(height, width):
            raise RasterError(f"{self.path}: {window} lies outside its {height} x {width} pixels")
        return window, chosen_bands(self.path, bands, count)


class PictureReader(_Reader):
    """A picture that is decoded whole when it is opened: PNG, JPEG, BMP, WebP, `.npy`."""

    def __init__(
        self, path: Path, pixels: NDArray[Any], valid: NDArray[np.bool_], names: tuple[str, ...], grid: Grid
    ) -> None:
        self.path, self.grid, self.band_names = path, grid, names
        self.shape = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
        self.dtype = pixels.dtype.name
        self.nodata: float | None = None
        self._pixels, self._shown = pixels, valid

    def read_valid(
        self, window: Window | None = None, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See `RasterReader`."""
        window, chosen = self._checked(window, bands)
        part = self._pixels[[band - 1 for band in chosen], window.rows, window.cols]
        return without_bad_floats(part), self._shown[window.rows, window.cols] & data_mask(part)


class GdalReader(_Reader):
    """A raster that GDAL reads by windows: TIFF, GeoTIFF, BigTIFF, JPEG 2000, VRT, ENVI, NetCDF, ..."""

    def __init__(
        self, path: Path, wanted: Sequence[int] | None = None, *, address: str | None = None, threads: int = 1
    ) -> None:
        """Open `path`; an alpha band among the bands `wanted` is data (many infrared bands are tagged as
        alpha). `address` is what GDAL opens where that is no file (`/vsicurl/https://...`); `threads` decode
        the blocks of a window together where the format can."""
        self.path = path
        self._lock = threading.Lock()
        options = {"NUM_THREADS": threads} if threads > 1 else {}
        try:
            self._source = rasterio.open(address or path, **options)
        except (RasterioError, OSError, ValueError) as error:
            raise RasterError(f"{address or path}: cannot be read as a raster: {error}") from error
        source = self._source
        if source.subdatasets and not source.count:
            listed = ", ".join(source.subdatasets[:_SHOWN]) + (
                ", ..." if len(source.subdatasets) > _SHOWN else ""
            )
            raise RasterError(f"{path}: holds several rasters; name one of them: {listed}")
        meanings = enumerate(source.colorinterp, 1)
        alphas = [i for i, meaning in meanings if meaning == ColorInterp.alpha and i not in (wanted or ())]
        self._alpha = alphas[0] if alphas and source.count > 1 else None
        self._bands = tuple(i for i in source.indexes if i != self._alpha)
        if not self._bands or source.dtypes[0].startswith("complex"):
            raise RasterError(f"{path}: has no bands of real numbers")
        self.shape = (len(self._bands), source.height, source.width)
        self._file_dtype = str(np.result_type(*(source.dtypes[i - 1] for i in self._bands)))
        self.dtype = native_dtype(self._file_dtype)
        self._nodata = tuple(source.nodatavals[i - 1] for i in self._bands)
        self.nodata = next((value for value in self._nodata if value is not None), None)
        self.grid = _grid_of(source)
        self.band_names = band_names(
            len(self._bands),
            [source.descriptions[i - 1] for i in self._bands],
            self.dtype,
            [source.colorinterp[i - 1] for i in self._bands],
        )
        flags = source.mask_flag_enums[self._bands[0] - 1]
        self._mask_band = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags

    @property
    def palette(self) -> NDArray[np.uint8] | None:
        """RGB colours (256, 3) of the values of a palette TIFF."""
        if self._source.colorinterp[0] != ColorInterp.palette:
            return None
        table = self._source.colormap(1)
        return np.asarray([table.get(i, (0, 0, 0, 0))[:3] for i in range(max(table) + 1)], np.uint8)

    @property
    def masked(self) -> bool:
        """Whether the file says itself which pixels are missing: nodata value, alpha or mask band."""
        return self._alpha is not None or self._mask_band or self.nodata is not None

    @property
    def overview_factors(self) -> tuple[int, ...]:
        """By how much the reduced copies in the file are smaller."""
        return tuple(self._source.overviews(self._bands[0]))

    @property
    def block_shape(self) -> tuple[int, int]:
        """(rows, columns) of what is decoded in one go."""
        rows, cols = self._source.block_shapes[self._bands[0] - 1]
        return int(rows), int(cols)

    @property
    def lossy(self) -> bool:
        """Whether the pixels went through a JPEG."""
        compression = self._source.compression
        return compression is not None and "JPEG" in str(compression.value).upper()

    @property
    def bilevel(self) -> bool:
        """Whether a pixel has one bit."""
        tags: dict[str, str] = self._source.tags(ns="IMAGE_STRUCTURE", bidx=self._bands[0])
        return tags.get("NBITS") == "1"

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def alpha(self, window: Window | None = None) -> NDArray[Any] | None:
        """The transparency band (h, w), if the file has one."""
        if self._alpha is None:
            return None
        window, _ = self._checked(window, None)
        alpha: NDArray[Any] = self._read_file((self._alpha,), window)[0]
        return alpha

    def raw(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels (C, h, w) in the file's own type and with its own bad values."""
        window, chosen = self._checked(window, bands)
        return self._read_file(tuple(self._bands[band - 1] for band in chosen), window)

    def read_valid(
        self, window: Window | None = None, bands: Sequence[int] | None = None, *, use_alpha: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See `RasterReader`; `use_alpha=False` takes transparent pixels for data."""
        window, chosen = self._checked(window, bands)
        pixels = self.raw(window, chosen)
        valid = data_mask(pixels, each=tuple(self._nodata[band - 1] for band in chosen))
        if use_alpha and self._alpha is not None:
            valid &= self._read_file((self._alpha,), window)[0] > 0
        if use_alpha and self._mask_band:
            valid &= self._read_mask(window) > 0
        return without_bad_floats(bring_to_native(pixels)), valid

    @property
    def nodata_values(self) -> tuple[float | None, ...]:
        """The value that marks missing pixels, band by band."""
        return self._nodata

    def decimated(
        self, bands: Sequence[int], shape: tuple[int, int], how: Resampling = Resampling.nearest
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """All of the raster at the size `shape`: pixels (C, h, w) in the file's own type, and where its
        alpha band or mask shows them, bool (h, w)."""
        indexes = [self._bands[band - 1] for band in bands]
        with self._lock:
            pixels: NDArray[Any] = self._source.read(
                indexes, out_shape=(len(indexes), *shape), resampling=how
            )
            shown = np.ones(shape, np.bool_)
            if self._alpha is not None:
                shown &= self._source.read(self._alpha, out_shape=shape) > 0
            if self._mask_band:
                shown &= self._source.read_masks(self._bands[0], out_shape=shape) > 0
        return pixels, shown

    def _read_mask(self, window: Window) -> NDArray[np.uint8]:
        """The mask band (h, w), 0 where data are missing."""
        try:
            with self._lock:
                mask: NDArray[np.uint8] = self._source.read_masks(self._bands[0], window=_gdal_window(window))
        except (RasterioError, RasterioIOError, OSError, ValueError) as error:
            raise RasterError(f"{self.path}: damaged or cut: {error.__cause__ or error}") from error
        return mask

    def _read_file(self, indexes: tuple[int, ...], window: Window) -> NDArray[Any]:
        try:
            with self._lock:
                pixels: NDArray[Any] = self._source.read(list(indexes), window=_gdal_window(window))
        except (RasterioError, RasterioIOError, OSError, ValueError) as error:
            cause = error.__cause__ or error.__context__ or error
            raise RasterError(f"{self.path}: damaged or cut: {cause}") from error
        return pixels


def open_raster(path: Path | str) -> RasterReader:
    """A raster of any kind, ready to be read by windows; its kind is told by content, not by name. A text is
    an address (see `is_address`) or a path.

    TIFFs and all that GDAL knows cost the memory of the window that is read; PNG, JPEG, BMP and `.npy` are
    decoded whole.

    Raises:
        RasterError: the file is missing, empty, damaged or no raster.
    """
    if is_address(path):
        return GdalReader(Path(path), address=str(path))
    path = Path(path)
    kind = sniff(path)
    if kind in ("tiff", "unknown"):
        refuse_foreign(path, kind)
        return GdalReader(path)
    if kind == "npy":
        pixels = bring_to_native(decode_npy(path).bands)
        names = band_names(len(pixels), (), "array")
        return PictureReader(path, pixels, np.ones(pixels.shape[1:], np.bool_), names, Grid())
    decoded = decode_picture(path, kind, "apply")
    pixels = decoded.bands if decoded.palette is None else coloured(path, decoded.bands[0], decoded.palette)
    shown = np.ones(pixels.shape[1:], np.bool_) if decoded.alpha is None else decoded.alpha > 0
    pixels = bring_to_native(pixels)
    return PictureReader(path, pixels, shown, band_names(len(pixels), (), "uint8"), side_grid(path))


def refuse_foreign(path: Path, kind: str) -> None:
    """Refuse a file of unknown content that is named like a picture: it is damaged or a liar, and GDAL need
    not guess. All else of unknown content is GDAL's to open or to refuse."""
    if kind == "unknown" and path.suffix.lower() in _TOLD_BY_CONTENT:
        with path.open("rb") as handle:
            head = handle.read(12)
        raise RasterError(f"{path}: is not a picture: it starts with {head!r}")


def coloured(path: Path, indices: NDArray[Any], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Palette indices (H, W) as their RGB colours (3, H, W)."""
    if indices.max(initial=0) >= len(palette):
        raise RasterError(f"{path}: index {indices.max()} is beyond its palette of {len(palette)} colours")
    colours: NDArray[np.uint8] = palette[indices].transpose(2, 0, 1)
    return colours


def side_grid(path: Path) -> Grid:
    """The grid of a picture with a world file or `.aux.xml` beside it; the pixel grid without one."""
    letters = path.suffix[1:]
    sides = [path.with_name(path.name + ".aux.xml"), path.with_suffix(".wld")]
    if len(letters) > 1:
        sides += [path.with_suffix(f".{letters[0]}{letters[-1]}w"), path.with_suffix(f".{letters}w")]
    if not any(side.exists() for side in sides):
        return Grid()
    try:
        with rasterio.open(path) as source:
            return _grid_of(source)
    except (RasterioError, OSError, ValueError):
        return Grid()


def _grid_of(source: Any) -> Grid:
    """Transform and CRS of an open dataset, or its ground control points and theirs."""
    a, b, c, d, e, f = tuple(source.transform)[:6]
    crs = source.crs
    gcps, gcps_crs = source.gcps
    points: tuple[ControlPoint, ...] = ()
    if gcps and (a, b, c, d, e, f) == PIXEL_TRANSFORM:
        points = tuple(ControlPoint(p.row, p.col, p.x, p.y, p.z or 0.0) for p in gcps)
        crs = crs or gcps_crs
    return Grid((a, b, c, d, e, f), crs.to_wkt() if crs else None, points)


def _gdal_window(window: Window) -> Any:
    return rasterio.windows.Window(window.col, window.row, window.width, window.height)
