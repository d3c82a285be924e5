"""A picture on its way into the dataset: read with all its bands, resized, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Colour
from ..errors import DataError, RasterError
from ..raster import (
    Grid,
    RasterReader,
    Window,
    open_raster,
    read_mask_picture,
    read_onto,
    write_raster,
)
from . import terrain
from .items import DecodedReader, Item, Labels, PictureFile
from .missing import collar, find_marks, without_marks
from .options import Options

Pixels = NDArray[Any]
Valid = NDArray[np.bool_]
IGNORE_COLOUR: Colour = (128, 128, 128)
_BANDS_A_CALL = 4
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY)
# Enlarged and moved pictures are smooth: searching for repeats finds nothing in them. A quarter faster and a
# tenth smaller than OpenCV's own choice.
_PNG_OF_PICTURES = (
    *_PNG, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG
)  # fmt: skip
# Masks are runs of one value.
_PNG_OF_MASKS = (*_PNG, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)


@dataclass(frozen=True)
class Piece:
    """A picture or a tile of one."""

    pixels: Pixels
    """(C, H, W), uint8, uint16, int16 or float32."""
    valid: Valid
    """(H, W)"""
    labels: Labels | None
    """(H, W), 255 = ignore; None where labels are not needed."""
    grid: Grid
    names: tuple[str, ...]
    image_bands: int = 0
    """How many of the bands are the image's own; companions and terrain follow them."""
    found: tuple[str, ...] = ()
    """Missing data that no file declares."""
    notes: tuple[str, ...] = ()
    """What was done to the picture on reading, for people."""

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.valid.shape[0], self.valid.shape[1]


def read_piece(item: Item, options: Options, window: Window | None, *, labelled: bool) -> Piece:
    """All bands of an item (or of a window of it), where they hold data, and its labels.

    Raises:
        DataError, RasterError: something cannot be read or does not fit.
    """
    with _opened(item, window) as reader:
        size_hw = reader.shape[1], reader.shape[2]
        pixels, valid = reader.read_valid(window)
        grid, names = reader.grid, reader.band_names
        around = _collar(item, reader, pixels, window) if options.collars else None
        valid, found = _undeclared(pixels, valid, around)
        own, notes = len(pixels), reader.notes if isinstance(reader, DecodedReader) else ()
        extras = [
            _companion(name, path, grid, size_hw, window, item) for name, path in _companions(item, options)
        ]
        bands, known, extra_names = _joined(extras)
        if options.terrain:
            derived, where, derived_names = _derived(item, reader, options, window)
            bands, known = [*bands, derived], [*known, where]
            extra_names = (*extra_names, *derived_names)
    if bands:
        dtype = np.result_type(pixels.dtype, *(band.dtype for band in bands))
        dtype = dtype if dtype.name in ("uint8", "uint16", "int16") else np.dtype(np.float32)
        pixels = np.concatenate([pixels.astype(dtype), *(band.astype(dtype) for band in bands)])
        valid = np.logical_and.reduce([valid, *known])
        names = (*names, *extra_names)
    labels = None
    if labelled:
        labels = np.zeros(valid.shape, np.uint8)
        if item.mask is not None:
            labels = item.mask.labels(size_hw, grid, window)
        if labels.shape != valid.shape:
            (height, width), (rows, columns) = labels.shape, valid.shape
            name = item.mask.files[0] if item.mask is not None else item.id
            raise DataError(
                f"{name}: {width}x{height} pixels, but its image has {columns}x{rows}. If both show the same "
                "ground: --set data.mask_size=resize."
            )
        labels[~valid] = IGNORE_INDEX
    here = grid.shifted(window.row, window.col) if window is not None and grid.is_georeferenced else grid
    return Piece(pixels, valid, labels, here, names, own, found, notes)


def _opened(item: Item, window: Window | None) -> RasterReader:
    if window is not None and isinstance(item.image, PictureFile):
        return item.image.open_for_tiles()
    return item.image.open()


