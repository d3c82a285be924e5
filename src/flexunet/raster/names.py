"""What rasters and their bands are called: addresses that only GDAL can find, names of bands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rasterio.enums import ColorInterp

_WITHIN = re.compile(r"[A-Za-z]\w{2,}:.")  # a driver of GDAL, never the letter of a Windows drive
_COLOURS = {
    ColorInterp[name]
    for name in ("red", "green", "blue", "coastal", "rededge", "nir", "swir", "mwir", "lwir", "tir", "pan")
    if name in ColorInterp.__members__  # those beyond blue need GDAL 3.10
}
"""Marks that say which part of the spectrum a band holds."""


def is_address(source: Path | str) -> bool:
    """Whether it is something that only GDAL can find: `/vsicurl/...`, `/vsizip/...`, `https://...`, or a
    raster within a file, such as `NETCDF:file.nc:depth`."""
    text = str(source)
    if isinstance(source, str) and (text.startswith("/vsi") or "://" in text):
        return True
    return _WITHIN.match(text) is not None and not Path(text).exists()


def file_of_address(address: str) -> Path | None:
    """The file that an address such as `NETCDF:"file.nc":depth` is about; None where it is no local file."""
    unquoted = address.replace('"', "")
    ends = [len(unquoted), *(i for i, sign in enumerate(unquoted) if sign == ":")]
    starts = [i + 1 for i in ends[1:]]
    parts = sorted({unquoted[i:j] for i in starts for j in ends if i < j}, key=len, reverse=True)
    return next((Path(part) for part in parts if Path(part).is_file()), None)


def band_names(
    count: int, given: Sequence[str | None], dtype: str, colours: Sequence[ColorInterp] = ()
) -> tuple[str, ...]:
    """What each of the bands is called: what the file calls it (`given`), else the colour it is marked with.

    Three bands of 8 bits without either are red, green, blue; other bands without either have their number:
    band 1, band 2 ... Marks count where there are several bands, each if no other band is called so.
    """
    names = list(given) or [None] * count
    marks = [colour.name if colour in _COLOURS else None for colour in colours] if count > 1 else []
    taken = Counter(name.casefold() for name in (*given, *marks) if name)
    for place, mark in enumerate(marks):
        if not names[place] and mark and taken[mark] == 1:
            names[place] = mark
    if count == 3 and dtype == "uint8" and not any(names):
        return ("red", "green", "blue")
    return tuple(name or f"band {i}" for i, name in enumerate(names, 1))
