"""Each of the 21 difficult inputs as raw material: the right result, or a report that names file and cure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from flexunet.errors import DataError
from flexunet.prepare import Prepared, prepare
from flexunet.raster import read_picture
from shared_data import SHARED, needs_shared

pytestmark = needs_shared

MESSY = SHARED / "data" / "messy"
TWO = 'data.classes=[{name="background",colour=[0,0,0]},{name="slide",colour=[255,0,255]}]'
MAGENTA = np.array([(0, 0, 0), (255, 0, 255)])


class Case:
    """One case of the folder, prepared into a temporary one with masks as class indices."""

    def __init__(self, number: int, work: Path) -> None:
        self.root = next(MESSY.glob(f"{number:02}_*"))
        self.work = work
        self.out = work / "out"

    def only(self, *stems: str) -> Case:
        """With these pairs alone."""
        for kind in ("images", "masks"):
            (self.work / "some" / kind).mkdir(parents=True)
            for path in (self.root / kind).iterdir():
                if path.stem in stems:
                    shutil.copyfile(path, self.work / "some" / kind / path.name)
        self.root = self.work / "some"
        return self

    def prepared(self, **options: Any) -> Prepared:
        usual: dict[str, Any] = {"shares": (1, 0, 0), "overlaps": False, "masks": "index", "workers": 1}
        return prepare(self.root, self.out, **(usual | options))

    def labels(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.out / "train/masks" / f"{name}.png"))

    def raw(self, name: str) -> np.ndarray:
        return np.asarray(
            Image.open(next(path for path in (self.root / "masks").iterdir() if path.stem == name))
        )

    def refusal(self, **options: Any) -> str:
        with pytest.raises(DataError) as caught:
            self.prepared(**options)
        assert not self.out.exists()
        return str(caught.value)


@pytest.fixture
def case(tmp_path: Path) -> Any:
    return lambda number: Case(number, tmp_path)


def nearest(colours: np.ndarray) -> np.ndarray:
    distance = np.abs(colours[..., None, :3].astype(int) - MAGENTA).sum(-1)
    return np.asarray(distance.argmin(-1))


def test_01_blended_edges_are_counted_or_taken_for_a_class_beside_them(case: Any) -> None:
    assert "street_3.png: 2.74% of the pixels have no class colour" in case(1).refusal()


def test_01_blended_edges_of_two_classes_go_to_the_nearer_one(case: Any) -> None:
    names = [f"slide_{number}" for number in range(1, 5)]
    slides = case(1).only(*names)
    done = slides.prepared(settings=("data.off_map_tolerance=0.1", TWO))
    assert any("not exactly of a class colour" in note for note in done.notes)
    for name in names:
        assert (slides.labels(name) == nearest(slides.raw(name))).mean() > 0.999


def test_02_jpeg_masks_take_the_nearest_colour_and_are_told(case: Any) -> None:
    jpeg = case(2)
    assert any("4 files: lossy JPEG mask" in note for note in jpeg.prepared().notes)
    for name in ("p1", "p2", "p3", "p4"):
        assert (jpeg.labels(name) == nearest(jpeg.raw(name))).mean() > 0.995


def test_03_palettes_go_by_their_colours(case: Any) -> None:
    indexed = case(3)
    indexed.prepared()
    for name in "abcde":
        truth = np.asarray(Image.open(indexed.root / "truth" / f"{name}_truth.png")) > 0
        assert_array_equal(indexed.labels(name), truth)


def test_04_dark_is_background_and_bright_the_class(case: Any) -> None:
    grey = case(4)
    grey.prepared()
    for number in range(1, 6):
        raw = grey.raw(f"g{number}")
        assert_array_equal(grey.labels(f"g{number}"), raw > (0 if raw.dtype == bool else 127))


def test_04_inverted_masks_are_turned_when_told(case: Any) -> None:
    inverted = case(4).only("g5")
    inverted.prepared(settings=("data.mask_encoding=threshold", "data.invert_masks=true"))
    assert_array_equal(inverted.labels("g5"), inverted.raw("g5") <= 127)


def test_05_indices_stay_and_255_is_ignored(case: Any) -> None:
    indices = case(5)
    done = indices.prepared()
    assert any("255" in note and "ignore" in note for note in done.notes)
    for name in ("two_1", "street_1", "void_1", "u16_1"):
        assert_array_equal(indices.labels(name), indices.raw(name))


def test_06_one_hot_masks_become_their_class(case: Any) -> None:
    two = case(6).only("two_1", "f32_1", "bool_1")
    two.prepared()
    for name in ("two_1", "f32_1", "bool_1"):
        assert_array_equal(two.labels(name), np.load(two.root / f"masks/{name}.npz")["mask"].argmax(-1))


def test_06_twelve_channels_among_two_are_told(case: Any) -> None:
    assert "street_1.npz" in (text := case(6).refusal())
    assert "12 channels for 2 classes" in text


def test_07_every_odd_npz_is_refused_by_name_and_pickles_are_never_read(case: Any) -> None:
    text = case(7).refusal()
    for stem in ("chw", "holes", "index", "key", "nine", "object", "two"):
        assert f"{stem}.npz" in text
    assert "allow_pickle=False" in text


def test_07_other_axes_are_read_when_told(case: Any) -> None:
    turned = case(7).only("chw")
    turned.prepared(settings=("data.mask_axes=CHW", "data.mask_encoding=onehot", TWO))
    assert_array_equal(turned.labels("chw"), np.load(turned.root / "masks/chw.npz")["mask"].argmax(0))


def test_08_pairs_go_by_words_and_numbers(case: Any) -> None:
    differ = case(8)
    done = differ.prepared()
    assert any("image_10.jpg with mask_10.png" in note for note in done.notes)
    for image, mask in (
        ("image_10", "mask_10"),
        ("Landslide003", "LandslideLabel003"),
        ("tile 5", "tile 05"),
    ):
        assert_array_equal(differ.labels(image), nearest(differ.raw(mask)))


def test_09_orphans_are_named_or_left_out_when_told(case: Any) -> None:
    text = case(9).refusal()
    assert "b.jpg: has no mask" in text
    assert "d.png: has no image" in text
    assert "data.on_orphan" in text
    orphans = case(9)
    assert orphans.prepared(settings=("data.on_orphan=skip",)).counts["train"] == {"images": 2}
    assert_array_equal(orphans.labels("c"), nearest(orphans.raw("c")))


def test_10_other_sizes_are_named_or_brought_to_the_image_when_told(case: Any) -> None:
    text = case(10).refusal()
    assert all(f"{name}.png" in text for name in ("double", "half", "off", "turned"))
    assert "130x129 pixels, but its image has 128x128" in text
    assert "data.mask_size=resize" in text
    sizes = case(10)
    sizes.prepared(settings=("data.mask_size=resize",))
    expected = cv2.resize(
        nearest(sizes.raw("half")).astype(np.uint8), (128, 128), interpolation=cv2.INTER_NEAREST_EXACT
    )
    assert_array_equal(sizes.labels("half"), expected)
    assert sizes.labels("turned").shape == (96, 128)


def test_11_sixteen_bits_stay_sixteen_bits(case: Any) -> None:
    assert "grey16_1.png: has 1 bands; most pictures have 3" in case(11).refusal()
    deep = case(11)
    names = sorted(path.stem for path in (deep.root / "images").glob("rgb16*"))
    deep.only(*names).prepared(size=(64, 64))
    for name in names:
        written = read_picture(next((deep.out / "train/images").glob(f"{name}.*"))).pixels
        whole = read_picture(next((deep.root / "images").glob(f"{name}.*"))).pixels
        assert written.dtype == np.uint16
        assert abs(float(written.mean()) - float(whole.mean())) < 0.05 * whole.mean()


def test_12_grey_pictures_keep_their_band_and_their_transparency(case: Any) -> None:
    grey = case(12)
    grey.prepared()
    shown = np.asarray(Image.open(grey.root / "images/la_1.png"))[..., 1] > 0
    assert_array_equal(grey.labels("la_1") == 255, ~shown)


def test_13_transparent_ground_is_ignored_and_one_colour_mask_needs_the_classes(case: Any) -> None:
    assert "rgba_mask.png" in case(13).refusal()
    transparent = case(13)
    transparent.prepared(settings=(TWO,))
    for name in ("uav_1", "uav_2"):
        alpha = np.asarray(Image.open(transparent.root / f"images/{name}.png"))[..., 3]
        assert_array_equal(transparent.labels(name) == 255, alpha == 0)
    alpha = transparent.raw("rgba_mask")[..., 3]
    known = transparent.labels("rgba_mask") != 255
    assert_array_equal(transparent.labels("rgba_mask")[known] == 1, alpha[known] > 0)


def test_14_damaged_files_are_named_or_left_out_when_told(case: Any) -> None:
    text = case(14).refusal()
    assert all(
        name in text for name in ("cut_jpg.jpg", "cut_mask.png", "cut_png.png", "empty.png", "text.png")
    )
    damaged = case(14)
    done = damaged.prepared(settings=("data.on_damaged=skip",))
    assert done.counts["train"] == {"images": 2}
    assert sum(note.startswith("left out:") for note in done.notes) == 5


def test_15_pictures_stand_upright_and_it_is_told_which_were_turned(case: Any) -> None:
    jpegs = case(15)
    done = jpegs.prepared(min_side=160)
    assert any("EXIF orientation 6 applied: exif6, raw6" in note for note in done.notes)
    assert any("CMYK converted to RGB: cmyk_1, cmyk_2" in note for note in done.notes)
    for name in ("exif6", "exif3", "exif8"):
        image = read_picture(jpegs.out / f"train/images/{name}.png")
        assert image.pixels.shape[1:] == jpegs.labels(name).shape
        assert not image.notes, "written upright, without a tag"


def test_15_the_tag_is_ignored_when_told_and_the_picture_written_so(case: Any) -> None:
    stored = case(15).only("raw6")
    done = stored.prepared(settings=("data.exif_orientation=ignore",))
    assert any("ignored" in note for note in done.notes)
    assert_array_equal(
        read_picture(stored.out / "train/images/raw6.png").pixels,
        read_picture(stored.root / "images/raw6.jpg", exif_orientation="ignore").pixels,
    )


@pytest.mark.parametrize(("number", "count"), [(16, 8), (17, 5), (18, 2)])
def test_16_to_18_names_of_all_kinds_are_paired_and_junk_is_left(case: Any, number: int, count: int) -> None:
    named = case(number)
    assert named.prepared().counts["train"] == {"images": count}
    items = json.loads((named.out / "manifest.json").read_text(encoding="utf-8"))["items"]
    for item in items:
        mask = np.asarray(Image.open(named.root / item["mask"]["source"]).convert("RGB"))
        assert_array_equal(np.asarray(Image.open(named.out / item["mask"]["file"])), nearest(mask))


def test_19_two_files_of_one_name_are_named_and_none_is_chosen(case: Any) -> None:
    text = case(19).refusal()
    assert all(name in text for name in ("a.jpg", "a.png", "b.npz", "b.png"))


def test_20_foreign_colours_are_listed_and_never_taken_for_the_class(case: Any) -> None:
    found = case(20)
    done = found.prepared()
    assert any("colour (0, 255, 0)" in note for note in done.notes)
    assert any("offby 43.90%" in note for note in done.notes)
    shutil.rmtree(found.out)
    text = found.refusal(settings=(TWO,))
    assert "third.png" in text
    assert "(0, 255, 0)" in text


def test_21_small_and_constant_pictures_go_through(case: Any) -> None:
    small = case(21)
    small.prepared()
    assert small.labels("one").shape == (1, 1)
    assert small.labels("tiny").shape == (5, 7)
    assert (small.labels("all0") == 0).all()
    assert (small.labels("all1") == 1).all()
    assert (small.labels("black") == 255).all(), "no data"


def test_settings_that_say_nothing_about_raw_material_are_refused_together(case: Any) -> None:
    text = case(9).refusal(settings=("train.epochs=3", "data.size=[3,3]", "data.maskaxes=CHW"))
    assert "train.*" in text
    assert "data.size" in text
    assert "Did you mean data.mask_axes" in text
    assert "off_map_tolerance" in case(9).refusal(settings=("data.off_map_tolerance=7",))


def test_orphans_of_other_layouts_are_left_out_when_told_and_idle_settings_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, source in (
        ("Slide1", "images/a.jpg"),
        ("SlideLabel1", "masks/a.png"),
        ("Slide2", "images/b.jpg"),
    ):
        path = MESSY / "09_missing_partner" / source
        shutil.copyfile(path, raw / f"{name}{path.suffix}")
    options: dict[str, Any] = {"shares": (1, 0, 0), "workers": 1}
    with pytest.raises(DataError, match=r"Slide2\.jpg: has no mask"):
        prepare(raw, tmp_path / "out", **options)
    done = prepare(raw, tmp_path / "out", settings=("data.on_orphan=skip",), **options)
    assert done.counts["train"] == {"images": 1}
    assert any("left out" in note and "Slide2.jpg" in note for note in done.notes)
    with pytest.raises(DataError, match=r"layout flat has no use.*data\.on_orphan"):
        prepare(
            raw, tmp_path / "other", settings=("data.image_pattern=(.*)", "data.mask_pattern=(.*)"), **options
        )


@pytest.mark.parametrize("options", [{"tile": 64}, {"augment": ("hflip",)}])
def test_masks_that_have_no_file_cannot_be_kept(case: Any, options: dict[str, Any]) -> None:
    assert "no file to keep" in case(3).refusal(masks="keep", **options)


def test_tiles_of_plain_pictures_are_plain_pictures(case: Any) -> None:
    tiles = case(3)
    tiles.prepared(tile=50)
    assert {path.suffix for path in (tiles.out / "train/images").iterdir()} == {".png"}
