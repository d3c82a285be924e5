"""The quick-look shows a scene of any size, kind and place."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexunet.classes import Classes
from flexunet.errors import DataError
from flexunet.raster import Grid, read_reduced, write_png, write_raster
from flexunet.views import draw_error_map, draw_scene_overlay
from flexunet.views.scene_pictures import metres, nice_length, percent

TWO = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 60, 0)))


@pytest.mark.parametrize("name", ["look.png", "look.jpg"])
def test_the_quick_look_is_the_scene_pixel_by_pixel_with_a_legend_below(tmp_path: Path, name: str) -> None:
    scene = np.full((3, 400, 600), 90, np.uint8)
    labels = np.zeros((400, 600), np.uint8)
    labels[100:200, 100:300] = 1
    labels[:, 500:] = 255
    write_raster(tmp_path / "scene.tif", scene, Grid())
    write_raster(tmp_path / "classes.tif", labels, Grid(), nodata=255)
    draw_scene_overlay(tmp_path / "scene.tif", tmp_path / "classes.tif", tmp_path / name, TWO)
    with Image.open(tmp_path / name) as picture:
        drawn = np.asarray(picture.convert("RGB")).astype(int)
    assert drawn.shape[1] == 600
    assert drawn.shape[0] > 420
    for place, expected in (((50, 50), 90), ((350, 550), 90)):
        assert np.abs(drawn[place] - expected).max() <= 4
    tinted = np.array([90, 90, 90]) * 0.7 + np.array([255, 60, 0]) * 0.3
    assert np.abs(drawn[150, 200] - tinted).max() <= 6
    assert np.abs(drawn[150, 100] - (255, 60, 0)).max() <= (4 if name.endswith("png") else 60)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (700, 2), (481, 803)])
def test_odd_sizes_are_drawn(tmp_path: Path, shape: tuple[int, int]) -> None:
    write_raster(tmp_path / "scene.tif", np.full((3, *shape), 9, np.uint8), Grid())
    write_raster(tmp_path / "classes.tif", np.ones(shape, np.uint8), Grid())
    draw_scene_overlay(
        tmp_path / "scene.tif", tmp_path / "classes.tif", tmp_path / "out.png", TWO, title="$a$ 滑坡"
    )
    draw_error_map(tmp_path / "classes.tif", tmp_path / "errors.png", [("a", (1, 2, 3)), ("b", (4, 5, 6))])
    with Image.open(tmp_path / "out.png") as picture:
        assert max(picture.size) <= 2200


def test_bands_without_colour_and_missing_values_are_stretched_and_grey(tmp_path: Path) -> None:
    scene = np.linspace(-5, 5, 200 * 500, dtype=np.float32).reshape(1, 200, 500)
    scene[0, :50, :50] = np.nan
    write_raster(tmp_path / "scene.tif", scene, Grid())
    write_png(tmp_path / "classes.png", np.zeros((200, 500), np.uint8))
    draw_scene_overlay(tmp_path / "scene.tif", tmp_path / "classes.png", tmp_path / "out.png", TWO)
    with Image.open(tmp_path / "out.png") as picture:
        drawn = np.asarray(picture.convert("RGB"))
    assert drawn[20, 20].tolist() == [48, 48, 48]
    assert drawn[100, 10].mean() < drawn[190, 490].mean()


def test_sizes_that_differ_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "scene.tif", np.zeros((3, 20, 20), np.uint8), Grid())
    write_raster(tmp_path / "classes.tif", np.zeros((20, 21), np.uint8), Grid())
    with pytest.raises(DataError, match="20 x 21 pixels, the scene 20 x 20"):
        draw_scene_overlay(tmp_path / "scene.tif", tmp_path / "classes.tif", tmp_path / "out.png", TWO)


def test_reduced_labels_are_the_most_frequent_and_pixels_the_mean(tmp_path: Path) -> None:
    labels = np.kron(np.array([[0, 2], [1, 0]], np.uint8), np.ones((40, 40), np.uint8))
    labels[::4, ::4] = 3
    write_raster(tmp_path / "labels.tif", labels, Grid())
    small = read_reduced(tmp_path / "labels.tif", 20, labels=True)
    assert small.pixels[0].tolist() == np.kron([[0, 2], [1, 0]], np.ones((10, 10), int)).tolist()
    assert (small.shape, small.step) == ((80, 80), 4)
    write_raster(tmp_path / "mean.tif", np.arange(6400, dtype=np.float32).reshape(80, 80), Grid())
    mean = read_reduced(tmp_path / "mean.tif", 8).pixels[0]
    expected = np.arange(6400).reshape(8, 10, 8, 10).mean((1, 3))
    np.testing.assert_allclose(mean, expected, atol=0.01)


def test_lengths_and_shares_as_people_write_them() -> None:
    assert [nice_length(value) for value in (1, 4.9, 5, 99, 0.03)] == [1, 2, 5, 50, 0.02]
    assert [metres(value) for value in (0.2, 5, 2000)] == ["20 cm", "5 m", "2 km"]
    assert [percent(share) for share in (None, 0, 0.0001, 0.5, 0.9999, 1)] == [
        "", "0.0 %", "<0.1 %", "50.0 %", ">99.9 %", "100.0 %",
    ]  # fmt: skip
