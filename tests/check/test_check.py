"""Every fault planted in a dataset is named, with its files; a clean dataset is called clean."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from command_line import flexunet
from flexunet.check import Check, check, find_dataset, set_aside, write_report
from flexunet.check.findings.frame import iou_of_margin, iou_without_looking
from flexunet.check.footprints import overlapping_footprints
from flexunet.check.links import Link
from flexunet.check.names import sibling_groups, source_name
from flexunet.errors import DataError, OutputExistsError
from flexunet.prepare import prepare
from flexunet.raster import Grid, write_raster

Pixels = NDArray[np.uint8]


def picture(seed: int, size: tuple[int, int] = (96, 110)) -> Pixels:
    """Texture of several scales, different for every seed."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.GaussianBlur(rng.normal(0, 1, (*size, 3)), (0, 0), sigma) * sigma for sigma in (1.0, 2.5, 6.0)
    ]
    total = np.sum(layers, axis=0)
    return np.asarray((total - total.min()) / np.ptp(total) * 255, np.uint8)


def mask(size: tuple[int, int] = (96, 110), place: int = 20) -> Pixels:
    labels = np.zeros(size, np.uint8)
    labels[place : place + 30, place + 5 : place + 40] = 255
    return labels


def write(root: Path, split: str, name: str, image: Pixels, labels: Pixels) -> None:
    for kind, pixels in (("images", image), ("masks", labels)):
        path = root / split / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def dataset(root: Path, change: Callable[[Path], None] | None = None) -> Check:
    for number, split in enumerate(("train",) * 6 + ("valid",) * 2 + ("test",) * 3):
        write(root, split, f"scene{number}", picture(number), mask(place=10 + 4 * number))
    if change is not None:
        change(root)
    return check(root)


def kinds(found: Check) -> set[str]:
    return {finding.kind for finding in found.findings if finding.severity in ("leak", "fault", "warning")}


def test_a_clean_dataset_is_called_clean(tmp_path: Path) -> None:
    found = dataset(tmp_path)
    assert kinds(found) == set()
    assert not found.faulty
    assert "no leak found between train, valid, test" in found.text()


def turned_and_recoloured(root: Path) -> None:
    changed = np.rot90(picture(2)) // 2 + 60
    write(root, "test", "new", np.ascontiguousarray(changed), np.ascontiguousarray(np.rot90(mask(place=18))))


def test_a_changed_copy_across_splits_is_a_leak_with_its_map(tmp_path: Path) -> None:
    found = dataset(tmp_path, turned_and_recoloured)
    (link,) = found.leaks
    assert {found.facts[index].member.name for index in (link.first, link.second)} == {
        "train/scene2",
        "test/new",
    }
    assert link.reason == "copy"
    assert "turned by" in link.describe_map()
    assert found.faulty


def test_the_same_picture_under_another_name_is_told_apart_from_a_copy(tmp_path: Path) -> None:
    found = dataset(tmp_path, lambda root: write(root, "valid", "other", picture(1), mask(place=14)))
    assert [(link.reason, link.share) for link in found.leaks] == [("same pixels", 1.0)]


def shifted_crops(root: Path) -> None:
    scene = picture(99, (150, 160))
    write(root, "train", "left", scene[:100, :100], mask((100, 100)))
    write(root, "test", "right", scene[30:130, 40:140], mask((100, 100), place=60))


def test_shared_ground_is_found_to_the_pixel_and_its_labels_compared(tmp_path: Path) -> None:
    found = dataset(tmp_path, shifted_crops)
    (link,) = found.leaks
    assert (link.reason, link.describe_map()) == ("shared ground", "shifted by +40 columns, +30 rows")
    assert "contradicting labels" in kinds(found)
    assert found.agreements[0].iou == 0


def test_the_place_of_a_copy_knows_no_negative_zero() -> None:
    turned = np.array([[2.0, 0, -0.3], [0, 2.0, -0.0]])
    assert Link(0, 1, "copy", turned).describe_map().endswith("corner at column 0, row 0")
    shifted = np.array([[1.0, 0, -0.4], [0, 1.0, 3]])
    assert Link(0, 1, "copy", shifted).describe_map() == "shifted by +0 columns, +3 rows"


def test_augmentation_siblings_are_known_by_name_even_if_the_pixels_are_not(tmp_path: Path) -> None:
    name = "distorted_0.02_rsigma0.5_sigma40_scene3"
    found = dataset(tmp_path, lambda root: write(root, "test", name, picture(500), mask()))
    assert [link.reason for link in found.leaks] == ["name"]


