"""What a dataset was made of: layers by name, companions, sides of Shapefiles; what a resumed run notices."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexunet.errors import DataError
from flexunet.prepare import prepare
from flexunet.raster import Grid, read_mask_picture, write_raster

pytest.importorskip("shapely")

import pyogrio
import shapely

from flexunet.vector.libraries import pyproj

SIDE = 40
GRID = Grid((10.0, 0.0, 300000.0, 0.0, -10.0, 3800000.0), pyproj.CRS.from_epsg(32643).to_wkt())
SLIDES, LOOKED_AT = (5, 5, 20, 20), (0, 0, SIDE, 30)


def box(left: int, top: int, right: int, bottom: int) -> shapely.Geometry:
    return shapely.box(300000 + 10 * left, 3800000 - 10 * bottom, 300000 + 10 * right, 3800000 - 10 * top)


def write_layer(path: Path, name: str, corners: tuple[int, int, int, int], *, append: bool = False) -> None:
    pyogrio.raw.write(
        path,
        shapely.to_wkb([box(*corners)]),
        [],
        [],
        layer=name,
        crs="EPSG:32643",
        geometry_type="Polygon",
        append=append,
    )


def make_scene(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(1, 256, (3, SIDE, SIDE)).astype(np.uint8)
    write_raster(path, pixels, GRID)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_layer_of_a_file_with_several_is_named_as_the_refusal_says(tmp_path: Path) -> None:
    make_scene(tmp_path / "raw/scene.tif")
    two = tmp_path / "two.gpkg"
    write_layer(two, "slides", SLIDES)
    write_layer(two, "seen", LOOKED_AT, append=True)
    choice: dict[str, Any] = {"shares": (1, 0, 0), "aoi": Path(f"{two}|layername=seen")}
    with pytest.raises(DataError, match=r"several layers.*two\.gpkg\|layername=slides"):
        prepare(tmp_path / "raw/scene.tif", tmp_path / "out", vector=two, **choice)
    prepare(tmp_path / "raw/scene.tif", tmp_path / "out", vector=Path(f"{two}|layername=slides"), **choice)
    manifest = manifest_of(tmp_path / "out")
    assert manifest["options"]["vector"] == f"{two.as_posix()}|layername=slides"
    mask = manifest["items"][0]["mask"]
    assert (mask["source"], mask["source_sha256"]) == ("two.gpkg", sha256(two))
    labels = read_mask_picture(tmp_path / "out" / mask["file"]).bands[0]
    assert (labels[5:20, 5:20] == 1).all()
    assert (labels[:30] == 1).sum() == 225
    assert (labels[30:] == 255).all()
    with pytest.raises(DataError, match=r"none\.gpkg\|layername=slides.*no such file"):
        prepare(tmp_path / "raw/scene.tif", tmp_path / "no", vector=Path("none.gpkg|layername=slides"))
