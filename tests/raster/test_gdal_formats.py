"""Whatever raster GDAL opens is read by windows; what is none is refused under its own name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.testing import assert_array_equal

from flexunet.errors import RasterError
from flexunet.raster import Window, open_raster, read_mask_picture, read_picture
from flexunet.raster.decode import sniff
from flexunet.raster.names import file_of_address, is_address

UTM = rasterio.crs.CRS.from_epsg(32648)
PLACE = rasterio.Affine(30.0, 0.0, 400000.0, 0.0, -30.0, 3000000.0)
VALUES = np.arange(48, dtype=np.float32).reshape(1, 6, 8)


def written(path: Path, driver: str, values: np.ndarray = VALUES, **more: object) -> Path:
    """`values` in a format of GDAL, by way of a GeoTIFF for those that can only be copied to."""
    count, height, width = values.shape
    size = {"count": count, "height": height, "width": width, "dtype": values.dtype.name}
    through = path.with_name("through.tif")
    place = {"crs": UTM, "transform": PLACE, **more}
    with rasterio.open(through, "w", driver="GTiff", **size, **place) as out:
        out.write(values)
    rasterio.shutil.copy(through, path, driver=driver)
    through.unlink()
    return path


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("cube.dat", "ENVI"),
        ("cube", "ENVI"),
        ("dem.asc", "AAIGrid"),
        ("dem.flt", "EHdr"),
        ("dem.bil", "EHdr"),
        ("dem.nc", "netCDF"),
        ("dem.img", "HFA"),
        ("dem.grd", "GS7BG"),
    ],
)
def test_a_format_of_gdal_is_read_like_any_raster(name: str, driver: str, tmp_path: Path) -> None:
    with rasterio.Env() as env:
        if driver not in env.drivers():
            pytest.skip(f"this GDAL has no driver {driver}")
    path = written(tmp_path / name, driver)
    with open_raster(path) as raster:
        assert raster.shape == (1, 6, 8)
        assert_array_equal(raster.read(Window(2, 1, 3, 4)), VALUES[:, 2:5, 1:5])
        assert raster.grid.transform == pytest.approx(tuple(PLACE)[:6])
    assert_array_equal(read_picture(path).pixels, VALUES)
    assert_array_equal(read_mask_picture(path).bands, VALUES)


def test_srtm_tiles_have_their_missing_heights_marked(tmp_path: Path) -> None:
    heights = np.full((1, 1201, 1201), 700, np.int16)
    heights[0, 3, 4] = -32768
    edge = 1 / 1200
    place = rasterio.Affine(edge, 0, 91 - edge / 2, 0, -edge, 29 + edge / 2)
    path = written(tmp_path / "N28E091.hgt", "SRTMHGT", heights, crs="EPSG:4326", transform=place)
    with open_raster(path) as raster:
        pixels, known = raster.read_valid(Window(2, 3, 3, 3))
    assert known.tolist() == [[True] * 3, [True, False, True], [True] * 3]
    assert pixels[0, 0, 0] == 700


def test_of_a_file_of_several_rasters_one_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "two.nc", "netCDF", np.concatenate([VALUES, VALUES + 100]))
    with pytest.raises(
        RasterError, match=r"two\.nc: holds several rasters; name one of them: .*Band1.*Band2"
    ):
        open_raster(path)
    address = f"NETCDF:{path}:Band2"
    for named in (address, Path(address), f'NETCDF:"{path}":Band2'):
        with open_raster(named) as raster:
            assert_array_equal(raster.read(), VALUES + 100)
    assert file_of_address(address) == file_of_address(f'NETCDF:"{path}":Band2') == path
    assert file_of_address("NETCDF:nowhere.nc:Band2") is None
    with pytest.raises(RasterError, match=r"NETCDF:nowhere\.nc:Band2: cannot be read as a raster"):
        open_raster("NETCDF:nowhere.nc:Band2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/vsicurl/https://example.org/a.tif", True),
        ("https://example.org/a.tif", True),
        ("NETCDF:a.nc:depth", True),
        ("GTIFF_DIR:2:a.tif", True),
        ("C:\\data\\a.tif", False),
        ("a.tif", False),
        ("data/a.tif", False),
    ],
)
def test_addresses_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_address(text) == expected


def test_a_file_that_is_called_like_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path("run:1.tif").write_bytes(b"")
    except OSError:
        pytest.skip("this system allows no such name")
    assert not is_address("run:1.tif")


@pytest.mark.parametrize("name", ["page.jpg", "page.tif", "page.png", "page.bmp", "page.npy", "page.webp"])
def test_what_is_named_like_a_picture_and_is_none_is_refused_unread(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<!DOCTYPE html><html>not found</html>")
    for read in (open_raster, read_picture, read_mask_picture):
        with pytest.raises(RasterError, match=f"{name}: is not a picture: it starts with b'<!DOCTYPE ht'"):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["notes.md", "table.csv", "page.jp2", "cut.dat", "noname"])
def test_what_gdal_cannot_open_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("heights are in metres, I think")
    with pytest.raises(RasterError, match=f"{name}: cannot be read as a raster"):
        read_picture(tmp_path / name)


def test_raw_values_that_spell_bm_are_no_bmp(tmp_path: Path) -> None:
    values = np.full((1, 6, 8), 7, np.uint8)
    values[0, 0, :2] = (0x42, 0x4D)
    path = written(tmp_path / "raw.bil", "EHdr", values)
    assert sniff(path) == "unknown"
    assert_array_equal(read_picture(path).pixels, values)
