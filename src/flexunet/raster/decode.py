"""File bytes to pixels, by content and not by name: PNG, JPEG, BMP and WebP by Pillow, `.npy` by numpy.

16-bit colour PNG goes through OpenCV, because Pillow cuts it to 8 bits. Every decoder here refuses a file
that ends too early; none of them returns a picture that is grey from the middle on.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ..errors import RasterError

Format = Literal["png", "jpeg", "bmp", "webp", "npy", "tiff", "unknown"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy", ".webp", ".jp2", ".img", ".vrt")
"""Names that are taken for pictures in a folder, in lower case; other rasters of GDAL have to be named."""

MAX_PIXELS = 2**29
"""Largest picture that is decoded in one piece; larger scenes are GeoTIFF and read by windows."""

ORIENTATION_TAG = 0x0112

_SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x93NUMPY", "npy"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
"""Lengths of the second header of a BMP: raw values may begin with the letters BM, too."""
_PLUGINS: dict[Format, type[ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}


@dataclass(frozen=True)
class Decoded:
    """A picture as the file holds it: bands (C, H, W), alpha apart, palette indices not resolved."""

    bands: NDArray[Any]
    alpha: NDArray[Any] | None = None
    palette: NDArray[np.uint8] | None = None
    """RGB colours (n, 3) of the indices in the only band."""
    lossy: bool = False
    """Whether the values went through a JPEG."""
    bilevel: bool = False
    """Whether the file says 0 and 1 with one bit a pixel and means black and white."""
    notes: tuple[str, ...] = field(default=())


def sniff(path: Path) -> Format:
    """What kind of file it really is, from its first bytes.

    Raises:
        RasterError: the file is missing, unreadable or empty.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(18)
    except OSError as error:
        raise RasterError(f"{path}: cannot be opened: {error.strerror or error}") from error
    if not head:
        raise RasterError(f"{path}: is empty (0 bytes)")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:], "little") in _BMP_HEADERS:
        return "bmp"
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), "unknown")


def decode_picture(path: Path, kind: Format, exif_orientation: Literal["apply", "ignore"]) -> Decoded:
    """A PNG, JPEG, BMP or WebP in full.

    Raises:
        RasterError: the file is cut, damaged or larger than `MAX_PIXELS`.
    """
    try:
        content = path.read_bytes()
        picture = _PLUGINS[kind](io.BytesIO(content))
        check_size(path, *reversed(picture.size))
        picture.load()
        deep = _deep_png(content) if kind == "png" else None
    except RasterError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, cv2.error) as error:
        raise RasterError(f"{path}: damaged {kind.upper()}: {error}") from error
    bands, alpha, palette = deep or _split(picture)
    notes = ["CMYK converted to RGB"] if picture.mode == "CMYK" else []
    tag = _orientation(picture)
    if tag > 1:
        apply = exif_orientation == "apply"
        notes.append(f"EXIF orientation {tag} {'applied' if apply else 'ignored'}")
        if apply:
            bands = turned(bands, tag)
            alpha = turned(alpha, tag) if alpha is not None else None
    bilevel = picture.mode == "1" and "transparency" not in picture.info  # which `_split` makes 0 and 255
    return Decoded(bands, alpha, palette, kind == "jpeg", bilevel, tuple(notes))


def decode_npy(path: Path, bands_wanted: int | None = None) -> Decoded:
    """An array saved by numpy: (H, W), (H, W, C) or (C, H, W), as float, integer or bool.

    Of three axes the channels are the first or the last one: the one that is `bands_wanted` long if only one
    is, else the shorter one; if both are equally long, the last.

    Raises:
        RasterError: not a plain array of two or three axes, or cut.
    """
    try:
        with path.open("rb") as handle:
            array = np.load(handle, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RasterError(f"{path}: damaged or not a plain array: {error}") from error
    if (
        not isinstance(array, np.ndarray)
        or array.dtype.kind not in "buif"
        or array.ndim not in (2, 3)
        or not array.size
    ):
        kind = (
            f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        )
        raise RasterError(
            f"{path}: holds {kind}; numbers of shape (H, W), (H, W, C) or (C, H, W) are expected"
        )
    if array.ndim == 2:
        return Decoded(array[None])
    first, last = array.shape[0], array.shape[2]
    if bands_wanted in (first, last) and first != last:
        channels_first = first == bands_wanted
    else:
        channels_first = first < last
    return Decoded(array if channels_first else array.transpose(2, 0, 1))


def check_size(path: Path, height: int, width: int) -> None:
    """Refuse a picture too large to be decoded in one piece, from its header alone."""
    if height * width > MAX_PIXELS:
        raise RasterError(
            f"{path}: {height} x {width} pixels are too many to decode in one piece (at most {MAX_PIXELS}). "
            f"Cut it into tiles, or save it as tiled GeoTIFF and predict it as a scene."
        )


def turned(pixels: NDArray[Any], tag: int) -> NDArray[Any]:
    """Pixels (..., H, W) as displayed, for EXIF orientation `tag` 1 to 8 (EXIF 2.32, section 4.6.4)."""
    if tag >= 5:
        pixels = np.swapaxes(pixels, -1, -2)
    if tag in (3, 4, 7, 8):
        pixels = pixels[..., ::-1, :]
    if tag in (2, 3, 6, 7):
        pixels = pixels[..., ::-1]
    return pixels


def _orientation(picture: ImageFile.ImageFile) -> int:
    """EXIF orientation 1 to 8; 1 for a missing or broken tag."""
    try:
        tag = picture.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):
        return 1
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


_Split = tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.uint8] | None]


def _split(picture: Image.Image) -> _Split:
    """Bands (C, H, W), alpha (H, W) or None, palette (n, 3) or None of a decoded Pillow picture."""
    if picture.mode == "P":
        palette = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        alpha = None
        if "transparency" in picture.info:
            alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        return np.asarray(picture)[None], alpha, palette
    if "transparency" in picture.info and picture.mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    if picture.mode not in ("1", "L", "I", "F", "LA", "RGB", "RGBA") and not picture.mode.startswith("I;16"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    array = np.asarray(picture)
    if picture.mode == "1":
        array = array.astype(np.uint8)
    if array.ndim == 2:
        return array[None], None, None
    stack = array.transpose(2, 0, 1)
    if picture.mode in ("LA", "RGBA"):
        return stack[:-1], stack[-1], None
    return stack, None, None


def _deep_png(content: bytes) -> _Split | None:
    """The bands of a 16-bit PNG with more than one channel; None for every other PNG."""
    depth, colour_type = content[24], content[25]
    if depth != 16 or colour_type not in (2, 4, 6):
        return None
    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise ValueError("the 16-bit pixels cannot be decoded")
    bgr = array.transpose(2, 0, 1)
    alpha = bgr[3] if colour_type != 2 else None
    return (bgr[:1] if colour_type == 4 else bgr[2::-1]), alpha, None
