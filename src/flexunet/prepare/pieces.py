"""A picture on its way into the dataset: read with all its bands, companions and terrain among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..errors import DataError
from ..raster import Grid, RasterReader, Window, open_raster, read_onto
from ..raster.missing import collar, find_marks, without_marks
from . import terrain
from .items import DecodedReader, Item, Labels, PictureFile
from .options import Options
from .resized_pictures import ResizedImage
from .resizing import Pixels, Valid, resized, resized_grid


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
    cut_from_hw: tuple[int, int] | None = None
    """The size of the resized picture that this is a tile of."""

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.valid.shape[0], self.valid.shape[1]


def read_piece(item: Item, options: Options, window: Window | None, *, labelled: bool) -> Piece:
    """All bands of an item (or of a window of it), where they hold data, and its labels.

    Raises:
        DataError, RasterError: something cannot be read or does not fit.
    """
    if isinstance(item.image, ResizedImage):
        return _read_resized(item, item.image, options, window)
    with _opened(item, window) as reader:
        size_hw = reader.shape[1], reader.shape[2]
        pixels, valid = reader.read_valid(window)
        grid, names = reader.grid, reader.band_names
        around = _collar(item, reader, pixels, valid, window) if options.collars else None
        valid, found = _undeclared(pixels, valid, around)
        own, notes = len(pixels), reader.notes if isinstance(reader, DecodedReader) else ()
        extras = [
            _companion(name, path, grid, size_hw, window, item) for name, path in companions_of(item, options)
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
    grid = resized_grid(piece.grid, piece.size_hw, size_hw)
    return replace(piece, pixels=pixels, valid=valid, labels=labels, grid=grid)


def _read_resized(item: Item, image: ResizedImage, options: Options, window: Window | None) -> Piece:
    """A window of the resized picture, read and looked through at its own size, with labels."""
    original = replace(item, image=image.original)
    with _opened(original, window) as reader:
        size_hw = reader.shape[1], reader.shape[2]
    wanted = image.size_of(size_hw)
    if wanted == size_hw:
        return read_piece(original, options, window, labelled=True)

    def whole() -> Piece:
        return resized_piece(read_piece(original, options, None, labelled=True), wanted)

    piece: Piece = image.kept.of(item.id, whole)
    return piece if window is None else _cut(piece, window)


def _cut(piece: Piece, window: Window) -> Piece:
    """A window of the piece, with arrays of its own."""
    assert piece.labels is not None
    valid = piece.valid[window.rows, window.cols].copy()
    return replace(
        piece,
        pixels=piece.pixels[:, window.rows, window.cols].copy(),
        valid=valid,
        labels=piece.labels[window.rows, window.cols].copy(),
        grid=piece.grid.shifted(window.row, window.col) if piece.grid.is_georeferenced else piece.grid,
        found=() if valid.all() else piece.found,
        cut_from_hw=piece.size_hw,
    )


def _opened(item: Item, window: Window | None) -> RasterReader:
    if window is not None and isinstance(item.image, PictureFile):
        return item.image.open_for_tiles()
    return item.image.open()


def _collar(
    item: Item, reader: RasterReader, pixels: Pixels, valid: Valid, window: Window | None
) -> Valid | None:
    """The collar in a window: that of a picture in memory, else what the window shows of it."""
    if window is None:
        return collar(pixels, valid)
    if isinstance(item.image, PictureFile) and not item.image.windowed:
        whole = item.image.collar()
        return None if whole is None else whole[window.rows, window.cols]
    _, height, width = reader.shape
    bottom, right = window.row + window.height == height, window.col + window.width == width
    return collar(pixels, valid, (window.row == 0, bottom, window.col == 0, right))


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


def companions_of(item: Item, options: Options) -> list[tuple[str, Path]]:
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
    companions = dict(companions_of(item, options))
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


def own_pixels(item: Item) -> Pixels:
    """(C, H, W) as the file holds them, whatever size the options ask for."""
    image = item.image.original if isinstance(item.image, ResizedImage) else item.image
    with image.open() as reader:
        return reader.read()


def picture_for_matching(item: Item) -> Pixels:
    """(H, W, C) as `find_overlaps` takes it, colours as BGR; at its own size, or nothing would be equal.

    Which thin strips of shared ground are found depends a little on the order of the channels; splits that
    results stand on were made with this one.
    """
    return np.ascontiguousarray(own_pixels(item)[::-1].transpose(1, 2, 0))
