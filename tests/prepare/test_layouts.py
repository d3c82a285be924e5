"""Every source layout gives the same pictures and the same labels."""

import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from flexunet.errors import DataError
from flexunet.prepare import prepare
from flexunet.raster import Grid, read_mask_picture, read_picture, write_raster

HEIGHT, WIDTH, COUNT = 40, 50, 6
RINGS = [[(5.0 + n, 6.0), (25.0 + n, 6.0), (25.0 + n, 20.0), (5.0 + n, 20.0)] for n in range(COUNT)]
UTM = (
    'PROJCS["UTM 43N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",75],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
)
GRID = Grid((10.0, 0.0, 300000.0, 0.0, -10.0, 3800000.0), UTM)


def truth(number: int) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[6:20, 5 + number : 25 + number] = 1
    return labels


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def make_bijie(src: Path) -> None:
    for n in range(COUNT):
        save(src / "landslide/image" / f"ls{n}.png", picture(n))
        save(src / "landslide/mask" / f"ls{n}.png", truth(n) * 255)


def make_bijie_polygons(src: Path) -> None:
    (src / "landslide/polygon_coordinate").mkdir(parents=True)
    for n, ring in enumerate(RINGS):
        save(src / "landslide/image" / f"ls{n}.png", picture(n))
        text = "\n".join(f"{x:g} {y:g}" for x, y in ring)
        (src / "landslide/polygon_coordinate" / f"ls{n}.txt").write_text(text, encoding="utf-8")


def make_pairs(src: Path) -> None:
    for n in range(COUNT):
        save(src / "images" / f"ls{n}.png", picture(n))
        save(src / "masks" / f"ls{n}.png", np.dstack([truth(n) * 255, truth(n) * 0, truth(n) * 255]))


def make_splits(src: Path) -> None:
    for n in range(COUNT):
        split = ("train", "train", "test")[n % 3]
        save(src / split / "images" / f"ls{n}.png", picture(n))
        save(src / split / "masks" / f"ls{n}.png", truth(n) * 255)


def make_flat(src: Path) -> None:
    for n in range(COUNT):
        save(src / f"Landslide{n:03}.png", picture(n))
        save(src / f"LandslideLabel{n:03}.png", truth(n) * 255)


def make_landslide4sense(src: Path) -> None:
    for kind in ("img", "mask"):
        (src / "TrainData" / kind).mkdir(parents=True)
    for n in range(COUNT):
        image = np.random.default_rng(n).random((HEIGHT, WIDTH, 14))
        with h5py.File(src / f"TrainData/img/image_{n}.h5", "w") as file:
            file["img"] = image
        with h5py.File(src / f"TrainData/mask/mask_{n}.h5", "w") as file:
            file["mask"] = truth(n)


def make_nnunet(src: Path) -> None:
    for n in range(COUNT):
        for channel in range(2):
            save(src / "imagesTr" / f"case{n}_{channel:04}.png", picture(n)[..., channel])
        save(src / "labelsTr" / f"case{n}.png", truth(n))
    described = {"channel_names": {"0": "red", "1": "green"}, "labels": {"background": 0, "landslide": 1}}
    (src / "dataset.json").write_text(json.dumps(described), encoding="utf-8")


def make_text_polygons(src: Path) -> None:
    (src / "polygons").mkdir(parents=True)
    for n, ring in enumerate(RINGS):
        save(src / "images" / f"ls{n}.png", picture(n))
        text = "# x, y\n" + "\n".join(f"{x:g}, {y:g}" for x, y in ring) + "\n"
        (src / "polygons" / f"ls{n}.txt").write_text(text, encoding="utf-8")


def make_via(src: Path) -> None:
    entries: dict[str, Any] = {}
    for n, ring in enumerate(RINGS):
        save(src / f"ls{n}.jpg", picture(n))
        xs, ys = [list(axis) for axis in zip(*ring, strict=True)]
        shape: dict[str, Any] = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
        if n == 1:
            shape = {"name": "rect", "x": 6, "y": 6, "width": 20, "height": 14}
        regions = [{"shape_attributes": shape, "region_attributes": {"type": "landslide"}}]
        entries[f"ls{n}.jpg123"] = {"filename": f"ls{n}.jpg", "size": 123, "regions": regions}
    (src / "via.json").write_text(json.dumps({"_via_img_metadata": entries}), encoding="utf-8")


