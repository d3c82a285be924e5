"""A mask says the same classes in every encoding; what it does not say clearly is an error, never a guess."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from flexunet.classes import IGNORE_INDEX
from flexunet.config import read_config
from flexunet.config.schema import ClassConfig, DataConfig
from flexunet.data import decode_mask
from flexunet.data.colours import colour_labels
from flexunet.errors import DataError, RasterError
from flexunet.raster import Grid, write_raster
from shared_data import SHARED, needs_shared

MESSY = Path(__file__).parents[1] / "data" / "messy"
CAMVID = [
    (0, 0, 0), (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
]  # fmt: skip
MAGENTA = [(0, 0, 0), (255, 0, 255)]
THREE = [(0, 0, 0), (250, 10, 20), (10, 90, 240)]


def classes(colours: list[tuple[int, int, int]]) -> tuple[ClassConfig, ...]:
    return tuple(ClassConfig(name=f"class {i}", colour=colour) for i, colour in enumerate(colours))


def config(colours: list[tuple[int, int, int]] = MAGENTA, **options: Any) -> DataConfig:
    return DataConfig.model_validate({"classes": classes(colours), **options})


def some_labels(count: int, height: int = 20, width: int = 31) -> np.ndarray:
    coarse = np.random.default_rng(7).integers(0, count, (4, 5)).astype(np.uint8)
    coarse.flat[:count] = range(count)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


# ---------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize(
    "encoding", ["colours", "palette", "swapped palette", "index", "grey rgb", "16 bit", "onehot"]
)
def test_every_encoding_of_three_classes_says_the_same(encoding: str, tmp_path: Path) -> None:
    labels = some_labels(3)
    path = tmp_path / "m.png"
    data = config(THREE)
    if encoding == "colours":
        save(path, np.asarray(THREE, np.uint8)[labels])
    elif "palette" in encoding:
        order = np.array([2, 0, 1] if "swapped" in encoding else [0, 1, 2], np.uint8)
        picture = Image.fromarray(order[labels])
        colours = np.zeros((3, 3), np.uint8)
        colours[order] = THREE
        picture.putpalette(colours.ravel().tolist())
        picture.save(path)
    elif encoding == "index":
        save(path, labels)
    elif encoding == "grey rgb":
        save(path, np.repeat(labels[..., None], 3, 2))
    elif encoding == "16 bit":
        save(path, labels.astype(np.uint16))
    else:
        path = tmp_path / "m.npz"
        np.savez_compressed(path, mask=np.eye(3, dtype=np.uint8)[labels])
    assert_array_equal(decode_mask(path, data).labels, labels)


def test_a_palette_geotiff_goes_by_colour_and_its_nodata_tag_erases_nothing(tmp_path: Path) -> None:
    labels = some_labels(3)
    swapped = np.array([2, 0, 1], np.uint8)[labels]
    colours = [THREE[1], THREE[2], THREE[0]]
    write_raster(tmp_path / "m.tif", swapped, Grid(), nodata=0, colours=colours)
    assert_array_equal(decode_mask(tmp_path / "m.tif", config(THREE)).labels, labels)


@pytest.mark.parametrize(("dark", "bright"), [(0, 255), (0, 254), (0, 128), (12, 240)])
def test_two_greys_are_two_classes_and_255_is_never_an_index(dark: int, bright: int, tmp_path: Path) -> None:
    labels = some_labels(2)
    path = save(tmp_path / "m.png", np.where(labels == 1, bright, dark).astype(np.uint8))
    assert_array_equal(decode_mask(path, config()).labels, labels)
    inverted = decode_mask(path, config(mask_encoding="threshold", invert_masks=True))
    assert_array_equal(inverted.labels, 1 - labels)


def test_bilevel_float_and_16_bit_masks_work_as_well(tmp_path: Path) -> None:
    labels = some_labels(2)
    Image.fromarray(labels * 255).convert("1", dither=Image.Dither.NONE).save(tmp_path / "one.png")
    save(tmp_path / "deep.png", labels.astype(np.uint16) * 65535)
    write_raster(tmp_path / "float.tif", labels.astype(np.float32), Grid())
    for name in ("one.png", "deep.png", "float.tif"):
        assert_array_equal(decode_mask(tmp_path / name, config()).labels, labels)


@pytest.mark.parametrize("encoding", ["auto", "colours", "threshold", "index"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit_means_black_and_white_under_every_encoding(
    encoding: str, suffix: str, tmp_path: Path
) -> None:
    labels = some_labels(2)
    path = tmp_path / f"m{suffix}"
    Image.fromarray(labels * 255).convert("1", dither=Image.Dither.NONE).save(path)
    if suffix == ".bmp" and encoding == "index":
        pytest.skip("a BMP of one bit has a palette: its indices are tested elsewhere")
    assert_array_equal(decode_mask(path, config(mask_encoding=encoding)).labels, labels)


@pytest.mark.parametrize("soft", [False, True])
def test_white_is_the_brighter_class_where_no_class_is_white(soft: bool, tmp_path: Path) -> None:
    """The colour table of the reference's Bijie config on the dataset's own masks."""
    labels = some_labels(2, 40, 62)
    picture = Image.fromarray(labels * 255)
    if soft:
        picture = picture.resize((124, 80), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "grey.png")
    picture.convert("RGB").save(tmp_path / "rgb.png")
    wanted = (np.asarray(picture) > 127).astype(np.uint8)
    for name in ("grey.png", "rgb.png"):
        yellow = decode_mask(tmp_path / name, config([(0, 0, 0), (255, 255, 0)], mask_encoding="colours"))
        assert_array_equal(yellow.labels, wanted)
        assert "nearest class colour" in yellow.notes[0]
        swapped = decode_mask(tmp_path / name, config([(255, 255, 0), (0, 0, 0)], mask_encoding="colours"))
        assert_array_equal(swapped.labels, 1 - wanted)


@needs_shared
def test_every_published_bijie_mask_has_its_landslide_under_the_references_config() -> None:
    """Four in five of them are 1-bit files; the config's class is yellow."""
    data = read_config(SHARED / "data" / "flexunet-configs" / "Bijie-Landslide.config").config.data
    for path in sorted((SHARED / "data" / "bijie" / "landslide" / "mask").glob("*.png"))[::4]:
        expected = (np.asarray(Image.open(path).convert("L")) > 127).astype(np.uint8)
        assert_array_equal(decode_mask(path, data).labels, expected)


