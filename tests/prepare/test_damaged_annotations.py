"""Annotations and layers that are not what their format says are reported by file and place."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pyproj import CRS

from flexunet.errors import DataError
from flexunet.prepare import prepare
from flexunet.raster import Grid, read_mask_picture, write_raster

UTM = CRS.from_epsg(32643).to_wkt(version="WKT1_GDAL")
RING = [[5, 6], [25, 6], [25, 20], [5, 20]]
FLAT = [value for point in RING for value in point]


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 256, (40, 50, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        prepare(folder, folder.parent / "out")
    assert {path.name for path in folder.parent.iterdir()} == {folder.name}
    return str(caught.value)


def polygon(points: Any) -> dict[str, Any]:
    return {"label": "slide", "points": points, "shape_type": "polygon"}


LABELME = [
    ([polygon([[1, 2], [3], [5, 6]])], "shape 1"),
    ([polygon([[1, 2], [3, 4], [10**400, 6]])], "shape 1"),
    ([polygon(None)], "shape 1"),
    ([None], "shape 1"),
    ([{"label": "slide", "points": [[1, 2], [3]], "shape_type": "circle"}], "shape 1"),
    (None, "`shapes` is no list"),
    ({"a": 1}, "`shapes` is no list"),
]


@pytest.mark.parametrize(("shapes", "told"), LABELME)
def test_labelme_shapes(shapes: Any, told: str, tmp_path: Path) -> None:
    for number, content in enumerate((shapes, [polygon(RING)])):
        picture(tmp_path / f"raw/p{number}.png", number)
        text = json.dumps({"shapes": content, "imagePath": f"p{number}.png"})
        (tmp_path / f"raw/p{number}.json").write_text(text, encoding="utf-8")
    found = refusal(tmp_path / "raw")
    assert "p0.json" in found
    assert told in found
    assert "p1.json" not in found


VIA = [
    (None, "`regions` is neither"),
    (3, "`regions` is neither"),
    ([None], "a.png, region 1"),
    ([{"shape_attributes": None}], "a.png, region 1"),
    ([{"shape_attributes": {"name": "polygon", "all_points_x": [1, 2, 3]}}], "a.png, region 1"),
    ([{"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 10**400, "height": 2}}], "region 1"),
]


@pytest.mark.parametrize(("regions", "told"), VIA)
def test_via_regions(regions: Any, told: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/a.png")
    content = {"a": {"filename": "a.png", "regions": regions}}
    (tmp_path / "raw/via.json").write_text(json.dumps(content), encoding="utf-8")
    found = refusal(tmp_path / "raw")
    assert "via.json" in found
    assert told in found


def annotated(segmentation: Any) -> dict[str, Any]:
    return {"id": 4, "image_id": 1, "category_id": 7, "segmentation": segmentation}


COCO = [
    (None, "`annotations` is no list"),
    ({"a": 1}, "`annotations` is no list"),
    ([None], "annotation ?"),
    (["x"], "annotation ?"),
    ([{**annotated([FLAT]), "image_id": [1]}], "annotation 4"),
    ([annotated(None)], "annotation 4"),
    ([annotated([5])], "annotation 4"),
    ([annotated({"size": [40], "counts": [2000]})], "annotation 4"),
    ([annotated([[*FLAT, 3]])], "annotation 4"),
]


@pytest.mark.parametrize(("annotations", "told"), COCO)
def test_coco_annotations(annotations: Any, told: str, tmp_path: Path) -> None:
    picture(tmp_path / "raw/a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "slide"}],
    }
    (tmp_path / "raw/coco.json").write_text(json.dumps(content), encoding="utf-8")
    found = refusal(tmp_path / "raw")
    assert "coco.json" in found
    assert told in found


NNUNET: list[tuple[dict[str, Any], str]] = [
    ({"channel_names": {"red": 0, "green": 1}}, r'{"0": "red"'),
    ({"channel_names": ["red"]}, "`channel_names`"),
    ({"labels": {"background": 0, "slide": 0}}, "a value of its own"),
    ({"labels": {"background": 0, "slide": None}}, "lists (regions)"),
]


@pytest.mark.parametrize(("change", "told"), NNUNET)
def test_nnunet_descriptions(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"raw/imagesTr/c{number}_0000.png", number)
        mask = np.zeros((40, 50), np.uint8)
        mask[4:9, 4:9] = 1
        (tmp_path / "raw/labelsTr").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / f"raw/labelsTr/c{number}.png"), mask)
    described = {"channel_names": {"0": "RGB"}, "labels": {"background": 0, "slide": 1}} | change
    (tmp_path / "raw/dataset.json").write_text(json.dumps(described), encoding="utf-8")
    found = refusal(tmp_path / "raw")
    assert "dataset.json" in found
    assert told in found


# -------------------------------------------------------------------------------------------- scenes


def make_scenes(folder: Path, kinds: tuple[Any, ...]) -> None:
    """Four rasters side by side; on the first ones one polygon each, of the kinds given."""
    folder.mkdir(parents=True)
    for number in range(4):
        pixels = np.random.default_rng(number).integers(1, 256, (3, 40, 50), dtype=np.uint8)
        write_raster(
            folder / f"r{number}.tif", pixels, Grid((10, 0, 300000 + 500 * number, 0, -10, 3.8e6), UTM)
        )
    features = []
    for number, kind in enumerate(kinds):
        ring = [[300000 + 500 * number + 10 * x, 3.8e6 - 10 * y] for x, y in [*RING, RING[0]]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"kind": kind}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    layer = {"type": "FeatureCollection", "crs": crs, "features": features}
    (folder / "slides.geojson").write_text(json.dumps(layer), encoding="utf-8")


@pytest.mark.parametrize("attribute", [None, "kind"])
def test_a_scene_without_polygons_is_a_negative_and_told(attribute: str | None, tmp_path: Path) -> None:
    make_scenes(tmp_path / "raw", ("slide",) * 3)
    prepared = prepare(tmp_path / "raw", tmp_path / "out", class_attribute=attribute, seed=2)
    assert any("no polygon meets r3.tif" in note for note in prepared.notes)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))
    assert {item["id"]: item["negative"] for item in manifest["items"]} == {
        "r0": False, "r1": False, "r2": False, "r3": True
    }  # fmt: skip


def test_a_negative_scene_keeps_what_was_not_looked_at(tmp_path: Path) -> None:
    make_scenes(tmp_path / "raw", ("slide",) * 3)
    x, y = 300000, 3.8e6
    square = [[x, y], [x + 2000, y], [x + 2000, y - 200], [x, y - 200], [x, y]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    geometry = {"type": "Polygon", "coordinates": [square]}
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    prepare(tmp_path / "raw", tmp_path / "out", aoi=aoi, seed=2)
    labels = read_mask_picture(next((tmp_path / "out").glob("*/masks/r3.tif"))).bands[0]
    assert (labels[:20] == 0).all()
    assert (labels[20:] == 255).all()


def test_a_layer_of_another_place_is_refused(tmp_path: Path) -> None:
    make_scenes(tmp_path / "raw", ("slide",) * 3)
    layer = tmp_path / "raw/slides.geojson"
    layer.write_text(layer.read_text(encoding="utf-8").replace("3799", "2799"), encoding="utf-8")
    assert "no polygon meets r0.tif, r1.tif, r2.tif, r3.tif; is it of another place?" in refusal(
        tmp_path / "raw"
    )


@pytest.mark.parametrize("classes", [None, ("slide",)])
@pytest.mark.parametrize("kinds", [("slide", None, ""), (1, None, 2)])
def test_polygons_without_a_class_are_named(kinds: tuple[Any, ...], classes: Any, tmp_path: Path) -> None:
    make_scenes(tmp_path / "raw", kinds)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "raw", tmp_path / "out", class_attribute="kind", classes=classes)
    found = str(caught.value)
    assert "1 of 1 polygons on r1.tif have no 'kind'" in found
    assert ("r2.tif have no 'kind'" in found) == (kinds[2] == "")
    assert "None" not in found
    assert "nan" not in found