def make_coco(src: Path) -> None:
    images, annotations = [], []
    for n, ring in enumerate(RINGS):
        save(src / "pictures" / f"ls{n}.png", picture(n))
        images.append({"id": n, "file_name": f"ls{n}.png", "height": HEIGHT, "width": WIDTH})
        segmentation: Any = [[value for point in ring for value in point]]
        if n == 2:
            flat = truth(n).T.ravel()
            edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
            bounds = [0, *edges.tolist(), flat.size]
            segmentation = {"size": [HEIGHT, WIDTH], "counts": np.diff(bounds).tolist()}
        annotations.append({"id": n, "image_id": n, "category_id": 7, "segmentation": segmentation})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "landslide"}],
    }
    (src / "instances.json").write_text(json.dumps(content), encoding="utf-8")


def make_labelme(src: Path) -> None:
    for n, ring in enumerate(RINGS):
        save(src / f"ls{n}.png", picture(n))
        shape: dict[str, Any] = {"label": "landslide", "points": ring, "shape_type": "polygon"}
        if n == 1:
            shape |= {"points": [ring[0], ring[2]], "shape_type": "rectangle"}
        content = {"shapes": [shape], "imagePath": f"ls{n}.png"}
        (src / f"ls{n}.json").write_text(json.dumps(content), encoding="utf-8")


def make_scene(src: Path) -> None:
    """Rasters in UTM side by side, one layer in longitude and latitude."""
    from pyproj import Transformer

    src.mkdir(parents=True)
    back = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    features = []
    for n, ring in enumerate(RINGS):
        a, b, c, d, e, f = GRID.transform
        grid = Grid((a, b, c + n * WIDTH * 10, d, e, f), UTM)
        write_raster(src / f"ls{n}.tif", picture(n).transpose(2, 0, 1), grid)
        points = [(grid.transform[2] + 10 * x, grid.transform[5] - 10 * y) for x, y in [*ring, ring[0]]]
        coordinates = [list(back.transform(*point)) for point in points]
        geometry = {"type": "Polygon", "coordinates": [coordinates]}
        features.append({"type": "Feature", "properties": {"kind": "slide"}, "geometry": geometry})
    layer = {"type": "FeatureCollection", "features": features}
    (src / "slides.geojson").write_text(json.dumps(layer), encoding="utf-8")


MAKERS = {
    "bijie": make_bijie,
    "pairs": make_pairs,
    "splits": make_splits,
    "flat": make_flat,
    "landslide4sense": make_landslide4sense,
    "nnunet": make_nnunet,
    "text-polygons": make_text_polygons,
    "via": make_via,
    "coco": make_coco,
    "labelme": make_labelme,
    "scene": make_scene,
}
BANDS = {"landslide4sense": 14, "nnunet": 2}


@pytest.mark.parametrize("layout", [*MAKERS, "bijie with polygons"])
def test_a_layout_is_recognised_and_its_labels_are_right(layout: str, tmp_path: Path) -> None:
    make = MAKERS.get(layout, make_bijie_polygons)
    make(tmp_path / "raw")
    out = tmp_path / "out"
    prepared = prepare(tmp_path / "raw", out, masks="index", shares=(4, 1, 1))
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["options"]["layout"] == layout.split()[0]
    assert [prepared.counts[split]["images"] for split in ("train", "valid", "test")] == [4, 1, 1]
    for item in manifest["items"]:
        number = int(item["id"][-1])
        labels = read_mask_picture(out / item["mask"]["file"]).bands[0]
        assert (labels == truth(number)).all(), item["id"]
        image = read_picture(out / item["image"]["file"])
        assert image.pixels.shape == (BANDS.get(layout, 3), HEIGHT, WIDTH)
        assert image.grid.is_georeferenced == (layout == "scene")
        assert item["object_share"] == pytest.approx(truth(number).mean(), abs=1e-6)


def test_masks_become_colours_on_request(tmp_path: Path) -> None:
    make_pairs(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "out", masks="colours")
    mask = next((tmp_path / "out").glob("train/masks/*"))
    bands = read_mask_picture(mask).bands
    assert {tuple(colour) for colour in bands.reshape(3, -1).T.tolist()} == {(0, 0, 0), (255, 0, 255)}


def test_patterns_pair_what_lies_anywhere_below(tmp_path: Path) -> None:
    for n in range(COUNT):
        save(tmp_path / "raw" / "a" / f"S2_{n}_optical.png", picture(n))
        save(tmp_path / "raw" / "b" / f"S2_{n}_truth.png", truth(n))
    choice: dict[str, Any] = {"image_pattern": "S2_*_optical.png", "mask_pattern": "S2_*_truth.png"}
    prepared = prepare(tmp_path / "raw", tmp_path / "out", **choice)
    assert sum(kinds["images"] for kinds in prepared.counts.values()) == COUNT


