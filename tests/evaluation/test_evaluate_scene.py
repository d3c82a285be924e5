"""A class map against its truth: the same numbers by windows, by any grid and by polygons."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds

from flexunet.classes import Classes
from flexunet.errors import DataError, OutputExistsError, RasterError
from flexunet.evaluation import evaluate_scene, scene_table
from flexunet.evaluation.truth import strips
from flexunet.metrics import ConfusionMatrix
from flexunet.raster import Grid, write_png, write_raster

TWO = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 60, 0)))
THREE = Classes(names=("no", "slide", "water"), colours=((0, 0, 0), (255, 0, 0), (0, 0, 255)))
UTM = CRS.from_epsg(32643).to_wkt()
GRID = Grid((10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0), UTM)


def maps(seed: int = 0, classes: int = 2) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Truth and prediction of 90 x 70 pixels in blocks, with some noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, classes, (9, 7)).repeat(10, 0).repeat(10, 1).astype(np.uint8)
    noisy = np.where(rng.random(blocks.shape) < 0.1, rng.integers(0, classes, blocks.shape), blocks)
    return blocks, noisy.astype(np.uint8)


def counts(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int = 2) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes)
    matrix.add(truth, predicted)
    return matrix


def test_scores_errors_and_pictures_of_a_raster_truth(tmp_path: Path) -> None:
    truth, predicted = maps()
    truth[:5], predicted[:, :3] = 255, 255
    write_raster(tmp_path / "truth.tif", truth, GRID)
    write_raster(tmp_path / "classes.tif", predicted, GRID, nodata=255)
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "truth.tif", TWO, tmp_path / "out")
    assert result.confusion == counts(truth[5:, 3:], predicted[5:, 3:])
    saved = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert saved["classes"][1]["iou"] == result.confusion.iou[1]
    assert saved["not_counted"]["not_predicted"] == 85 * 3
    assert saved["not_counted"]["not_predicted_foreground"] == (truth[5:, :3] == 1).sum()
    assert saved["not_counted"]["no_truth"] == 5 * 67
    assert saved["metres_per_pixel"] == [10, 10]
    with rasterio.open(tmp_path / "out" / "error_map.tif") as errors:
        assert (errors.crs.to_epsg(), errors.transform.a, errors.nodata) == (32643, 10, 255)
        codes = errors.read(1)
    expected = np.array([[0, 2], [3, 1]], np.uint8)[truth.clip(0, 1), predicted.clip(0, 1)]
    expected[(truth == 255) | (predicted == 255)] = 255
    np.testing.assert_array_equal(codes, expected)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "confusion.png",
        "error_map.png",
        "error_map.tif",
        "error_map.tif.aux.xml",
        "scores.json",
    ]
    assert "landslide" in scene_table(result.scores)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        evaluate_scene(tmp_path / "classes.tif", tmp_path / "truth.tif", TWO, tmp_path / "out")


@pytest.mark.parametrize("turned", [False, True])
def test_a_truth_on_another_grid_is_read_at_the_nearest_pixel(tmp_path: Path, turned: bool) -> None:
    truth, predicted = maps()
    place = Affine(10, 0, 500000, 0, -10, 4000000)
    if turned:
        place = place @ Affine.rotation(25)
    grid = Grid(tuple(place)[:6], UTM)
    fine = truth.repeat(3, 0).repeat(3, 1)
    margin = np.zeros((fine.shape[0] + 12, fine.shape[1] + 12), np.uint8)
    margin[6:-6, 6:-6] = fine
    fine_place = place @ Affine.translation(-2, -2) @ Affine.scale(1 / 3)
    write_raster(tmp_path / "truth.tif", margin, Grid(tuple(fine_place)[:6], UTM), nodata=0)
    write_raster(tmp_path / "classes.tif", predicted, grid, nodata=255)
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "truth.tif", TWO, tmp_path / "out")
    assert result.confusion == counts(truth, predicted)
    assert "another grid" in result.notes[0]


def test_what_lies_outside_the_truth_is_not_counted(tmp_path: Path) -> None:
    truth, predicted = maps()
    write_raster(tmp_path / "truth.tif", truth[20:50, 10:40], GRID.shifted(20, 10), nodata=0)
    write_raster(tmp_path / "classes.tif", predicted, GRID, nodata=255)
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "truth.tif", TWO, tmp_path / "out")
    assert result.confusion == counts(truth[20:50, 10:40], predicted[20:50, 10:40])
    write_raster(tmp_path / "far.tif", truth, GRID.shifted(5000, 0))
    with pytest.raises(DataError, match="another place"):
        evaluate_scene(tmp_path / "classes.tif", tmp_path / "far.tif", TWO, tmp_path / "far")
    assert not (tmp_path / "far").exists()


def test_a_truth_in_another_reference_system_is_brought_over(tmp_path: Path) -> None:
    truth, predicted = maps()
    write_raster(tmp_path / "classes.tif", predicted, GRID, nodata=255)
    left, bottom, right, top = transform_bounds(UTM, "EPSG:4326", 500000, 3999100, 500700, 4000000)
    step = (right - left) / 700
    rows, cols = round((top - bottom) / step), 700
    degrees = np.full((rows, cols), 255, np.uint8)
    grid = Grid((step, 0.0, left, 0.0, -step, top), CRS.from_epsg(4326).to_wkt())
    reproject(
        truth, degrees, src_transform=Affine(*GRID.transform), src_crs=UTM, dst_crs="EPSG:4326",
        dst_transform=Affine(*grid.transform), dst_nodata=255, resampling=Resampling.nearest,
    )  # fmt: skip
    write_raster(tmp_path / "degrees.tif", degrees, grid, nodata=255)
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "degrees.tif", TWO, tmp_path / "out")
    agreed = np.abs(result.confusion.counts - counts(truth, predicted).counts).sum() / truth.size
    assert result.confusion.total > 0.99 * truth.size
    assert agreed < 0.03  # pixels are cut anew, twice


def test_masks_of_other_makes(tmp_path: Path) -> None:
    truth, predicted = maps()
    write_raster(tmp_path / "classes.tif", predicted, Grid(), nodata=255)
    write_png(tmp_path / "white.png", truth * np.uint8(255))
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "white.png", TWO, tmp_path / "white")
    assert result.confusion == counts(truth, predicted)
    assert "255 is read as 'landslide'" in result.notes[0]
    write_png(tmp_path / "colours.png", np.asarray(TWO.colours, np.uint8)[truth])
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "colours.png", TWO, tmp_path / "colours")
    assert result.confusion == counts(truth, predicted)
    signed = truth.astype(np.int16)
    signed[:10] = -1
    write_raster(tmp_path / "signed.tif", signed, Grid())
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "signed.tif", TWO, tmp_path / "signed")
    assert result.confusion == counts(truth[10:], predicted[10:])


def test_what_cannot_be_a_truth_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    truth, predicted = maps(classes=3)
    write_raster(tmp_path / "classes.tif", predicted, Grid(), nodata=255)
    cases = {
        "values.tif": (truth + np.uint8(1), r"no class: 3\. Labels are 0 to 2"),
        "bands.tif": (np.stack([truth, truth]), "this has 2 bands"),
        "colours.tif": (np.stack([truth] * 3), r"colours that no class has: \(1, 1, 1\), \(2, 2, 2\)"),
    }
    for name, (array, message) in cases.items():
        write_raster(tmp_path / name, array, Grid())
        with pytest.raises(DataError, match=message):
            evaluate_scene(tmp_path / "classes.tif", tmp_path / name, THREE, tmp_path / "out")
    write_raster(tmp_path / "small.tif", truth[:20], Grid())
    with pytest.raises(RasterError, match="must be equal"):
        evaluate_scene(tmp_path / "classes.tif", tmp_path / "small.tif", THREE, tmp_path / "out")
    write_raster(tmp_path / "two.tif", truth.clip(0, 1), Grid())
    with pytest.raises(DataError, match="has label 2; labels are 0 to 1"):
        evaluate_scene(tmp_path / "classes.tif", tmp_path / "two.tif", TWO, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_polygons_are_a_truth_like_their_pixels(tmp_path: Path) -> None:
    truth, predicted = maps(classes=3)
    write_raster(tmp_path / "classes.tif", predicted, GRID, nodata=255)
    features = []
    for row in range(9):
        for col in range(7):
            label = int(truth[row * 10, col * 10])
            if label:
                x, y = 500000 + col * 100, 4000000 - row * 100
                ring = [[x, y], [x + 100, y], [x + 100, y - 100], [x, y - 100], [x, y]]
                geometry = {"type": "Polygon", "coordinates": [ring]}
                features.append(
                    {"type": "Feature", "properties": {"kind": THREE.names[label]}, "geometry": geometry}
                )
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
    collection = {"type": "FeatureCollection", "crs": crs, "features": features}
    (tmp_path / "truth.geojson").write_text(json.dumps(collection), encoding="utf-8")
    arguments = (tmp_path / "classes.tif", tmp_path / "truth.geojson", THREE, tmp_path / "out")
    with pytest.raises(DataError, match="--truth-attribute"):
        evaluate_scene(*arguments)
    result = evaluate_scene(*arguments, attribute="kind")
    assert result.confusion == counts(truth, predicted, 3)


def test_polygons_all_around_a_scene_are_a_truth_and_those_of_another_place_are_none(tmp_path: Path) -> None:
    write_raster(tmp_path / "classes.tif", maps()[1], GRID, nodata=255)

    def layer(name: str, *corners: tuple[float, float]) -> Path:
        rings = [[[x, y], [x + 100, y], [x + 100, y - 100], [x, y]] for x, y in corners]
        shapes = [{"type": "Polygon", "coordinates": [ring]} for ring in rings]
        features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32643"}}
        content = {"type": "FeatureCollection", "crs": crs, "features": features}
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / name

    around = layer("around.geojson", (490000, 4010000), (510000, 3990000))
    result = evaluate_scene(tmp_path / "classes.tif", around, TWO, tmp_path / "around")
    assert result.confusion == counts(np.zeros((90, 70), np.uint8), maps()[1])
    assert "none of its polygons lies here, so all ground is 'background'" in result.notes[0]
    far = layer("far.geojson", (990000, 4010000), (980000, 3990000))
    with pytest.raises(DataError, match="another place"):
        evaluate_scene(tmp_path / "classes.tif", far, TWO, tmp_path / "far")
    colours = np.zeros((3, 90, 70), np.uint8)
    write_raster(tmp_path / "colours.tif", colours, GRID.shifted(5000, 0))
    with pytest.raises(DataError, match="another place"):
        evaluate_scene(tmp_path / "classes.tif", tmp_path / "colours.tif", TWO, tmp_path / "far")
    assert not (tmp_path / "far").exists()


def test_a_scene_of_several_strips_gives_the_numbers_of_the_whole(tmp_path: Path) -> None:
    height, width = 300, 17_000
    windows = list(strips((height, width)))
    assert [window.row for window in windows] == [0, 128, 256]
    rng = np.random.default_rng(1)
    blocks = (rng.random((30, 170)) < 0.3).astype(np.uint8)
    truth = blocks.repeat(10, 0).repeat(100, 1)
    predicted = np.roll(truth, 40, 1)
    write_raster(tmp_path / "truth.tif", truth, Grid())
    write_raster(tmp_path / "classes.tif", predicted, Grid(), nodata=255)
    result = evaluate_scene(tmp_path / "classes.tif", tmp_path / "truth.tif", TWO, tmp_path / "out")
    assert result.confusion == counts(truth, predicted)
    (objects,) = result.scores["objects"]["classes"]
    assert objects["true_objects"] == cv2.connectedComponents(truth, connectivity=8)[0] - 1
    assert objects["predicted_objects"] == cv2.connectedComponents(predicted, connectivity=8)[0] - 1
