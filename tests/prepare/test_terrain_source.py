"""A DEM with landslide polygons, many of them smaller than a cell: known counts, and tiles of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexunet.errors import DataError
from flexunet.prepare import Prepared, prepare
from flexunet.raster import open_raster
from shared_data import SHARED, needs_shared

pytest.importorskip("shapely")
pytestmark = needs_shared

TERRAIN = SHARED / "data" / "terrain"


def prepared(target: Path, dem: str = "dem.tif", **options: Any) -> Prepared:
    usual: dict[str, Any] = {"vector": TERRAIN / "landslides.shp", "shares": (1, 0, 0), "workers": 1}
    return prepare(TERRAIN / dem, target, **(usual | options))


def labels_of(dataset: Path) -> np.ndarray:
    with open_raster(next((dataset / "train/masks").iterdir())) as reader:
        assert reader.grid.crs_wkt is not None
        return np.asarray(reader.read()[0])


def test_slides_smaller_than_a_cell_are_told_and_kept_when_touched(tmp_path: Path) -> None:
    notes = prepared(tmp_path / "centre").notes
    assert any("mended 1 of 1997 polygons" in note for note in notes)
    assert any("1041 of 1997 polygons are smaller than a pixel" in note for note in notes)
    assert (labels_of(tmp_path / "centre") == 1).sum() == 4196, "the data's README counts them so"
    prepared(tmp_path / "touched", all_touched=True)
    assert (labels_of(tmp_path / "touched") == 1).sum() == 12107


def test_a_layer_in_degrees_falls_on_the_same_cells(tmp_path: Path) -> None:
    """The 192 large slides in EPSG:4326 lie where the layer in EPSG:32643 has slides too."""
    prepared(tmp_path / "degrees", vector=TERRAIN / "landslides_large_wgs84.geojson")
    prepared(tmp_path / "metres", all_touched=True)
    large = labels_of(tmp_path / "degrees") == 1
    assert large.sum() > 1500
    assert (labels_of(tmp_path / "metres")[large] == 1).all()


def test_voids_are_ignored_and_the_bands_are_named_in_the_file(tmp_path: Path) -> None:
    done = prepared(
        tmp_path / "voids",
        dem="dem_voids.tif",
        terrain=("slope", "aspect"),
        companions=(f"cover={TERRAIN / 'landcover.tif'}",),
    )
    assert any("missing pixels" in note for note in done.notes)
    with open_raster(TERRAIN / "dem_voids.tif") as source:
        _, known = source.read_valid()
    assert (labels_of(tmp_path / "voids")[~known] == 255).all()
    with open_raster(next((tmp_path / "voids/train/images").iterdir())) as reader:
        assert reader.band_names == ("band 1", "cover", "slope", "aspect_sin", "aspect_cos")
        pixels, valid = reader.read_valid()
    assert not valid[~known].any()
    assert pixels[2][valid].min() >= 0
    assert pixels[2][valid].max() < 90


def test_blocks_keep_tiles_of_two_splits_apart_and_say_when_none_is_left(tmp_path: Path) -> None:
    options: dict[str, Any] = {"shares": (70, 15, 15), "tile": 64, "all_touched": True}
    prepared(tmp_path / "blocks", blocks=192, buffer=4, **options)
    items = json.loads((tmp_path / "blocks/manifest.json").read_text(encoding="utf-8"))["items"]
    windows = {
        split: [item["window"] for item in items if item["split"] == split] for split in ("train", "test")
    }
    for row, col, height, width in windows["train"]:
        for other_row, other_col, other_height, other_width in windows["test"]:
            apart = max(
                other_row - row - height, row - other_row - other_height,
                other_col - col - width, col - other_col - other_width,
            )  # fmt: skip
            assert apart >= 4
    with pytest.raises(DataError, match="enlarge --blocks"):
        prepared(tmp_path / "none", blocks=64, buffer=60, **options)
