"""Pictures and masks as files of the dataset: PNG where it holds them, else GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..classes import Colour
from ..errors import RasterError
from ..raster import Grid, read_mask_picture, write_raster
from .items import Labels
from .pieces import Piece
from .resizing import Pixels, Valid

IGNORE_COLOUR: Colour = (128, 128, 128)
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY)
# Enlarged and moved pictures are smooth: searching for repeats finds nothing in them. A quarter faster and a
# tenth smaller than OpenCV's own choice.
_PNG_OF_PICTURES = (
    *_PNG, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG
)  # fmt: skip
# Masks are runs of one value.
_PNG_OF_MASKS = (*_PNG, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)


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
