"""A model is fed the bands it knows, wherever a scene keeps them, or the fault says which are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from rasterio.enums import ColorInterp

from flexunet.errors import DataError
from flexunet.prediction.scenes import SceneOptions, plan_scene
from flexunet.prediction.scenes.bands import choose_bands
from flexunet.prediction.scenes.source import SceneSource
from flexunet.raster import Window
from small_scenes import blobs, small_predictor, small_record

RGB = ("red", "green", "blue")
RGBN = ("red", "green", "blue", "nir")


def marked(path: Path, pixels: np.ndarray, marks: str) -> Path:
    count, height, width = pixels.shape
    size = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", alpha="no", **size) as out:
        out.colorinterp = [ColorInterp[mark] for mark in marks.split()]
        out.write(pixels)
    return path


def test_bytes_stored_blue_first_are_read_red_first(tmp_path: Path) -> None:
    pixels = blobs(60, 50)
    scene = marked(tmp_path / "bgr.tif", pixels, "blue green red")
    with SceneSource(scene, small_record()) as source:
        assert_array_equal(source.read(Window(0, 0, 60, 50))[0], pixels[::-1])
        assert source.notes == ("bands used: 3 (red), 2 (green), 1 (blue)",)


def test_a_fourth_band_without_a_name_is_left_out(tmp_path: Path) -> None:
    pixels = blobs(60, 50, 4)
    scene = marked(tmp_path / "rgbn.tif", pixels, "red green blue undefined")
    with SceneSource(scene, small_record()) as source:
        assert_array_equal(source.read(Window(0, 0, 60, 50))[0], pixels[:3])
    assert not plan_scene(small_predictor(), scene, SceneOptions(strict=True)).plan.resampled


@pytest.mark.parametrize(
    ("model", "scene", "bands", "by_position"),
    [
        (RGB, ("Blue", "nir", "Red", "Green"), (3, 4, 1), False),
        (RGBN, ("red", "green", "blue", "band 4"), (1, 2, 3, 4), True),
        (RGBN, ("blue", "green", "red", "band 4"), (3, 2, 1, 4), True),
        (("red", "green", "blue", "band 4"), ("blue", "green", "red", "nir"), (3, 2, 1, 4), True),
        (("red", "green", "blue", "band 4"), ("red", "green", "blue", "band 4"), (1, 2, 3, 4), False),
        (RGB, ("B04", "B03", "B02"), (1, 2, 3), True),
        (RGB, ("band 1", "band 2", "band 3"), (1, 2, 3), False),
        (("band 1", "band 2", "band 3"), RGB, (1, 2, 3), False),
        (RGB, ("red", "red", "red"), (1, 2, 3), True),
    ],
)
def test_names_first_then_places(
    model: tuple[str, ...], scene: tuple[str, ...], bands: tuple[int, ...], by_position: bool
) -> None:
    chosen = choose_bands("scene.tif", scene, "uint8", small_record(model))
    assert (chosen.bands, chosen.by_position) == (bands, by_position)


@pytest.mark.parametrize(
    ("model", "scene", "missing"),
    [
        (RGBN, ("red", "green", "blue", "swir"), "nir"),
        (RGBN, ("red", "green", "blue", "band 4", "band 5"), "nir"),
        (("red", "green", "blue", "band 4"), ("nir", "red", "green", "blue"), "band 4"),
    ],
)
def test_missing_bands_are_named(model: tuple[str, ...], scene: tuple[str, ...], missing: str) -> None:
    with pytest.raises(DataError, match=f"scene.tif: has no band called {missing}\\. The model takes"):
        choose_bands("scene.tif", scene, "uint8", small_record(model))