@pytest.mark.parametrize(
    ("stem", "source"),
    [
        ("distorted_0.02_rsigma0.5_sigma40_10009", "10009"),
        ("hflipped_10009", "10009"),
        ("rotated_90_10009", "10009"),
        ("deformed_alpha_1300_sigmoid_8_a_b", "a_b"),
        ("barrdistorted_1001_0.3_0.3_7", "7"),
        ("hflipped_shrinked_0.8_x", "x"),
        ("tile_hflip", "tile"),
        ("tile (2)", "tile"),
        ("ab_jpg.rf.0123456789abcdef0123456789abcdef", "ab"),
        ("flipper_3", "flipper_3"),
        ("augusta_1", "augusta_1"),
        ("rotated_90_", "rotated_90_"),
    ],
)
def test_source_names(stem: str, source: str) -> None:
    assert source_name(stem) == source


def test_equal_sources_need_one_derived_name() -> None:
    assert sibling_groups(["A", "a", "b"]) == []
    assert sibling_groups(["hflipped_a", "vflipped_a", "b"]) == [[0, 1]]


def test_footprints_overlap_within_one_crs_only() -> None:
    def grid(x: float, y: float, crs: str = "UTM") -> Grid:
        return Grid((10.0, 0.0, x, 0.0, -10.0, y), crs)

    grids = [grid(0, 0), grid(500, -500), grid(1000, 0), grid(500, -500, "other"), Grid()]
    found, notes = overlapping_footprints(grids, [(100, 100)] * 5)
    assert [(item.first, item.second, item.share) for item in found] == [(0, 1, 0.25), (1, 2, 0.25)]
    assert notes == ["the georeferenced pictures are in 2 coordinate systems"]


def test_unusable_files_and_masks_are_faults_and_the_rest_is_checked(tmp_path: Path) -> None:
    def damage(root: Path) -> None:
        (root / "train" / "images" / "scene0.png").write_bytes(b"no picture")
        write(root, "train", "scene1", picture(1), mask((50, 50), 5))
        (root / "test" / "masks" / "scene9.png").unlink()

    found = dataset(tmp_path, damage)
    assert kinds(found) == {"pairing", "unreadable", "unusable masks"}
    assert found.faulty
    assert len(found.facts) == 9


def float_scenes(root: Path, change: Callable[[NDArray[np.float32]], None]) -> None:
    """Two training pictures of two float bands, the first one changed."""
    for number in range(2):
        bands = picture(number).transpose(2, 0, 1)[:2].astype(np.float32) + 20
        if number == 0:
            change(bands)
        for kind, pixels in (("images", bands), ("masks", mask(place=20 + 9 * number)[None])):
            path = root / "train" / kind / f"scene{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_raster(path, pixels, Grid())


def cut_a_corner(bands: NDArray[np.float32]) -> None:
    rows, columns = np.mgrid[:96, :110]
    bands[:, rows + columns < 40] = 0


def leave_gaps(bands: NDArray[np.float32]) -> None:
    bands[0, 50:60, 60:80] = -32767


def spoil_floats(bands: NDArray[np.float32]) -> None:
    bands[0, 50:60, 60:80] = 3.4e38


@pytest.mark.parametrize(
    ("change", "told"),
    [(cut_a_corner, "a collar of zeros"), (leave_gaps, "-32767 in 1.9%"), (spoil_floats, None)],
)
def test_missing_data_that_check_names_is_what_prepare_carries(
    change: Callable[[NDArray[np.float32]], None], told: str | None, tmp_path: Path
) -> None:
    float_scenes(tmp_path / "raw", change)
    found = check(tmp_path / "raw")
    undeclared = [item for item in found.findings if item.kind == "undeclared missing values"]
    assert [told in item.items[0] for item in undeclared if told] == ([True] if told else [])
    prepare(tmp_path / "raw/train", tmp_path / "out", shares=(1, 1, 0))
    carried = check(tmp_path / "out")
    assert "undeclared missing values" not in kinds(carried)
    (lacking,) = (item for item in carried.findings if item.kind == "missing values")
    assert len(lacking.items) == 1
    assert "scene0" in lacking.items[0]


def test_a_block_of_one_value_in_a_band_is_noted_and_not_called_missing(tmp_path: Path) -> None:
    def change(bands: NDArray[np.float32]) -> None:
        bands[1, :, :60] = 0

    float_scenes(tmp_path, change)
    found = check(tmp_path)
    (block,) = (item for item in found.findings if item.kind == "blocks of one value")
    assert block.severity == "note"
    assert block.items == ("train/scene0: band 2 is 0 in a block of 55% of the pixels",)
    assert not {"undeclared missing values", "constant bands"} & kinds(found)