def test_grey_masks_with_soft_edges_are_cut_at_the_threshold(tmp_path: Path) -> None:
    labels = some_labels(2, 40, 62)
    soft = Image.fromarray(labels * 255).resize((124, 80), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "m.png")
    mask = decode_mask(tmp_path / "m.png", config())
    assert_array_equal(mask.labels, (np.asarray(soft) > 127).astype(np.uint8))
    assert "neither dark nor bright" in mask.notes[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(60, 180), st.sampled_from(["BILINEAR", "BICUBIC", "LANCZOS"]), st.integers(0, 99))
def test_blended_edges_hardly_ever_invent_a_class(size: int, filter_name: str, seed: int) -> None:
    """A disk and a field of two classes; the third class, (64, 0, 0), is exactly half way between them."""
    generator = np.random.default_rng(seed)
    rows, cols = np.mgrid[:100, :100]
    radius = generator.uniform(10, 40)
    disk = ((rows - generator.uniform(30, 70)) ** 2 + (cols - 50) ** 2 < radius**2).astype(np.uint8)
    colours = [(0, 0, 0), (128, 0, 0), (64, 0, 0)]
    rgb = np.asarray(
        Image.fromarray(np.asarray(colours, np.uint8)[disk]).resize(
            (size, size), Image.Resampling[filter_name]
        )
    )
    labels, _ = colour_labels(Path("m.png"), rgb, None, lossy=False, data=config(colours))
    nearest = np.linalg.norm(rgb[..., None, :].astype(float) - np.asarray(colours), axis=-1).argmin(-1)
    # most is left where Lanczos rings around a disk enlarged by four fifths: 0.22 of the invented ones
    assert (labels == 2).sum() <= 0.3 * (nearest == 2).sum() + 3
    assert abs(float(labels.mean()) - float(disk.mean())) < 0.02


