"""Parts become one Cloud-Optimised GeoTIFF that holds what they hold, and says where and what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate

from flexunet.errors import RasterError
from flexunet.raster import Grid, Window
from flexunet.raster.cog import Layer, class_layer, create_part, share_layer, write_cog
from flexunet.raster.grid import ControlPoint

COLOURS = ((0, 0, 0), (255, 0, 255), (12, 200, 30))
NAMES = ("background", "оползень", "water & ice")
UTM = rasterio.crs.CRS.from_epsg(32648).to_wkt()
GRIDS = {
    "north up": Grid((2.0, 0.0, 100.0, 0.0, -2.0, 900.0), UTM),
    "rotated": Grid((1.5, 0.5, 100.0, 0.5, -1.5, 900.0), UTM),
    "pixels": Grid(),
    "points": Grid(
        crs_wkt=UTM,
        points=tuple(ControlPoint(r, c, 100.0 + c, 900.0 - r, 3.5) for r in (0, 700.5) for c in (0, 600)),
    ),
}


def write_parts(folder: Path, layer: Layer, pixels: NDArray[Any]) -> list[tuple[Path, Window]]:
    """Four parts of unequal size."""
    height, width = pixels.shape[1:]
    parts = []
    quarters = [((0, 300), (0, 250)), ((300, height), (0, 250)), ((0, 300), (250, width))]
    for index, (rows, cols) in enumerate([*quarters, ((300, height), (250, width))]):
        window = Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0])
        path = folder / f"part_{index}.tif"
        with create_part(path, layer, window.shape) as write:
            half = window.height // 2
            for start, stop in ((0, half), (half, window.height)):
                piece = pixels[:, rows[0] + start : rows[0] + stop, window.cols]
                write(piece, Window(start, 0, stop - start, window.width))
        parts.append((path, window))
    return parts


@pytest.mark.parametrize("name", GRIDS)
def test_a_class_map_is_a_valid_cog_with_colours_names_and_grid(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]
    labels = np.random.default_rng(0).integers(0, 3, (1, 700, 600), dtype=np.uint8)
    labels[:, :50] = 255
    layer = class_layer(COLOURS, NAMES, 255)
    out = tmp_path / "классы.tif"
    write_cog(out, layer, write_parts(tmp_path, layer, labels), (700, 600), grid)
    assert cog_validate(out, quiet=True) == (True, [], [])
    with rasterio.open(out) as raster:
        assert_array_equal(raster.read(), labels)
        assert raster.nodata == 255
        assert [raster.colormap(1)[i][:3] for i in range(3)] == list(COLOURS)
        assert raster.overviews(1) == [2]
        assert raster.tags()["CLASS_1"] == "оползень"
        if grid.points:
            found, crs = raster.gcps
            assert crs.to_epsg() == 32648
            assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
                (p.row, p.col, p.x, p.y, p.z) for p in grid.points
            ]
        else:
            assert raster.transform[:6] == grid.transform
            assert (raster.crs.to_epsg() if raster.crs else None) == (32648 if grid.crs_wkt else None)
    with rasterio.open(out, overview_level=0) as reduced:
        assert set(np.unique(reduced.read(1))) <= {0, 1, 2, 255}
    assert "water &amp; ice" in (tmp_path / "классы.tif.aux.xml").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*level*"))


@pytest.mark.parametrize("half", [False, True])
def test_shares_keep_their_scale_and_their_missing_pixels(tmp_path: Path, half: bool) -> None:
    layer = share_layer(("first", "second"), half=half)
    shares = np.random.default_rng(1).random((2, 700, 600)).astype(np.float16).astype(np.float32)
    stored = shares if half else np.rint(shares * 254).astype(np.uint8)
    stored[:, 100:200, 100:200] = np.nan if half else 255
    out = tmp_path / "p.tif"
    write_cog(out, layer, write_parts(tmp_path, layer, stored), (700, 600), GRIDS["north up"])
    assert cog_validate(out, quiet=True)[0]
    with rasterio.open(out) as raster:
        assert_array_equal(raster.read(), stored)
        assert raster.descriptions == ("first", "second")
        assert raster.scales == ((1.0, 1.0) if half else pytest.approx((1 / 254,) * 2))
        assert not raster.read_masks(1)[100:200, 100:200].any()
        assert raster.read_masks(1)[:100].all()
        assert raster.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == ("16" if half else None)


def test_what_no_part_was_written_for_is_nodata(tmp_path: Path) -> None:
    layer = class_layer(COLOURS, NAMES, 255)
    with create_part(tmp_path / "part.tif", layer, (64, 64)) as write:
        write(np.ones((1, 32, 64), np.uint8), Window(32, 0, 32, 64))
    write_cog(tmp_path / "c.tif", layer, [(tmp_path / "part.tif", Window(0, 0, 64, 64))], (64, 64), Grid())
    with rasterio.open(tmp_path / "c.tif") as raster:
        found = raster.read(1)
    assert (found[:32] == 255).all()
    assert (found[32:] == 1).all()


def test_a_damaged_part_leaves_no_result(tmp_path: Path) -> None:
    layer = class_layer(COLOURS, NAMES, 255)
    parts = write_parts(tmp_path, layer, np.ones((1, 700, 600), np.uint8))
    parts[2][0].write_bytes(parts[2][0].read_bytes()[:60])
    with pytest.raises(RasterError, match=r"c\.tif: cannot be written"):
        write_cog(tmp_path / "c.tif", layer, parts, (700, 600), Grid())
    assert not (tmp_path / "c.tif").exists()
