"""A picture is read whole, in its own bits, with its missing pixels known, or the error names the file."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image, ImageOps
from rasterio.enums import ColorInterp

from flexunet.errors import RasterError
from flexunet.raster import Grid, Window, open_raster, read_mask_picture, read_picture, write_raster
from flexunet.raster.decode import turned
from flexunet.raster.values import data_mask
from shared_data import SHARED, needs_shared

MESSY = Path(__file__).parents[1] / "data" / "messy"
UTM = "EPSG:32648"


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    generator = np.random.default_rng(3)
    if dtype.startswith("float"):
        return generator.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def smooth_rgb(height: int = 40, width: int = 56) -> np.ndarray:
    coarse = np.random.default_rng(5).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(kind: str, rgb: np.ndarray) -> bytes:
    if kind == "npy":
        out = io.BytesIO()
        np.save(out, rgb)
        return out.getvalue()
    if kind == "png16":
        return cv2.imencode(".png", rgb[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    out = io.BytesIO()
    compression = "tiff_lzw" if kind == "tiff" else None
    Image.fromarray(rgb).save(out, format="TIFF" if kind == "tiff_plain" else kind, compression=compression)
    return out.getvalue()


def pixels_or_error(path: Path) -> np.ndarray | RasterError:
    try:
        return read_picture(path).pixels
    except RasterError as error:
        return error


# ----------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "tiff_plain", "npy", "png16", "jpeg", "webp"])
def test_a_file_cut_anywhere_is_an_error_or_still_the_same_picture(kind: str, tmp_path: Path) -> None:
    content = encoded(kind, smooth_rgb())
    path = tmp_path / "whole.png"  # the name says nothing
    path.write_bytes(content)
    whole = read_picture(path).pixels
    refused = 0
    for kept in [0, 1, 9, *range(20, len(content), max(1, len(content) // 40)), len(content) - 1]:
        path.write_bytes(content[:kept])
        pixels = pixels_or_error(path)
        if isinstance(pixels, RasterError):
            assert str(path) in str(pixels)
            refused += 1
        else:
            assert_array_equal(pixels, whole)
    assert refused > 30


@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6))
def test_turning_agrees_with_pillow_for_every_exif_orientation(tag: int, height: int, width: int) -> None:
    rgb = noise(height, width, 3)
    exif = Image.Exif()
    exif[0x0112] = tag
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format="PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(out)))
    assert_array_equal(turned(rgb.transpose(2, 0, 1), tag).transpose(1, 2, 0), expected)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_window_is_the_same_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "scene.tif"
    if not path.exists():
        write_raster(path, noise(4, 70, 90, dtype="int16"), Grid())
    row, col = data.draw(st.integers(0, 69)), data.draw(st.integers(0, 89))
    window = Window(row, col, data.draw(st.integers(1, 70 - row)), data.draw(st.integers(1, 90 - col)))
    bands = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    with open_raster(path) as raster:
        part = raster.read(window, bands)
        assert_array_equal(part, raster.read()[[b - 1 for b in bands], window.rows, window.cols])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 300, 260), (13, 4, 4)])
def test_a_raster_survives_a_round_trip(dtype: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    pixels = noise(*shape, dtype=dtype)
    grid = Grid((10.0, 0.0, 5e5, 0.0, -10.0, 3e6), rasterio.crs.CRS.from_string(UTM).to_wkt())
    write_raster(tmp_path / "滑坡 1.tif", pixels, grid)
    picture = read_picture(tmp_path / "滑坡 1.tif")
    assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == dtype
    assert picture.grid == grid
    assert picture.valid.all()


# ----------------------------------------------------------------------------------------- bits, bands, alpha


def test_16_bit_colour_png_keeps_its_16_bits() -> None:
    picture = read_picture(MESSY / "11_png_16bit/images/rgb16_1.png")
    assert picture.pixels.dtype == np.uint16
    assert picture.pixels.shape == (3, 128, 128)
    assert picture.pixels.max() == 4278


def test_16_bit_channels_come_in_the_order_red_green_blue_alpha(tmp_path: Path) -> None:
    bgra = np.zeros((2, 2, 4), np.uint16)
    bgra[:] = (300, 20000, 65535, 65535)
    bgra[0, 0, 3] = 0
    (tmp_path / "deep.png").write_bytes(cv2.imencode(".png", bgra)[1].tobytes())
    picture = read_picture(tmp_path / "deep.png")
    assert picture.pixels[:, 1, 1].tolist() == [65535, 20000, 300]
    assert picture.valid.tolist() == [[False, True], [True, True]]


def test_transparent_pixels_are_missing_unless_told_otherwise() -> None:
    path = MESSY / "13_rgba_images/images/uav_1.png"
    assert read_picture(path).valid.mean() == pytest.approx(0.74, abs=0.001)
    assert read_picture(path, alpha="ignore").valid.all()
    assert read_picture(path).pixels.shape == (3, 128, 128)


def test_grey_is_repeated_and_other_band_counts_are_refused(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 5)).save(tmp_path / "grey.png")
    picture = read_picture(tmp_path / "grey.png", channels=3)
    assert picture.pixels.shape == (3, 4, 5)
    assert picture.notes == ("grey repeated to 3 channels",)
    write_raster(tmp_path / "four.tif", noise(4, 4, 5), Grid())
    with pytest.raises(RasterError, match=r"four.tif: has 4 bands where 3 are expected"):
        read_picture(tmp_path / "four.tif", channels=3)
    assert read_picture(tmp_path / "four.tif", channels=3, bands=(4, 1, 2)).pixels.shape == (3, 4, 5)
    with pytest.raises(RasterError, match=r"has 4 bands; \[5\] are asked for"):
        read_picture(tmp_path / "four.tif", bands=(5,))


def test_an_infrared_band_tagged_as_alpha_is_data_when_asked_for(tmp_path: Path) -> None:
    pixels = noise(4, 6, 6)
    with rasterio.open(
        tmp_path / "rgbn.tif", "w", driver="GTiff", count=4, height=6, width=6, dtype="uint8"
    ) as out:
        out.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        out.write(pixels)
    assert read_picture(tmp_path / "rgbn.tif").pixels.shape == (3, 6, 6)
    assert_array_equal(read_picture(tmp_path / "rgbn.tif", bands=(1, 2, 3, 4)).pixels, pixels)


def test_a_palette_picture_has_its_colours_and_a_palette_mask_its_indices(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [1, 0]], np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([0, 0, 0, 250, 10, 20])
    picture.save(tmp_path / "p.png")
    assert read_picture(tmp_path / "p.png").pixels[:, 0, 1].tolist() == [250, 10, 20]
    mask = read_mask_picture(tmp_path / "p.png")
    assert_array_equal(mask.bands[0], indices)
    assert mask.palette is not None
    assert mask.palette[1].tolist() == [250, 10, 20]


def test_cmyk_becomes_rgb_and_says_so() -> None:
    picture = read_picture(MESSY / "15_jpeg_cmyk_exif/images/cmyk_1.jpg")
    assert picture.pixels.shape == (3, 128, 128)
    assert picture.notes == ("CMYK converted to RGB",)


def test_exif_orientation_is_applied_or_ignored_and_noted() -> None:
    path = MESSY / "15_jpeg_cmyk_exif/images/exif6.jpg"
    applied, ignored = read_picture(path), read_picture(path, exif_orientation="ignore")
    assert applied.pixels.shape == (3, 96, 128)
    assert applied.notes == ("EXIF orientation 6 applied",)
    assert_array_equal(applied.pixels, np.rot90(ignored.pixels, -1, (1, 2)))
    assert ignored.notes == ("EXIF orientation 6 ignored",)


@pytest.mark.parametrize(
    ("shape", "bands", "expected"),
    [
        ((6, 8), None, (1, 6, 8)),
        ((6, 8, 3), None, (3, 6, 8)),
        ((3, 6, 8), None, (3, 6, 8)),
        ((5, 6, 5), None, (5, 5, 6)),
        ((2, 9, 4), 4, (4, 2, 9)),
        ((13, 6, 8), 13, (13, 6, 8)),
    ],
)
def test_the_channel_axis_of_an_array(
    shape: tuple[int, ...], bands: int | None, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float64))
    picture = read_picture(tmp_path / "a.npy", channels=bands)
    assert picture.pixels.shape == expected
    assert picture.pixels.dtype == np.float32


# -------------------------------------------------------------------------------------------- missing pixels


def test_bad_floats_are_missing_and_read_as_zero(tmp_path: Path) -> None:
    pixels = np.ones((2, 2, 3), np.float32)
    pixels[0, 0] = [np.nan, np.inf, -3.4028235e38]
    pixels[1, 1, 0] = 1e38
    write_raster(tmp_path / "bad.tif", pixels, Grid())
    picture = read_picture(tmp_path / "bad.tif")
    assert picture.valid.tolist() == [[False, False, False], [False, True, True]]
    assert picture.notes == ("66.67% of the pixels are not finite or beyond 1e38: missing data",)
    assert np.isfinite(picture.pixels).all()
    assert picture.pixels[0, 0].tolist() == [0, 0, 0]
    assert picture.pixels[1, 0].tolist() == [1, 1, 1]
    with open_raster(tmp_path / "bad.tif") as raster:
        assert_array_equal(raster.valid(bands=[2])[0], [True, True, True])
        assert np.isfinite(raster.read()).all()


def test_nodata_zero_needs_all_bands_and_other_nodata_any_band() -> None:
    pixels = np.array([[[0, 0, 5]], [[0, 7, 5]]], np.int16)
    assert data_mask(pixels, 0).tolist() == [[False, True, True]]
    assert data_mask(pixels, 7).tolist() == [[True, False, True]]
    assert data_mask(pixels, -9999).all()
    assert data_mask(pixels.astype(np.uint8), -9999).all()
    assert data_mask(pixels, float("nan")).all()


def test_declared_nodata_goes_before_the_configured_one(tmp_path: Path) -> None:
    pixels = np.array([[[1, 2, 3, 4]]], np.int16)
    write_raster(tmp_path / "declared.tif", pixels, Grid(), nodata=2)
    write_raster(tmp_path / "undeclared.tif", pixels, Grid())
    assert read_picture(tmp_path / "declared.tif", nodata=3).valid.tolist() == [[True, False, True, True]]
    assert read_picture(tmp_path / "undeclared.tif", nodata=3).valid.tolist() == [[True, True, False, True]]


def test_a_nodata_tag_does_not_erase_the_background_of_a_mask(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [1, 0]], np.uint8)
    write_raster(tmp_path / "m.tif", labels, Grid(), nodata=0)
    assert_array_equal(read_mask_picture(tmp_path / "m.tif").bands[0], labels)


def test_wide_integers_become_float32(tmp_path: Path) -> None:
    write_raster(tmp_path / "wide.tif", np.array([[[1, 70000]]], np.uint32), Grid())
    picture = read_picture(tmp_path / "wide.tif")
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.tolist() == [[[1, 70000]]]


# ----------------------------------------------------------------------------------------------------- faults


def test_faults_name_the_file_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture, honestly")
    np.save(tmp_path / "object.npy", np.array([{}, 1], object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(4))
    for name, reason in {
        "empty.png": r"is empty \(0 bytes\)",
        "text.png": "is not a picture: it starts with b'not a pictur'",
        "missing.png": "cannot be opened: No such file",
        "object.npy": "Object arrays cannot be loaded",
        "flat.npy": r"float64 of shape \(4,\); numbers of shape",
    }.items():
        with pytest.raises(RasterError, match=f"{name}: .*{reason}"):
            read_picture(tmp_path / name)


def test_a_window_beyond_the_raster_is_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "s.tif", noise(1, 5, 5), Grid())
    with (
        open_raster(tmp_path / "s.tif") as raster,
        pytest.raises(RasterError, match="lies outside its 5 x 5 pixels"),
    ):
        raster.read(Window(3, 0, 3, 2))


# ------------------------------------------------------------------------------------------------- real files


@needs_shared
def test_the_uav_scene_is_read_by_windows() -> None:
    with open_raster(SHARED / "data/uav-scene/ortho.tif") as raster:
        assert raster.shape == (3, 4480, 6016)
        assert raster.dtype == "uint8"
        part = raster.read(Window(2000, 3000, 64, 80))
        assert part.shape == (3, 64, 80)
        assert part.std() > 5


@needs_shared
def test_mars_tiles_have_their_undeclared_missing_values_found() -> None:
    picture = read_picture(SHARED / "data/mars-7band/images/col00071_row00028.tif")
    assert (~picture.valid).sum() == 128
    assert np.abs(picture.pixels).max() < 10000
    mask = read_mask_picture(SHARED / "data/mars-7band/masks/col00071_row00028.tif")
    assert np.unique(mask.bands).tolist() == [0, 1]


@needs_shared
def test_sentinel_bands_keep_names_type_and_grid() -> None:
    with open_raster(SHARED / "data/sentinel/sen1floods11/Spain_7370579_S2Hand.tif") as raster:
        assert raster.band_names[10] == "B10"
        assert (raster.dtype, raster.nodata, raster.shape) == ("int16", 0, (13, 512, 512))
        assert raster.grid.crs_wkt is not None
        assert raster.valid().all()