def test_blended_street_masks_are_nearer_to_the_truth_than_nearest_colours() -> None:
    labels = decode_mask(MESSY / "01_colormap_blended_edges/masks/street_1.png", config(CAMVID)).labels
    sharp = np.asarray(CAMVID, np.uint8)[labels]
    onehot = [
        np.asarray(
            Image.fromarray((labels == k).astype(np.float32)).resize((96, 96), Image.Resampling.BICUBIC)
        )
        for k in range(12)
    ]
    truth = np.argmax(onehot, 0)
    rgb = np.asarray(Image.fromarray(sharp).resize((96, 96), Image.Resampling.BICUBIC))
    ours, _ = colour_labels(Path("m.png"), rgb, None, lossy=False, data=config(CAMVID))
    nearest = np.linalg.norm(rgb[..., None, :].astype(float) - np.asarray(CAMVID), axis=-1).argmin(-1)

    def invented(found: np.ndarray) -> float:
        share = np.take_along_axis(np.stack(onehot), found[None].astype(int), 0)[0]
        return float((np.abs(share) < 0.02).mean())

    assert (ours != truth).mean() < 0.75 * (nearest != truth).mean()
    assert invented(ours) < 0.2 * invented(nearest)


# ---------------------------------------------------------------------------------------------- single rules


def test_a_palette_goes_by_colour_unless_told_otherwise() -> None:
    path = MESSY / "03_indexed_palette_masks/masks/c.png"
    truth = np.asarray(Image.open(MESSY / "03_indexed_palette_masks/truth/c_truth.png"))
    assert_array_equal(decode_mask(path, config()).labels, truth)
    assert_array_equal(decode_mask(path, config(mask_encoding="index")).labels, 1 - truth)


def test_a_palette_of_foreign_colours_goes_by_index(tmp_path: Path) -> None:
    labels = some_labels(2)
    picture = Image.fromarray(labels)
    picture.putpalette([9, 80, 9, 200, 220, 10])
    picture.save(tmp_path / "m.png")
    assert_array_equal(decode_mask(tmp_path / "m.png", config()).labels, labels)


def test_named_values_ignore_values_and_negative_values(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2], [2, 1, 0]], np.uint16)
    sparse = (
        ClassConfig(name="ground", colour=(0, 0, 0), values=(1,)),
        ClassConfig(name="slide", colour=(255, 0, 0), values=(2,)),
    )
    write_raster(tmp_path / "sparse.tif", values, Grid(), nodata=0)
    mask = decode_mask(tmp_path / "sparse.tif", DataConfig(classes=sparse, ignore_value=0))
    assert mask.labels.tolist() == [[IGNORE_INDEX, 0, 1], [1, 0, IGNORE_INDEX]]
    write_raster(tmp_path / "signed.tif", np.array([[-1, 0, 1]], np.int16), Grid())
    assert decode_mask(tmp_path / "signed.tif", config(ignore_value=-1)).labels.tolist() == [
        [IGNORE_INDEX, 0, 1]
    ]
    with pytest.raises(
        DataError, match=r"values that are no class: -1 \(33.33%\); classes have the values 0, 1"
    ):
        decode_mask(tmp_path / "signed.tif", config())


def test_nan_in_a_mask_is_ignored(tmp_path: Path) -> None:
    write_raster(tmp_path / "m.tif", np.array([[np.nan, 0, 1, 1]], np.float32), Grid())
    mask = decode_mask(tmp_path / "m.tif", config())
    assert mask.labels.tolist() == [[IGNORE_INDEX, 0, 1, 1]]
    assert mask.notes == ("25.00% of the pixels are NaN: ignored",)


def test_255_is_ignored_only_when_told(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 1, 255]], np.uint8))
    with pytest.raises(DataError, match=r"255 \(33.33%\); classes have the values 0, 1.*ignore_value"):
        decode_mask(path, config())
    assert decode_mask(path, config(ignore_value=255)).labels.tolist() == [[0, 1, IGNORE_INDEX]]


def test_ignore_colour_is_a_colour_of_its_own(tmp_path: Path) -> None:
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[:, 2:] = MAGENTA[1]
    rgb[:, 5] = 255
    path = save(tmp_path / "m.png", rgb)
    labels = decode_mask(path, config(ignore_colour=(255, 255, 255))).labels
    assert labels[0].tolist() == [0, 0, 1, 1, 1, IGNORE_INDEX]