def test_saturated_pixels_are_told_apart_from_missing_ones(tmp_path: Path) -> None:
    bands = picture(0).transpose(2, 0, 1).astype(np.uint16) + 20
    bands[1, 40:60, 40:60] = 65535
    for kind, pixels in (("images", bands), ("masks", mask()[None])):
        (tmp_path / "train" / kind).mkdir(parents=True)
        write_raster(tmp_path / "train" / kind / "scene.tif", pixels, Grid())
    (bright,) = (item for item in check(tmp_path).findings if item.kind == "saturated")
    assert bright.items == ("train/scene: 3.8% of the pixels",)
    assert "--nodata 65535" in bright.cure


def test_a_region_of_a_foreign_colour_is_a_warning_and_seams_are_a_note(tmp_path: Path) -> None:
    def paint(root: Path) -> None:
        for number, split in enumerate(("train", "train", "valid", "test")):
            labels = np.repeat(mask(place=12 + 6 * number)[..., None], 3, axis=2)
            if number == 0:
                labels[80:91, 80:91] = (0, 0, 255)  # red, as OpenCV writes it
            if number == 1:
                colours = np.random.default_rng(0).integers(0, 200, (11, 11))
                labels[80:91, 80:91, 2] = colours
            write(root, split, f"scene{number}", picture(number), labels)
        (root / "c.toml").write_text(
            '[data]\nroot = "."\nclasses = [{name = "background", colour = [0, 0, 0]}, '
            '{name = "slide", colour = [255, 255, 255]}]\n'
        )

    paint(tmp_path)
    found = check(tmp_path / "c.toml")
    (foreign,) = (item for item in found.findings if item.kind == "foreign colour")
    assert foreign.severity == "warning"
    assert "1 file: some pixels are rgb(255,0,0), no class colour" in foreign.text
    assert foreign.items[0].startswith("train/scene0: 1.15% of the pixels")
    assert "data.classes" in foreign.cure
    assert not found.faulty


def test_masks_that_repeat_are_empty_or_all_object_are_named(tmp_path: Path) -> None:
    def odd(root: Path) -> None:
        write(root, "train", "scene0", picture(0), mask(place=31))
        write(root, "train", "scene1", picture(1), np.ascontiguousarray(mask(place=31)[:, ::-1]))
        write(root, "train", "scene2", picture(2), np.zeros((96, 110), np.uint8))
        write(root, "train", "scene3", picture(3), np.full((96, 110), 255, np.uint8))

    found = dataset(tmp_path, odd)
    assert {"repeated masks", "empty masks", "all-object masks"} <= kinds(found)
    (repeated,) = (finding for finding in found.findings if finding.kind == "repeated masks")
    assert "train/scene0 = train/scene1" in repeated.items


def test_masks_that_are_all_shifted_are_noticed(tmp_path: Path) -> None:
    def paint(root: Path, by: int) -> None:
        for number in range(16):
            image, labels = picture(number) // 3, mask(place=16 + 2 * number)
            image[np.roll(labels, by, axis=1) > 0] += 120
            write(root, "train", f"scene{number}", image, labels)

    honest, moved = tmp_path / "honest", tmp_path / "moved"
    assert "shifted masks" not in kinds(dataset(honest, lambda root: paint(root, 0)))
    found = dataset(moved, lambda root: paint(root, 4))
    (finding,) = (item for item in found.findings if item.kind == "shifted masks")
    assert "+4 columns and +0 rows" in finding.text


def test_pictures_cut_around_their_objects_are_noticed(tmp_path: Path) -> None:
    def cut(root: Path, *, around: bool) -> None:
        rng = np.random.default_rng(5)
        for number in range(40):
            height, width = rng.integers(60, 120, 2)
            rows, columns = rng.integers(10, 30, 2)
            top, left = (height - rows) // 2, (width - columns) // 2
            if not around:
                top, left = rng.integers(0, height - rows), rng.integers(0, width - columns)
            labels = np.zeros((height, width), np.uint8)
            labels[top : top + rows, left : left + columns] = 255
            write(root, "train", f"scene{number}", picture(number, (int(height), int(width))), labels)

    assert "centred objects" not in kinds(dataset(tmp_path / "any", lambda root: cut(root, around=False)))
    found = dataset(tmp_path / "cut", lambda root: cut(root, around=True))
    (finding,) = (item for item in found.findings if item.kind == "centred objects")
    assert "of 45 pictures" in finding.text
    assert "one and the same region in every picture" in finding.text
    assert "pixels from the edges" not in finding.text  # each has a margin of its own


