"""The map is one file that asks the network for nothing and shows whatever it is given."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from flexunet.classes import Classes
from flexunet.errors import DataError
from flexunet.raster import Grid, open_raster, write_raster
from flexunet.raster.grid import ControlPoint
from flexunet.raster.ground import placed
from flexunet.views import write_html_map

NASTY = '</script><img src=x onerror="alert(1)"> 滑坡 & <!--'
CLASSES = Classes(names=("background", NASTY), colours=((0, 0, 0), (255, 60, 0)))
UTM = CRS.from_epsg(32643).to_wkt()
GRID = Grid((2.0, 0.0, 500000.0, 0.0, -2.0, 4000000.0), UTM)


def make_scene(folder: Path, grid: Grid = GRID, height: int = 60, width: int = 80) -> tuple[Path, Path]:
    """A scene and its class map with one square of class 1 and a strip without data."""
    rng = np.random.default_rng(0)
    scene = rng.integers(40, 200, (3, height, width), dtype=np.uint8)
    labels = np.zeros((height, width), np.uint8)
    labels[10:30, 20:50] = 1
    labels[-5:] = 255
    write_raster(folder / "scene.tif", scene, grid)
    write_raster(folder / "classes.tif", labels, grid, nodata=255)
    return folder / "scene.tif", folder / "classes.tif"


def square(grid: Grid, row: float, col: float, edge: float, **properties: Any) -> dict[str, Any]:
    a, b, c, d, e, f = grid.transform
    corners = [(col, row), (col, row + edge), (col + edge, row + edge), (col + edge, row), (col, row)]
    ring = [[a * x + b * y + c, d * x + e * y + f] for x, y in corners]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"class": NASTY, **properties}, "geometry": geometry}


def content_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found.group(1))
    return content


def test_nothing_in_the_page_points_outside_or_ends_a_tag_early(tmp_path: Path) -> None:
    scene, classes = make_scene(tmp_path)
    page = tmp_path / "map.html"
    features = [square(GRID, 10, 20, 8, note=NASTY, area_m2=np.float64(256.0), bad=float("nan"))]
    write_html_map(page, scene, classes, CLASSES, features, title=NASTY, notes=[NASTY])
    text = page.read_text(encoding="utf-8")
    assert 'onerror="' not in text
    assert text.count("</script>") == 3
    assert "default-src 'none'" in text
    assert "Volodymyr Agafonkin" in text  # the licence travels along
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)[^\"']*[./]", text.split("<script", 1)[0])
    assert not re.findall(r"url\((?!#default#VML)[^)]*\)", text.split("</style>", 1)[0])
    assert "sourceMappingURL" not in text
    content = content_of(page)
    assert content["title"] == NASTY
    assert content["classes"][1]["name"] == NASTY
    assert content["polygons"][0]["p"] == [NASTY, NASTY, 256.0, None]


@pytest.mark.parametrize(
    "grid",
    [
        Grid(),
        GRID,
        Grid(tuple(Affine(*GRID.transform) @ Affine.rotation(30))[:6], UTM),
        Grid((0.001, 0.0, 100.0, 0.0, -0.001, 30.0), CRS.from_epsg(4326).to_wkt()),
        Grid((2.0, 0.0, 10.0, 0.0, -2.0, 20.0)),
    ],
    ids=["pixels", "projected", "rotated", "degrees", "no system"],
)
def test_polygons_lie_where_the_pixels_are_on_any_grid(tmp_path: Path, grid: Grid) -> None:
    scene, classes = make_scene(tmp_path, grid)
    write_html_map(tmp_path / "map.html", scene, classes, CLASSES, [square(grid, 10, 20, 5, id=7)])
    content = content_of(tmp_path / "map.html")
    assert content["size"] == [60, 80]
    assert content["transform"] == list(grid.transform)
    ring = np.array(content["polygons"][0]["r"][0][0]).reshape(-1, 2)
    assert sorted({tuple(point) for point in ring.tolist()}) == [(20, 10), (20, 15), (25, 10), (25, 15)]
    projected = grid.crs_wkt == UTM
    assert (content["lonlat"] is not None) == projected
    assert (content["metres"] == pytest.approx(2.0)) if projected else True


def test_too_many_polygons_leave_the_largest_and_a_note(tmp_path: Path) -> None:
    scene, classes = make_scene(tmp_path)

    def stream() -> Iterator[dict[str, Any]]:
        for number in range(500):
            yield square(GRID, number % 40, number % 60, 1 + number / 100, id=number)

    notes = write_html_map(tmp_path / "map.html", scene, classes, CLASSES, stream(), most_polygons=20)
    assert notes[-1] == "The 20 largest of 500 polygons are shown."
    shown = content_of(tmp_path / "map.html")["polygons"]
    assert [item["p"][1] for item in shown] == list(range(499, 479, -1))


def test_a_large_scene_is_reduced_and_its_outlines_simplified(tmp_path: Path) -> None:
    scene, classes = make_scene(tmp_path, height=300, width=400)
    around = np.linspace(0, 2 * np.pi, 400)
    ring = [[500000 + 2 * (200 + 90 * np.cos(t)), 4000000 - 2 * (150 + 90 * np.sin(t))] for t in around]
    tiny = square(GRID, 5, 5, 0.5)
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    notes = write_html_map(tmp_path / "map.html", scene, classes, CLASSES, [feature, tiny], edge_px=100)
    assert "1 pixel for 4 of the scene" in notes[0]
    large, small = content_of(tmp_path / "map.html")["polygons"]
    light = np.array(large["r"][0][0]).reshape(-1, 2)
    assert 12 < len(light) < 80
    assert np.abs(np.hypot(*(light - (200, 150)).T) - 90).max() < 2.1
    assert large["c"] is None
    assert small["c"] == 1  # smaller than a pixel of the picture, and still there


def test_a_scene_on_a_line_has_a_map_and_no_polygons(tmp_path: Path) -> None:
    line = Grid((1.0, 1.0, 500000.0, 1.0, 1.0, 4000000.0), GRID.crs_wkt)
    scene, class_map = make_scene(tmp_path, line)
    write_html_map(tmp_path / "map.html", scene, class_map, CLASSES)
    with pytest.raises(DataError, match="onto a line"):
        write_html_map(tmp_path / "other.html", scene, class_map, CLASSES, [square(line, 1, 1, 5)])
    assert not (tmp_path / "other.html").exists()


def test_a_class_map_of_another_size_is_refused(tmp_path: Path) -> None:
    scene, _ = make_scene(tmp_path)
    write_raster(tmp_path / "other.tif", np.zeros((10, 10), np.uint8), GRID)
    with pytest.raises(DataError, match="has 10 x 10 pixels, the scene 60 x 80"):
        write_html_map(tmp_path / "map.html", scene, tmp_path / "other.tif", CLASSES)
    assert not (tmp_path / "map.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_runs_it_without_a_word_of_complaint(tmp_path: Path) -> None:
    scene, classes = make_scene(tmp_path)
    features = [square(GRID, 10, 20, 8), square(GRID, 30, 40, 4)]
    write_html_map(tmp_path / "map.html", scene, classes, CLASSES, features)
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=3000",
        "--dump-dom", (tmp_path / "map.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, encoding="utf-8")
    panel = done.stdout.split('id="panel"', 1)[1]
    assert "Polygons (2)" in panel
    assert "WGS 84 / UTM zone 43N (EPSG:32643)" in panel
    assert "CONSOLE" not in done.stderr


def test_a_scene_of_ground_control_points_says_where_the_cursor_is(tmp_path: Path) -> None:
    corners = ((0, 0), (0, 80), (60, 0), (60, 80))
    points = tuple(ControlPoint(row, col, 500000 + 2 * col, 4000000 - 2 * row) for row, col in corners)
    grid = Grid(crs_wkt=UTM, points=points)
    scene, classes = make_scene(tmp_path, grid)
    with open_raster(scene) as reader:
        assert reader.grid.points
    write_html_map(tmp_path / "map.html", scene, classes, CLASSES, [square(placed(grid), 10, 20, 5)])
    content = content_of(tmp_path / "map.html")
    assert content["transform"] == pytest.approx([2, 0, 500000, 0, -2, 4000000])
    assert content["metres"] == pytest.approx(2)
    assert content["polygons"][0]["r"][0][0][:2] == [20, 10]