def test_transparent_background_of_any_colour_is_background(tmp_path: Path) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, :3] = (90, 200, 30, 0)
    rgba[:, 3:] = (255, 0, 255, 255)
    labels = decode_mask(save(tmp_path / "m.png", rgba), config()).labels
    assert labels[0].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("quality", [60, 80, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_masks_are_right_but_for_pixels_on_edges_and_say_so(
    quality: int, subsampling: int, tmp_path: Path
) -> None:
    labels = some_labels(2, 128, 128)
    rgb = np.asarray(MAGENTA, np.uint8)[labels]
    path = save(tmp_path / "m.jpg", rgb, quality=quality, subsampling=subsampling)
    mask = decode_mask(path, config())
    assert mask.notes[0] == "lossy JPEG mask"
    wrong = mask.labels != labels
    assert wrong.mean() < 0.02
    edges = np.zeros_like(wrong)
    for axis in (0, 1):
        step = np.diff(labels.astype(int), axis=axis) != 0
        for shift in range(-2, 4):
            edges |= np.roll(np.pad(step, [(0, 1 - axis), (0, axis)]), shift, axis)
    assert not (wrong & ~edges).any()


# ---------------------------------------------------------------------------------------------------- faults


def test_foreign_colours_are_listed_and_the_tolerance_is_the_users(tmp_path: Path) -> None:
    rgb = np.zeros((20, 20, 3), np.uint8)
    rgb[:10] = MAGENTA[1]
    rgb[:4, :5] = (0, 255, 0)
    path = save(tmp_path / "third.png", rgb)
    with pytest.raises(
        DataError, match=r"third.png: 5.00% of the pixels have no class colour: \(0, 255, 0\) 5.00%"
    ):
        decode_mask(path, config())
    mask = decode_mask(path, config(off_map_tolerance=0.1))
    assert mask.notes[1].startswith("5.00% are far from every class colour ((0, 255, 0) 5.00%)")
    assert mask.notes[2].startswith("5.00% of the pixels are rgb(0,255,0), no class colour")


def test_a_colour_saved_one_off_is_snapped_and_reported(tmp_path: Path) -> None:
    labels = some_labels(2)
    path = save(tmp_path / "m.png", np.asarray([(0, 0, 0), (254, 1, 255)], np.uint8)[labels])
    mask = decode_mask(path, config())
    assert_array_equal(mask.labels, labels)
    assert "not exactly of a class colour" in mask.notes[0]


def test_an_index_beyond_the_classes_is_named_with_its_share(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 1, 2, 7]], np.uint8))
    with pytest.raises(DataError, match=r"m.png: values that are no class: 7 \(25.00%\), 2 \(25.00%\)"):
        decode_mask(path, config())


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((5, 6, 3), np.uint8), "no class and 0 have more|has 3 channels for 2 classes"),
        (np.zeros((5, 6, 2), np.uint8), "30 pixels have no class"),
        (np.ones((5, 6, 2), np.uint8), "30 have more than one"),
        (np.full((5, 6, 2), 0.5), r"holds 0 and 1 only, not \[0.5\]"),
        (np.zeros((5, 6), np.uint8), r"is not one-hot.*mask_encoding = \"index\""),
        (np.zeros((2, 5, 6), np.uint8), r"has 6 channels for 2 classes.*mask_axes = \"CHW\""),
        (np.array([["a"]]), "is no mask"),
    ],
)
def test_one_hot_masks_that_are_not_are_refused_with_the_reason(
    array: np.ndarray, reason: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "m.npz", mask=array)
    with pytest.raises(DataError, match=f"m.npz: .*(?:{reason})"):
        decode_mask(tmp_path / "m.npz", config())


def test_an_object_array_is_never_unpickled() -> None:
    with pytest.raises(DataError, match=r"object.npz: .*refused: Object arrays cannot be loaded"):
        decode_mask(MESSY / "07_npz_masks_odd/masks/object.npz", config())


def test_a_foreign_key_and_a_cut_archive_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "key.npz", arr=np.zeros((3, 3, 2), np.uint8))
    with pytest.raises(DataError, match=r"has no array 'mask'; its arrays are \['arr'\]"):
        decode_mask(tmp_path / "key.npz", config())
    out = io.BytesIO()
    np.savez_compressed(out, mask=np.eye(2, dtype=np.uint8)[some_labels(2)])
    for kept in (0, 1, 50, len(out.getvalue()) - 5):
        (tmp_path / "cut.npz").write_bytes(out.getvalue()[:kept])
        with pytest.raises((RasterError, DataError), match=r"cut\.npz"):
            decode_mask(tmp_path / "cut.npz", config())