def test_pictures_cut_with_one_margin_tell_how_large_their_objects_are(tmp_path: Path) -> None:
    def cut(root: Path) -> None:
        rng = np.random.default_rng(6)
        for number in range(40):
            height, width = (int(length) for length in rng.integers(60, 120, 2))
            labels = np.zeros((height, width), np.uint8)
            middle, axes = (width // 2, height // 2), (width // 2 - 20, height // 2 - 20)
            cv2.ellipse(labels, middle, axes, 0, 0, 360, 255, -1)
            write(root, "train", f"scene{number}", picture(number, (height, width)), labels)

    found = dataset(tmp_path, cut)
    (finding,) = (item for item in found.findings if item.kind == "centred objects")
    assert "40 leave 20 pixels around it" in finding.text
    assert "an ellipse 20 pixels from the edges" in finding.text
    assert iou_of_margin(found.facts, "train", 20) > 0.9


def test_the_score_without_looking_is_that_of_the_best_region_of_the_frame(tmp_path: Path) -> None:
    def paint(root: Path) -> None:
        for number in range(8):
            labels = np.zeros((96, 110), np.uint8)
            labels[24:72] = 255  # half of every picture of train; of test a half of that is right
            if number >= 4:
                labels[48:72] = 0
            write(root, "train" if number < 4 else "test", f"scene{number}", picture(number), labels)

    paint(tmp_path)
    assert iou_without_looking(check(tmp_path).facts, "test") == pytest.approx(0.5)
    assert iou_without_looking(check(tmp_path).facts, "train") == pytest.approx(1.0)


def test_a_brighter_test_split_is_a_domain_shift(tmp_path: Path) -> None:
    def brighten(root: Path) -> None:
        for number in range(20):
            split, extra = ("train", 0) if number < 10 else ("test", 90)
            image = (picture(300 + number) // 2 + extra).astype(np.uint8)
            write(root, split, f"more{number}", image, mask(place=20 + number))

    assert "domain shift" in kinds(dataset(tmp_path, brighten))


def test_the_report_holds_everything_and_is_not_overwritten(tmp_path: Path) -> None:
    found = dataset(tmp_path / "data", turned_and_recoloured)
    written = write_report(found, tmp_path / "report")
    assert [path.name for path in written] == ["groups.csv", "pairs.png", "check.json"]
    report = json.loads((tmp_path / "report" / "check.json").read_text(encoding="utf-8"))
    assert report["leaks"] == 1
    assert report["links"][0]["mask_iou"] > 0.9
    assert (tmp_path / "report" / "groups.csv").read_text().splitlines()[0] == "id,group"
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_report(found, tmp_path / "report")


def test_fix_moves_the_training_copy_and_keeps_a_log(tmp_path: Path) -> None:
    found = dataset(tmp_path, turned_and_recoloured)
    log, moved = set_aside(found)
    assert moved == 1
    assert (tmp_path / "set_aside" / "train" / "images" / "scene2.png").exists()
    assert not (tmp_path / "train" / "masks" / "scene2.png").exists()
    assert log.read_text().splitlines()[1] == "train/images/scene2.png,set_aside/train/images/scene2.png"
    assert not check(tmp_path).leaks


def test_fix_refuses_to_empty_a_split(tmp_path: Path) -> None:
    def copy_all(root: Path) -> None:
        for number in range(6):
            write(root, "test", f"copy{number}", picture(number), mask())

    with pytest.raises(DataError, match="of 6 pictures of train"):
        set_aside(dataset(tmp_path, copy_all))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        find_dataset(tmp_path)


def test_the_command_tells_by_its_exit_code(tmp_path: Path) -> None:
    dataset(tmp_path / "data", shifted_crops)
    done = flexunet("check", "data", cwd=tmp_path, code=1)
    assert "LEAK" in done.stdout
    assert (tmp_path / "data_check" / "pairs.png").exists()
    assert "--overwrite" in flexunet("check", "data", cwd=tmp_path, code=2).stderr
    assert (
        "1 pictures set aside"
        in flexunet("check", "data", "--fix", "--overwrite", cwd=tmp_path, code=1).stdout
    )
    flexunet("check", "data", "--overwrite", cwd=tmp_path, code=0)


def test_the_regrouped_split_is_made_from_the_checked_folder(tmp_path: Path) -> None:
    def leak(root: Path) -> None:
        turned_and_recoloured(root)
        write(root, "test", "scene0", picture(77), mask(place=15))  # a name that train has, too

    found = dataset(tmp_path / "data", leak)
    write_report(found, tmp_path / "report")
    prepare(tmp_path / "data", tmp_path / "anew", groups=tmp_path / "report" / "groups.csv")
    again = check(tmp_path / "anew")
    assert len(again.facts) == len(found.facts)
    assert not again.leaks


def test_the_folder_of_all_folds_is_refused_with_the_config_to_give(tmp_path: Path) -> None:
    (tmp_path / "fold_1.toml").write_text("", encoding="utf-8")
    (tmp_path / "fold_2.toml").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"holds 2 folds[\s\S]*fold_1\.toml"):
        find_dataset(tmp_path)
