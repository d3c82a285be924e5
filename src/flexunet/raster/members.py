"""Which files a raster consists of."""

from __future__ import annotations

from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from .names import is_address

_MOSAIC = ".vrt"


def files_of(path: Path) -> tuple[Path, ...]:
    """The file itself and all that GDAL reads with it: sources of a VRT, bands of a product, masks, sides.

    Sources that are mosaics themselves are followed, addresses left out. What GDAL cannot open as a raster
    is one file.
    """
    found = dict.fromkeys([path])
    waiting = [path]
    while waiting:
        for file in _named_in(waiting.pop()):
            if file not in found:
                found[file] = None
                if file.suffix.lower() == _MOSAIC:
                    waiting.append(file)
    return tuple(found)


def _named_in(path: Path) -> list[Path]:
    try:
        with rasterio.open(path) as raster:
            return [Path(name) for name in raster.files if not is_address(name)]
    except (RasterioError, OSError, ValueError):
        return []