def test_classes_of_a_scene_come_from_an_attribute_and_outside_the_aoi_is_ignored(tmp_path: Path) -> None:
    make_scene(tmp_path / "raw")
    layer = tmp_path / "raw/slides.geojson"
    content = json.loads(layer.read_text(encoding="utf-8"))
    for n, feature in enumerate(content["features"]):
        feature["properties"]["kind"] = ("rock", "debris")[n % 2]
    layer.write_text(json.dumps(content), encoding="utf-8")
    aoi = tmp_path / "aoi.geojson"
    x, y = GRID.transform[2], GRID.transform[5]
    square = [[x, y], [x + 9000, y], [x + 9000, y - 200], [x, y - 200], [x, y]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    geometry = {"type": "Polygon", "coordinates": [square]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    aoi.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    prepare(tmp_path / "raw", tmp_path / "out", class_attribute="kind", aoi=aoi)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert manifest["classes"] == ["background", "debris", "rock"]
    for item in manifest["items"]:
        number = int(item["id"][-1])
        labels = read_mask_picture(tmp_path / "out" / item["mask"]["file"]).bands[0]
        expected = truth(number) * (2, 1)[number % 2]
        assert (labels[:20] == expected[:20]).all()
        assert (labels[20:] == 255).all(), "the area of interest ends after 20 rows"


def test_tiles_outside_the_aoi_are_no_negatives(tmp_path: Path) -> None:
    make_scene(tmp_path / "raw")
    x, y = GRID.transform[2], GRID.transform[5]
    square = [[x, y], [x + 9000, y], [x + 9000, y - 200], [x, y - 200], [x, y]]  # the upper 20 rows
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    geometry = {"type": "Polygon", "coordinates": [square]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    prepared = prepare(tmp_path / "raw", tmp_path / "out", aoi=aoi, tile=20, shares=(4, 1, 1))
    items = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["items"]
    assert {item["id"].split("_")[1] for item in items} == {"r00000"}, "rows 20 to 39 have no label"
    assert any("18 tiles left out" in note for note in prepared.notes)


def test_tiles_with_hardly_a_label_are_left_out(tmp_path: Path) -> None:
    for n in range(COUNT):
        labels = truth(n)
        labels[:, 25:] = 255
        save(tmp_path / "raw/images" / f"ls{n}.png", picture(n))
        save(tmp_path / "raw/masks" / f"ls{n}.png", labels)
    for least, columns in ((0.5, {"c00000"}), (0.2, {"c00000", "c00020"})):
        out = tmp_path / f"out{least}"
        prepare(tmp_path / "raw", out, ignore_value=255, tile=20, min_valid=least, shares=(4, 1, 1))
        items = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["items"]
        assert {item["id"].split("_")[2] for item in items} == columns


def via_entry(number: int, shift: float = 0, name: str = "slide") -> dict[str, Any]:
    xs, ys = [list(axis) for axis in zip(*RINGS[number], strict=True)]
    shape = {"name": "polygon", "all_points_x": [x + shift for x in xs], "all_points_y": ys}
    region = {"shape_attributes": shape, "region_attributes": {"type": name}}
    return {f"ls{number}.jpg1": {"filename": f"ls{number}.jpg", "regions": [region]}}


def test_all_via_files_are_read_and_their_regions_merged(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    make_via(raw)
    entries = [via_entry(n) for n in range(COUNT)]
    one, other = entries[0] | entries[1] | entries[2], via_entry(0) | via_entry(1, shift=10)
    (raw / "via.json").write_text(json.dumps(one))
    (raw / "via_2.json").write_text(json.dumps(other | entries[3] | entries[4] | entries[5]))
    prepared = prepare(raw, tmp_path / "out", masks="index", shares=(4, 1, 1))
    items = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["items"]
    assert {item["id"] for item in items} == {f"ls{n}" for n in range(COUNT)}
    for item in items:
        number = int(item["id"][-1])
        expected = truth(number)
        if number == 1:
            expected[:, 10:] |= truth(1)[:, :-10]
        labels = read_mask_picture(tmp_path / "out" / item["mask"]["file"]).bands[0]
        assert (labels == expected).all(), number
    assert any("2 images are in several VIA files" in note for note in prepared.notes)
    assert not any("not annotated" in note for note in prepared.notes)


def test_via_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    make_via(tmp_path / "raw")
    for name in ("slide", "debris"):
        (tmp_path / f"raw/{name}.json").write_text(json.dumps(via_entry(0, name=name)))
    (tmp_path / "raw/via.json").unlink()
    with pytest.raises(DataError, match=r"slide\.json.*'slide' here, but 'debris'"):
        prepare(tmp_path / "raw", tmp_path / "out", class_attribute="type")


@pytest.mark.parametrize("layout", ["via", "labelme"])
def test_images_that_no_annotation_names_are_left_out_or_negatives(layout: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    MAKERS[layout](raw)
    save(raw / "bare.png", picture(7))
    save(raw / "negatives" / "empty.png", picture(8))
    prepared = prepare(raw, tmp_path / "out", shares=(5, 1, 1))
    assert sum(kinds.get("negatives", 0) for kinds in prepared.counts.values()) == 1
    (note,) = (note for note in prepared.notes if "not annotated" in note)
    assert note.startswith("1 images are not annotated: left out (the first one: bare.png)")
    assert "negatives/" in note


def test_crossing_polygons_are_mended_and_reported(tmp_path: Path) -> None:
    make_text_polygons(tmp_path / "raw")
    bow_tie = "5 5\n25 25\n25 5\n5 25\n"
    (tmp_path / "raw/polygons/ls0.txt").write_text(bow_tie, encoding="utf-8")
    prepared = prepare(tmp_path / "raw", tmp_path / "out")
    assert any("ls0.txt: mended 1 of 1 polygons (Self-intersection" in note for note in prepared.notes)
    labels = read_mask_picture(next((tmp_path / "out").glob("*/masks/ls0.png"))).bands[0]
    assert 180 < labels.sum() < 220


# -------------------------------------------------------------------------------------------- faults


def break_pairs(src: Path) -> None:
    (src / "masks/ls1.png").unlink()
    (src / "images/ls2.png").unlink()


def break_l4s(src: Path) -> None:
    (src / "TrainData/img/image_0.h5").write_bytes(b"no hdf5")
    with h5py.File(src / "TrainData/img/image_1.h5", "w") as file:
        file["picture"] = np.zeros((4, 4))


def break_nnunet(src: Path) -> None:
    (src / "imagesTr/case1_0001.png").unlink()
    (src / "labelsTr/case2.png").unlink()


def break_text(src: Path) -> None:
    (src / "polygons/ls0.txt").write_text("5 5\nfive six\n", encoding="utf-8")
    (src / "polygons/ls1.txt").unlink()


def break_via(src: Path) -> None:
    content = json.loads((src / "via.json").read_text(encoding="utf-8"))
    entries = content["_via_img_metadata"]
    entries["ls0.jpg123"]["regions"][0]["shape_attributes"] = {"name": "point", "cx": 1, "cy": 1}
    (src / "ls3.jpg").unlink()
    (src / "via.json").write_text(json.dumps(content), encoding="utf-8")


def break_coco(src: Path) -> None:
    content = json.loads((src / "instances.json").read_text(encoding="utf-8"))
    content["annotations"][0]["category_id"] = 8
    content["annotations"][2]["segmentation"]["counts"][0] += 1
    (src / "instances.json").write_text(json.dumps(content), encoding="utf-8")


def break_labelme(src: Path) -> None:
    (src / "ls4.json").write_text("{", encoding="utf-8")
    (src / "ls5.png").unlink()


def break_flat(src: Path) -> None:
    (src / "Landslide001.png").unlink()
    (src / "LandslideLabel002.png").unlink()


def break_scene(src: Path) -> None:
    (src / "ls1.tif").write_bytes((src / "ls1.tif").read_bytes()[:200])
    write_raster(src / "ls2.tif", picture(2).transpose(2, 0, 1), Grid(GRID.transform))  # no CRS


FAULTS = {
    "pairs": (break_pairs, "ls1.*has no mask.*ls2.*has no image"),
    "flat": (break_flat, "LandslideLabel001.*belongs to no image.*Landslide002.*has no mask"),
    "landslide4sense": (break_l4s, "image_0.*no HDF5 file.*image_1.*has no array 'img'; it has picture"),
    "nnunet": (break_nnunet, "channels are missing: case1_0001.*case2_0000.*has no file in labelsTr"),
    "text-polygons": (break_text, r"ls1\.png: has no mask.*ls0\.txt:2.*two numbers.*'five six'"),
    "via": (break_via, r"ls0\.jpg, region 1.*a point has no area.*ls3\.jpg: no such image"),
    "coco": (break_coco, "annotation 0.*no such image, category.*annotation 2.*run lengths of 2001"),
    "labelme": (break_labelme, r"ls4\.json.*no JSON.*ls5\.png: no such image"),
    "scene": (break_scene, r"ls1\.tif.*ls2\.tif"),
}


@pytest.mark.parametrize("layout", FAULTS)
def test_everything_wrong_with_a_source_is_named_at_once(layout: str, tmp_path: Path) -> None:
    MAKERS[layout](tmp_path / "raw")
    spoil, told = FAULTS[layout]
    spoil(tmp_path / "raw")
    with pytest.raises(DataError, match=f"(?s){told}"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"raw"}