def _collar(item: Item, reader: RasterReader, pixels: Pixels, window: Window | None) -> Valid | None:
    """The collar in a window: that of a picture in memory, else what the window shows of it."""
    if window is None:
        return collar(pixels)
    if isinstance(item.image, PictureFile) and not item.image.windowed:
        whole = item.image.collar()
        return None if whole is None else whole[window.rows, window.cols]
    _, height, width = reader.shape
    bottom, right = window.row + window.height == height, window.col + window.width == width
    return collar(pixels, (window.row == 0, bottom, window.col == 0, right))


def _undeclared(pixels: Pixels, valid: Valid, around: Valid | None) -> tuple[Valid, tuple[str, ...]]:
    """Valid pixels without marks and collars, and what was found."""
    found = []
    marks = find_marks(pixels, valid)
    if marks:
        valid = without_marks(pixels, valid, marks)
        found += [f"{mark:g}" for mark in marks]
    if around is not None and (around & valid).any():
        valid = valid & ~around
        found.append("collar of zeros")
    return valid, tuple(found)


# ------------------------------------------------------------------------------ companions, terrain


def _companions(item: Item, options: Options) -> list[tuple[str, Path]]:
    """Name and file of the item's companions: those that the options name."""
    found = []
    own = dict(item.companions)
    for text in options.companions:
        name, _, place = text.partition("=")
        path = Path(place)
        if place == "own":
            if name not in own:
                raise DataError(f"{item.image.files[0]}: has no companion {name!r} in its source.")
            path = own[name]
        elif path.is_dir():
            fitting = [file for file in sorted(path.iterdir()) if file.stem == item.image.files[0].stem]
            if len(fitting) != 1:
                raise DataError(
                    f"{path}: {len(fitting)} files fit {item.image.files[0].name} where one is expected."
                )
            path = fitting[0]
        found.append((name, path))
    return found


_Extra = tuple[Pixels, Valid, tuple[str, ...]]


def _companion(
    name: str, path: Path, grid: Grid, size_hw: tuple[int, int], window: Window | None, item: Item
) -> _Extra:
    """A companion's bands on the image grid: by coordinates where both have them, else by stretching."""
    here = grid if window is None else grid.shifted(window.row, window.col)
    size = size_hw if window is None else window.shape
    with open_raster(path) as reader:
        count, native = reader.shape[0], reader.shape[1:]
        placed = reader.grid.crs_wkt is not None and grid.crs_wkt is not None
        if placed and reader.grid == grid and native == size_hw:
            pixels, valid = reader.read_valid(window)
        elif placed:
            pixels, valid = read_onto(path, here, size)
        else:
            pixels, valid = reader.read_valid()
            pixels, valid = resized(pixels, valid, size_hw)
            if window is not None:
                pixels, valid = pixels[:, window.rows, window.cols], valid[window.rows, window.cols]
    valid = without_marks(pixels, valid, find_marks(pixels, valid))
    if not valid.any() and window is None:
        raise DataError(f"{path}: has no data where {item.image.files[0].name} lies.")
    names = (name,) if count == 1 else tuple(f"{name}_{i}" for i in range(1, count + 1))
    return pixels, valid, names


def _joined(extras: Sequence[_Extra]) -> tuple[list[Pixels], list[Valid], tuple[str, ...]]:
    names = tuple(name for _, _, own in extras for name in own)
    return [pixels for pixels, _, _ in extras], [valid for _, valid, _ in extras], names


def _derived(item: Item, reader: RasterReader, options: Options, window: Window | None) -> _Extra:
    """Terrain bands; read with a halo, so that tiles meet without seams."""
    _, height, width = reader.shape
    whole = window or Window(0, 0, height, width)
    wide = whole.grown(terrain.HALO_PX, height, width)
    elevation, valid = _elevation(item, reader, options, wide)
    cell = terrain.cell_size(reader.grid, whole.row + whole.height / 2, options.pixel_size)
    bands, known = terrain.derive(elevation, valid, cell, options.terrain)
    rows = slice(whole.row - wide.row, whole.row - wide.row + whole.height)
    cols = slice(whole.col - wide.col, whole.col - wide.col + whole.width)
    return bands[:, rows, cols], known[rows, cols], terrain.band_names(options.terrain)


