"""A band is called what the file says of it, by a description or by the colour that it is marked with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from flexunet.raster import open_raster, read_picture


def marked(path: Path, marks: str, dtype: str = "uint8", descriptions: tuple[str | None, ...] = ()) -> Path:
    colours = [ColorInterp[mark] for mark in marks.split()]
    size = {"height": 5, "width": 4, "count": len(colours), "dtype": dtype}
    more = {} if "alpha" in marks else {"alpha": "no"}
    if "red" not in marks:
        more["photometric"] = "minisblack"
    with rasterio.open(path, "w", driver="GTiff", **size, **more) as out:
        out.colorinterp = colours
        out.write(np.ones((len(colours), 5, 4), dtype))
        for band, text in enumerate(descriptions, 1):
            if text:
                out.set_band_description(band, text)
    return path


@pytest.mark.parametrize(
    ("marks", "dtype", "expected"),
    [
        ("red green blue", "uint8", "red, green, blue"),
        ("blue green red", "uint8", "blue, green, red"),
        ("blue green red", "uint16", "blue, green, red"),
        ("gray undefined undefined", "uint8", "red, green, blue"),
        ("gray undefined undefined", "uint16", "band 1, band 2, band 3"),
        ("red green blue undefined", "uint8", "red, green, blue, band 4"),
        ("blue green red nir", "uint16", "blue, green, red, nir"),
        ("blue green red nir swir swir", "uint16", "blue, green, red, nir, band 5, band 6"),
        ("red red red", "uint8", "red, green, blue"),
        ("cyan magenta yellow black", "uint8", "band 1, band 2, band 3, band 4"),
        # what is transparency is none of the bands
        ("red green blue alpha", "uint8", "red, green, blue"),
        ("gray alpha", "uint8", "band 1"),
        ("gray", "uint8", "band 1"),
        ("red", "uint8", "band 1"),
    ],
)
def test_marks_are_names_where_there_are_no_descriptions(
    marks: str, dtype: str, expected: str, tmp_path: Path
) -> None:
    path = marked(tmp_path / "a.tif", marks, dtype)
    with open_raster(path) as raster:
        assert ", ".join(raster.band_names) == expected
    assert ", ".join(read_picture(path).band_names) == expected


def test_descriptions_go_before_marks_band_by_band(tmp_path: Path) -> None:
    path = marked(tmp_path / "a.tif", "red green blue undefined", "uint16", ("B4", None, "Blue", None))
    with open_raster(path) as raster:
        assert raster.band_names == ("B4", "green", "Blue", "band 4")
    path = marked(tmp_path / "b.tif", "red green blue", "uint16", (None, "red", None))
    with open_raster(path) as raster:
        assert raster.band_names == ("band 1", "red", "blue")


def test_a_palette_has_one_band_without_a_name(tmp_path: Path) -> None:
    size = {"height": 5, "width": 4, "count": 1, "dtype": "uint8"}
    with rasterio.open(tmp_path / "p.tif", "w", driver="GTiff", **size) as out:
        out.write(np.ones((1, 5, 4), np.uint8))
        out.write_colormap(1, {0: (0, 0, 0, 255), 1: (9, 8, 7, 255)})
    with open_raster(tmp_path / "p.tif") as raster:
        assert raster.band_names == ("band 1",)
    assert read_picture(tmp_path / "p.tif").band_names == ("red", "green", "blue")
