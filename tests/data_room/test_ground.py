"""A model knows the ground resolution that it was taught at, where its pictures agree on one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import rasterio

from flexunet.config.schema import DataConfig
from flexunet.data.ground import ground_resolution
from flexunet.raster import Grid, write_png, write_raster

UTM = rasterio.crs.CRS.from_epsg(32648).to_wkt()


def picture(path: Path, metres: float, size: int = 64, crs: str | None = UTM) -> Path:
    grid = Grid((metres, 0.0, 4e5, 0.0, -metres, 3e6), crs)
    write_raster(path, np.ones((3, size, size), np.uint8), grid)
    return path


@pytest.mark.parametrize(("sizing", "expected"), [("crop", 0.5), ("resize", 1.0), ("fit", 1.0)])
def test_squeezed_pictures_have_larger_pixels(
    tmp_path: Path, sizing: Literal["crop", "resize", "fit"], expected: float
) -> None:
    images = [picture(tmp_path / f"{i}.tif", 0.5) for i in range(3)]
    data = DataConfig(root=tmp_path, size=(32, 32), sizing=sizing)
    assert ground_resolution(images, data) == pytest.approx((expected, expected))


def test_where_pictures_do_not_say_or_disagree_nothing_is_known(tmp_path: Path) -> None:
    data = DataConfig(root=tmp_path, size=(32, 32), sizing="crop")
    one = picture(tmp_path / "one.tif", 0.5)
    write_png(tmp_path / "plain.png", np.ones((8, 8, 3), np.uint8))
    assert ground_resolution([one, tmp_path / "plain.png"], data) is None
    assert ground_resolution([one, picture(tmp_path / "two.tif", 2.0)], data) is None
    assert ground_resolution([one, picture(tmp_path / "nowhere.tif", 0.5, crs=None)], data) is None
    assert ground_resolution([], data) is None


def test_degrees_become_metres_of_both_directions(tmp_path: Path) -> None:
    grid = Grid((1e-4, 0.0, 91.8, 0.0, -1e-4, 22.4), rasterio.crs.CRS.from_epsg(4326).to_wkt())
    write_raster(tmp_path / "a.tif", np.ones((3, 32, 32), np.uint8), grid)
    found = ground_resolution([tmp_path / "a.tif"], DataConfig(root=tmp_path, size=(32, 32), sizing="crop"))
    assert found == pytest.approx((11.13, 11.13 * np.cos(np.radians(22.4))), rel=0.01)