def _elevation(
    item: Item, reader: RasterReader, options: Options, window: Window
) -> tuple[NDArray[np.float32], Valid]:
    """The band that `dem` names: a companion, a band number, or (left out) the only candidate."""
    companions = dict(_companions(item, options))
    name = options.dem or ("dem" if "dem" in companions else "1" if reader.shape[0] == 1 else "")
    if name.isdecimal() and name not in companions:
        if not 1 <= int(name) <= reader.shape[0]:
            raise DataError(
                f"{reader.path}: has bands 1 to {reader.shape[0]}; the elevation cannot be band {name}."
            )
        pixels, valid = reader.read_valid(window, (int(name),))
    elif name in companions:
        size_hw = reader.shape[1], reader.shape[2]
        pixels, valid, _ = _companion(name, companions[name], reader.grid, size_hw, window, item)
    else:
        known = ", ".join([*companions, f"band numbers 1 to {reader.shape[0]}"])
        raise DataError(f"{reader.path}: which band is the elevation? Say it with --dem: {known}.")
    valid = without_marks(pixels, valid, find_marks(pixels, valid))
    return pixels[0].astype(np.float32), valid


# ----------------------------------------------------------------------------------------- resizing


def output_size(size_hw: tuple[int, int], options: Options) -> tuple[int, int]:
    """Height and width that a picture is brought to."""
    if options.size is not None:
        return options.size
    return size_hw if options.min_side is None else enlarged_size(size_hw, options.min_side)


def enlarged_size(size_hw: tuple[int, int], min_side: int) -> tuple[int, int]:
    """Height and width with the shorter one at least `min_side`, aspect kept to the nearest pixel."""
    short = min(size_hw)
    if short >= min_side:
        return size_hw
    height, width = (round(edge * min_side / short) for edge in size_hw)
    return height, width


