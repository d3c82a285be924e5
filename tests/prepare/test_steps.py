"""Tiles, blocks, folds, regions, ratios, merging, missing data, bands: what each promises."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers, tuples

from flexunet.check import Overlap
from flexunet.config import read_config
from flexunet.errors import DataError
from flexunet.prepare import Options, prepare, read_manifest_options
from flexunet.prepare.merging import merge_labels
from flexunet.prepare.picture_files import marked
from flexunet.prepare.terrain import CellSize, band_names, derive
from flexunet.prepare.tiling import Ground, tile_windows, too_near
from flexunet.raster import Grid, read_mask_picture, read_picture, write_raster
from flexunet.raster.missing import collar, find_marks
from shared_data import SHARED, needs_shared


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """24 pictures of three regions with objects of growing size, 8 without any."""
    generator = np.random.default_rng(0)
    for n in range(32):
        name = f"{'abc'[n % 3]}{n:02}.png"
        for folder in ("images", "masks"):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
        image = generator.integers(1, 256, (64, 80, 3), dtype=np.uint8)
        mask = np.zeros((64, 80), np.uint8)
        if n < 24:
            mask[8 : 10 + n, 5:60] = 255
        cv2.imwrite(str(tmp_path / "raw/images" / name), image)
        cv2.imwrite(str(tmp_path / "raw/masks" / name), mask)
    return tmp_path / "raw"


# ------------------------------------------------------------------------------------------------ tiles


@settings(deadline=None)
@given(size=tuples(integers(1, 90), integers(1, 90)), tile=integers(2, 40), overlap=integers(0, 30))
def test_tiles_cover_every_pixel_and_stay_inside(size: tuple[int, int], tile: int, overlap: int) -> None:
    windows = tile_windows(size, tile, min(overlap, tile - 1))
    covered = np.zeros(size, int)
    for window in windows:
        assert window.within(*size)
        assert window.shape == (min(tile, size[0]), min(tile, size[1]))
        covered[window.rows, window.cols] += 1
    assert covered.min() > 0
    assert len(set(windows)) == len(windows)


def test_tiles_of_a_picture_stay_together_and_hold_its_pixels(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", tile=40, tile_overlap=8, empty_tiles=0.5, masks="index")
    manifest = manifest_of(tmp_path / "out")
    splits: dict[str, set[str]] = {}
    for item in manifest["items"]:
        splits.setdefault(item["source_id"], set()).add(item["split"])
        row, col, height, width = item["window"]
        source = read_picture(raw / item["image"]["source"]).pixels
        tile = read_picture(tmp_path / "out" / item["image"]["file"]).pixels
        assert (tile == source[:, row : row + height, col : col + width]).all()
        mask = read_mask_picture(raw / item["mask"]["source"]).bands[0] > 0
        labels = read_mask_picture(tmp_path / "out" / item["mask"]["file"]).bands[0]
        assert (labels == mask[row : row + height, col : col + width]).all()
    assert all(len(found) == 1 for found in splits.values())
    assert 0 < list(manifest["left_out"].values()).count("empty tile") < 64


# --------------------------------------------------------------------------------- choosing and splitting


def test_object_shares_and_negatives_are_balanced(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", shares=(2, 1, 1), overlaps=False)
    items = manifest_of(tmp_path / "out")["items"]
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        shares = [item["object_share"] for item in items if item["split"] == split]
        assert sum(share == 0 for share in shares) == count
        small = sum(0 < share <= 0.145 for share in shares)
        assert abs(small - sum(share > 0.145 for share in shares)) <= len(shares) // 2


def test_a_ratio_of_negatives_is_met(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "out", negatives=0.125)
    manifest = manifest_of(tmp_path / "out")
    assert sum(item["object_share"] == 0 for item in manifest["items"]) == 3
    assert list(manifest["left_out"].values()) == ["negative beyond the ratio"] * 5


def test_folds_share_out_everything_and_each_has_a_config(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(raw, out, folds=4, shares=(1, 1, 0), augment=("hflip",))
    items = manifest_of(out)["items"]
    parents = [item for item in items if "parent" not in item]
    assert {item["split"] for item in parents} == {f"fold_{k}" for k in range(1, 5)}
    assert sorted(item["id"] for item in parents) == sorted(path.stem for path in raw.glob("images/*"))
    where = {item["id"]: item["split"] for item in parents}
    assert all(where[item["parent"]] == item["split"] for item in items if "parent" in item)
    data = tomllib.loads((out / "fold_2.toml").read_text(encoding="utf-8"))["data"]
    assert data["valid"]["images"] == ["fold_2/images"]
    trained = ["fold_1", "fold_3", "fold_4"]
    assert data["train"]["images"] == [
        f"{part}/{kind}" for kind in ("images", "augmented/images") for part in trained
    ]
    read_config(out / "fold_2.toml")


def test_one_region_is_the_test_or_each_is_a_fold(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "one", region_pattern="^[abc]", leave_out="b")
    for item in manifest_of(tmp_path / "one")["items"]:
        assert (item["split"] == "test") == item["id"].startswith("b")
    prepare(raw, tmp_path / "each", region_pattern="^[abc]", leave_out="each")
    data = tomllib.loads((tmp_path / "each/region_b.toml").read_text(encoding="utf-8"))["data"]
    assert (data["test"]["images"], data["valid"]["images"], data["train"]["images"]) == (
        ["region_b/images"],
        ["region_c/images"],
        ["region_a/images"],
    )
    with pytest.raises(DataError, match="no such region; there are a, b, c"):
        prepare(raw, tmp_path / "none", region_pattern="^[abc]", leave_out="d")


def test_given_splits_are_obeyed_and_checked(raw: Path, tmp_path: Path) -> None:
    names = sorted(path.stem for path in raw.glob("images/*"))
    table = tmp_path / "splits.csv"
    rows = [(name, ("train", "valid", "test")[n % 3]) for n, name in enumerate(names)]
    with table.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("id", "split"), *rows])
    prepare(raw, tmp_path / "out", splits=table)
    assert {item["id"]: item["split"] for item in manifest_of(tmp_path / "out")["items"]} == dict(rows)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "train.txt").write_text("\n".join(f"images/{name}.png" for name in names[:-1]), encoding="utf-8")
    (lists / "test.txt").write_text("nobody.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"(?s)test\.txt:1.*'nobody\.png'.*1 pictures have no split"):
        prepare(raw, tmp_path / "lists_out", splits=lists)


@settings(max_examples=30, deadline=None)
@given(seed=integers(0, 99), margin=floats(0, 3))
def test_no_two_of_different_parts_are_nearer_than_the_buffer(seed: int, margin: float) -> None:
    generator = np.random.default_rng(seed)
    grounds, parts = {}, {}
    for n in range(40):
        x, y = generator.integers(0, 20, 2).tolist()
        grounds[f"t{n}"] = Ground("plane", x, y, x + 2, y + 2)
        parts[f"t{n}"] = ("test", "valid", "train")[n % 3]
    dropped = set(too_near(grounds, parts, margin, ("test", "valid", "train")))
    kept = [name for name in grounds if name not in dropped]
    for one in kept:
        for two in kept:
            if parts[one] != parts[two]:
                assert not grounds[one].grown(margin * 0.499).meets(grounds[two].grown(margin * 0.499))
    assert not any(parts[name] == "test" for name in dropped)


def test_blocks_part_a_scene_with_a_buffer(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(2, 200, 240)).astype(np.float32)
    (tmp_path / "raw/images").mkdir(parents=True)
    (tmp_path / "raw/masks").mkdir()
    write_raster(tmp_path / "raw/images/s.tif", pixels, Grid())
    write_raster(tmp_path / "raw/masks/s.tif", (pixels[0] > 0.5).astype(np.uint8), Grid())
    with pytest.raises(DataError, match="give --blocks"):
        prepare(tmp_path / "raw", tmp_path / "out", tile=40)
    prepare(tmp_path / "raw", tmp_path / "out", tile=40, blocks=80, buffer=10, shares=(2, 1, 1))
    items = manifest_of(tmp_path / "out")["items"]
    assert {item["split"] for item in items} == {"train", "valid", "test"}
    for one in items:
        for two in items:
            if one["split"] != two["split"]:
                apart = [abs(one["window"][axis] - two["window"][axis]) for axis in (0, 1)]
                assert max(apart) >= 40 + 10


# ----------------------------------------------------------------------------------------------- merging


def test_merged_masks_agree_on_shared_ground_through_a_third_picture() -> None:
    first, second, third = (np.zeros((10, 10), np.uint8) for _ in range(3))
    third[4:8, 4:6] = 1
    pairs = [Overlap(0, 1, 0, 2, 10, 8), Overlap(1, 2, 0, 2, 10, 8)]
    merged = merge_labels({0: first, 1: second, 2: third}, pairs, "union")
    assert (merged[1][4:8, 6:8] == 1).all()
    assert (merged[0][4:8, 8:10] == 1).all()
    assert sum(int(labels.sum()) for labels in merged.values()) == 24
    ignored = merge_labels({0: first, 1: second, 2: third}, pairs, "ignore")
    assert (ignored[2][4:8, 4:6] == 255).all()
    assert (ignored[0][4:8, 8:10] == 255).all()


@pytest.mark.parametrize("how", ["union", "ignore"])
def test_merging_keeps_the_originals_beside(how: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    raw = tmp_path / "raw"
    scene = generator.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    marks = np.zeros((60, 90), np.uint8)
    marks[10:30, 20:35] = 255
    other = np.zeros((60, 90), np.uint8)
    other[30:50, 40:55] = 255
    for n, (left, mask) in enumerate([(0, marks), (15, other)]):
        for folder, pixels in (("image", scene), ("mask", mask)):
            (raw / "landslide" / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(raw / "landslide" / folder / f"x{n}.png"), pixels[:, left : left + 70])
    for n in range(2, 8):
        picture = generator.integers(0, 256, (60, 70, 3), dtype=np.uint8)
        cv2.imwrite(str(raw / "landslide/image" / f"x{n}.png"), picture)
        cv2.imwrite(str(raw / "landslide/mask" / f"x{n}.png"), marks[:, :70])
    prepare(raw, tmp_path / "out", merge_overlaps=how)
    items = {item["id"]: item for item in manifest_of(tmp_path / "out")["items"]}
    assert items["x0"]["merged"]["with"] == ["x1"]
    assert "merged" not in items["x2"]
    merged = [read_mask_picture(tmp_path / "out" / items[n]["mask"]["file"]).bands[0] for n in ("x0", "x1")]
    originals = [
        read_mask_picture(tmp_path / "out" / items[n]["original_mask"]["file"]).bands[0] for n in ("x0", "x1")
    ]
    assert (merged[0][:, 15:] == merged[1][:, :55]).all()
    assert (originals[0] == (marks[:, :70] > 0)).all()
    value = 1 if how == "union" else 255
    assert (merged[1][10:30, 5:20] == value).all()
    assert items["x1"]["merged"]["changed_pixels"] == int((merged[1] != originals[1]).sum())


# ------------------------------------------------------------------------------------------ missing data


def test_marks_and_collars_are_found_and_dark_ground_is_not() -> None:
    band = np.full((1, 30, 40), 500, np.float32)
    band[0, 3:6, 3:6] = -9999
    assert find_marks(band, np.ones((30, 40), bool)) == (-9999.0,)
    assert find_marks(np.full((1, 9, 9), -9000, np.float32) - 999, np.ones((9, 9), bool)) == (-9999.0,)
    picture = np.full((3, 30, 40), 90, np.uint8)
    picture[:, :, :5] = 0
    picture[:, 10:20, 20:30] = 0
    valid = np.ones((30, 40), bool)
    found = collar(picture, valid)
    assert found is not None
    assert found[:, :5].all()
    assert found.sum() == 150
    assert collar(picture[:2], valid) is None


def test_marks_are_found_beside_each_other_and_beside_deep_bands() -> None:
    valid = np.ones((30, 40), bool)
    bands = np.random.default_rng(0).uniform(-6000, 5000, (2, 30, 40)).astype(np.float32)
    assert find_marks(bands, valid) == ()
    bands[0] = np.abs(bands[0])
    bands[0, :2], bands[0, 2:4], bands[0, 4:6] = -9999, -32768, -32767
    assert find_marks(bands, valid) == (-9999.0, -32768.0, -32767.0)


@pytest.mark.parametrize("count", [1, 2])
def test_collars_of_few_float_bands_are_told_from_sea(count: int) -> None:
    rows, columns = np.mgrid[:60, :80]
    land = np.random.default_rng(0).uniform(200, 300, (count, 60, 80)).astype(np.float32)
    valid = np.ones((60, 80), bool)
    scene = np.where(rows + columns < 40, 0, land).astype(np.float32)
    found = collar(scene, valid)
    assert found is not None
    assert (found == (rows + columns < 40)).all()
    assert collar(scene.astype(np.int16), valid) is None
    coast = np.clip(land * (rows + columns - 40) / 60, 0, None).astype(np.float32)
    assert collar(coast, valid) is None
    declared = valid.copy()
    declared[50:, 70:] = False
    assert collar(scene, declared) is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_missing_pixels_come_back_as_missing(dtype: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (4, 32, 40)).astype(dtype)
    pixels.reshape(-1)[:256] = np.arange(256)  # every value of 8 bits is taken
    valid = generator.random((32, 40)) > 0.2
    pixels[:, 5, 5], valid[5, 5] = 0, True
    stored, nodata = marked(pixels, valid)
    write_raster(tmp_path / "x.tif", stored, Grid(), nodata)
    back = read_picture(tmp_path / "x.tif")
    assert (back.valid == valid).all()
    assert (back.pixels[:, valid] == pixels[:, valid]).all()


def test_undeclared_gaps_are_carried_into_image_and_mask(tmp_path: Path) -> None:
    for n in range(4):
        image = np.random.default_rng(n).integers(1, 256, (3, 40, 40)).astype(np.uint8)
        image[:, :, : 8 * (n == 1)] = 0
        for folder, pixels in (("images", image), ("masks", (image[0] > 99).astype(np.uint8))):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(
                str(tmp_path / "raw" / folder / f"i{n}.png"),
                pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(1, 2, 0)),
            )
    prepared = prepare(tmp_path / "raw", tmp_path / "out")
    assert any("collar of zeros): i1" in note for note in prepared.notes)
    item = next(item for item in manifest_of(tmp_path / "out")["items"] if item["id"] == "i1")
    assert item["missing_share"] == pytest.approx(0.2)
    assert (~read_picture(tmp_path / "out" / item["image"]["file"]).valid[:, :8]).all()
    labels = read_mask_picture(tmp_path / "out" / item["mask"]["file"]).bands[0]
    assert (labels[:, :8] == 255).all()
    assert labels[:, 8:].max() == 1


# ----------------------------------------------------------------------------------------- bands, terrain


def test_a_plane_has_its_slope_and_aspect() -> None:
    rows, columns = np.mgrid[:20, :30].astype(np.float32)
    falls_east = 1000 - columns * 10  # 10 m a cell of 20 m
    bands, known = derive(
        falls_east,
        np.ones((20, 30), bool),
        CellSize(20, 20),
        ("slope", "aspect", "curvature", "relief", "hillshade"),
    )
    names = band_names(("slope", "aspect", "curvature", "relief", "hillshade"))
    found = dict(zip(names, bands, strict=True))
    assert known.all()
    assert np.allclose(found["slope"], np.degrees(np.arctan(0.5)), atol=1e-3)
    assert np.allclose(found["aspect_sin"], 1, atol=1e-5)
    assert np.allclose(found["aspect_cos"], 0, atol=1e-5)
    assert np.allclose(found["curvature"], 0, atol=1e-3)
    assert found["relief"][10, 15] == 100
    north = derive(500 + rows * 10, np.ones((20, 30), bool), CellSize(20, 20), ("aspect", "hillshade"))[0]
    assert np.allclose(north[1], 1, atol=1e-5), "rows go south: what rises with them falls to the north"
    assert north[2][10, 10] > found["hillshade"].mean(), "the sun stands in the north-west"


def test_a_hole_in_the_elevation_is_unknown_with_its_neighbours() -> None:
    valid = np.ones((20, 20), bool)
    valid[10, 10] = False
    _, known = derive(np.zeros((20, 20), np.float32), valid, CellSize(1, 1), ("slope",))
    assert (~known).sum() == 9


def test_a_companion_is_brought_to_the_image_grid(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "dem").mkdir()
    for path in raw.glob("images/*"):
        ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (32, 40))[None]
        write_raster(tmp_path / "dem" / f"{path.stem}.tif", ramp, Grid())
    companions = (f"dem={tmp_path / 'dem'}",)
    prepare(raw, tmp_path / "out", companions=companions, terrain=("slope",), pixel_size=2.0)
    manifest = manifest_of(tmp_path / "out")
    assert manifest["bands"] == ["red", "green", "blue", "dem", "slope"]
    pixels = read_picture(tmp_path / "out" / manifest["items"][0]["image"]["file"]).pixels
    assert pixels.shape == (5, 64, 80)
    assert pixels[3, 30, 40] == pytest.approx(19.75)
    assert pixels[4, 30, 40] == pytest.approx(np.degrees(np.arctan(0.25)), abs=1e-3)


@needs_shared
def test_real_elevation_with_polygons_becomes_tiles(tmp_path: Path) -> None:
    folder = SHARED / "data" / "terrain"
    prepared = prepare(
        folder / "dem_voids.tif",
        tmp_path / "out",
        vector=folder / "landslides_large_wgs84.geojson",
        tile=128,
        blocks=128,
        terrain=("slope", "aspect"),
    )
    assert any("no data" in note for note in prepared.notes)
    manifest = manifest_of(tmp_path / "out")
    assert manifest["bands"] == ["band 1", "slope", "aspect_sin", "aspect_cos"]
    item = manifest["items"][0]
    image = read_picture(tmp_path / "out" / item["image"]["file"])
    mask = read_picture(tmp_path / "out" / item["mask"]["file"])
    assert image.grid == mask.grid
    slope = image.pixels[1][image.valid]
    assert 10 < slope.mean() < 45
    assert slope.max() < 80


# ---------------------------------------------------------------------------------------------- the manifest


def test_the_options_of_the_manifest_give_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    choice: dict[str, Any] = {
        "tile": 48,
        "augment": ("distortion:distortions=0.02", "hflip"),
        "empty_tiles": 0.5,
        "seed": 5,
    }
    for path in [*raw.glob("*/*[12].png"), *raw.glob("*/*[456].png")]:
        path.unlink()
    prepare(raw, tmp_path / "one", workers=1, **choice)
    options = read_manifest_options(tmp_path / "one/manifest.json")
    prepare(raw, tmp_path / "two", options, workers=3)
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert Options.model_validate(options.recorded()) == options