def resized_piece(piece: Piece, size_hw: tuple[int, int]) -> Piece:
    """The piece at another size: image linearly (averaged where it shrinks), labels by nearest pixel."""
    if piece.size_hw == size_hw:
        return piece
    pixels, valid = resized(piece.pixels, piece.valid, size_hw)
    labels = piece.labels
    if labels is not None:
        labels = np.asarray(
            cv2.resize(labels, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
        )
        labels[~valid] = IGNORE_INDEX
    a, b, c, d, e, f = piece.grid.transform
    down, across = piece.size_hw[0] / size_hw[0], piece.size_hw[1] / size_hw[1]
    grid = piece.grid
    if grid.is_georeferenced:
        grid = Grid((a * across, b * down, c, d * across, e * down, f), grid.crs_wkt)
    return replace(piece, pixels=pixels, valid=valid, labels=labels, grid=grid)


def resized(pixels: Pixels, valid: Valid, size_hw: tuple[int, int]) -> tuple[Pixels, Valid]:
    """(C, H, W) and (H, W) at another size; pixels that a missing one reaches into are missing."""
    if pixels.shape[1:] == size_hw:
        return pixels, valid
    shrinks = pixels.shape[1] > size_hw[0] and pixels.shape[2] > size_hw[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = np.empty((len(pixels), *size_hw), pixels.dtype)
    for first in range(0, len(pixels), _BANDS_A_CALL):
        stack = np.ascontiguousarray(pixels[first : first + _BANDS_A_CALL].transpose(1, 2, 0))
        shown = cv2.resize(stack, size_hw[::-1], interpolation=how)
        out[first : first + _BANDS_A_CALL] = shown.reshape(*size_hw, -1).transpose(2, 0, 1)
    if valid.all():
        return out, np.ones(size_hw, np.bool_)
    known = cv2.resize(valid.astype(np.float32), size_hw[::-1], interpolation=how)
    return out, np.asarray(known >= np.float32(1 - 1e-4))


# ------------------------------------------------------------------------------------------ writing


def image_suffix(piece: Piece) -> str:
    """`.png` for 8-bit pictures of one or three bands without georeference, else `.tif`."""
    bands = len(piece.pixels)
    plain = piece.pixels.dtype == np.uint8 and not piece.grid.is_georeferenced
    return ".png" if plain and (bands == 3 or (bands == 1 and bool(piece.valid.all()))) else ".tif"


def write_image(path: Path, piece: Piece) -> None:
    """The picture with its missing pixels: transparent in a PNG, a nodata value in a GeoTIFF."""
    if path.suffix == ".png":
        path.write_bytes(png_bytes(piece.pixels, None if piece.valid.all() else piece.valid))
        return
    pixels, nodata = marked(piece.pixels, piece.valid)
    write_raster(path, pixels, piece.grid, nodata, names=piece.names)


def marked(pixels: Pixels, valid: Valid) -> tuple[Pixels, float | None]:
    """Pixels whose missing ones hold a value that no other has, and that value; the type grows if it must."""
    if valid.all():
        return pixels, None
    if pixels.dtype.kind == "f":
        return np.where(valid, pixels, np.float32(np.nan)), float("nan")
    if pixels.dtype.kind == "u" and (pixels[:, valid].any(0)).all():
        return np.where(valid, pixels, pixels.dtype.type(0)), 0.0
    limits = np.iinfo(pixels.dtype)
    for value in (limits.min, limits.max):
        if value != 0 and not (pixels[:, valid] == value).any():
            return np.where(valid, pixels, pixels.dtype.type(value)), float(value)
    wider = np.int16 if pixels.dtype == np.uint8 else np.float32
    return marked(pixels.astype(wider), valid)


def png_bytes(pixels: Pixels, valid: Valid | None) -> bytes:
    """PNG bytes of uint8 (1 or 3, H, W); missing pixels are transparent."""
    picture = pixels[0] if len(pixels) == 1 else cv2.merge([pixels[2], pixels[1], pixels[0]])
    if valid is not None:
        blank = np.where(valid, pixels, pixels.dtype.type(0))
        picture = cv2.merge([blank[2], blank[1], blank[0], valid.astype(np.uint8) * np.uint8(255)])
    return _encoded(picture)


def copied_mask_bytes(path: Path, size_hw: tuple[int, int]) -> bytes:
    """PNG bytes of a mask file at another size with its own values; palettes become colours, 1 bit 0 and 255.

    Raises:
        RasterError: its values fit no PNG.
    """
    stack = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if stack is None:
        bands = read_mask_picture(path).bands
        stack = np.ascontiguousarray(bands[::-1].transpose(1, 2, 0))
    if stack.dtype not in (np.uint8, np.uint16) or (stack.ndim == 3 and stack.shape[2] not in (1, 3, 4)):
        raise RasterError(f"{path}: a mask of {stack.dtype} cannot be kept as a PNG; choose --masks index.")
    return _encoded(cv2.resize(stack, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), _PNG_OF_MASKS)


def _encoded(picture: Pixels, how: Sequence[int] = _PNG_OF_PICTURES) -> bytes:
    fine, encoded = cv2.imencode(".png", picture, how)
    assert fine, "PNG holds every picture of 8 and 16 bits"
    return encoded.tobytes()


def write_mask(path: Path, labels: Labels, grid: Grid, colours: Sequence[Colour], *, indices: bool) -> None:
    """Labels as 8-bit class indices (255 = ignore), or as colours (ignored pixels are grey)."""
    table = [*colours, *[IGNORE_COLOUR] * (256 - len(colours))]
    if path.suffix == ".png":
        path.write_bytes(_mask_bytes(labels, table, indices))
    elif indices:
        write_raster(path, labels, grid)
    else:
        write_raster(path, np.asarray(table, np.uint8)[labels].transpose(2, 0, 1), grid)


def _mask_bytes(labels: Labels, table: Sequence[Colour], indices: bool) -> bytes:
    if not indices:
        return _encoded(np.ascontiguousarray(np.asarray(table, np.uint8)[labels][..., ::-1]), _PNG_OF_MASKS)
    return _encoded(labels, _PNG_OF_MASKS)


def picture_for_matching(item: Item) -> Pixels:
    """(H, W, C) as `find_overlaps` takes it, colours as BGR.

    Which thin strips of shared ground are found depends a little on the order of the channels; splits that
    results stand on were made with this one.
    """
    with item.image.open() as reader:
        return np.ascontiguousarray(reader.read()[::-1].transpose(1, 2, 0))
