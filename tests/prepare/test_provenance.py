"""What a dataset was made of: layers by name, companions, sides of Shapefiles; what a resumed run notices."""

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from flexunet.cli.app import app
from flexunet.errors import DataError
from flexunet.prepare import prepare, read_manifest_options
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


def make_pairs_with_elevation(root: Path) -> None:
    for n in range(6):
        for folder, count in (("raw/images", 3), ("raw/masks", 1), ("dem", 1)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            high = 2 if folder == "raw/masks" else 200
            pixels = np.random.default_rng(n).integers(0, high, (count, SIDE, SIDE)).astype(np.uint8)
            write_raster(root / folder / f"p{n}.tif", pixels, Grid())


def stop_after_three(stage: str, done: int, count: int) -> None:
    if stage == "writing" and done == 3:
        raise KeyboardInterrupt


def stop_at_the_end(stage: str, done: int, count: int) -> None:
    if stage == "writing" and done == count:
        raise KeyboardInterrupt


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_companions_are_in_the_manifest_with_their_checksums(tmp_path: Path) -> None:
    make_pairs_with_elevation(tmp_path)
    companions = (f"dem={tmp_path / 'dem'}", f"first={tmp_path / 'dem/p0.tif'}")
    prepare(tmp_path / "raw", tmp_path / "out", companions=companions, augment=("hflip",))
    for item in manifest_of(tmp_path / "out")["items"]:
        if "parent" in item:
            continue
        own = f"{item['id']}.tif"
        assert item["companions"] == [
            {"name": "dem", "source": own, "source_sha256": sha256(tmp_path / "dem" / own)},
            {"name": "first", "source": "p0.tif", "source_sha256": sha256(tmp_path / "dem/p0.tif")},
        ]


def test_a_stopped_run_begins_anew_where_a_companion_or_a_group_has_changed(tmp_path: Path) -> None:
    make_pairs_with_elevation(tmp_path)
    groups = tmp_path / "groups.csv"
    groups.write_text("id,group\n" + "".join(f"p{n},a{n}\n" for n in range(6)), encoding="utf-8")
    choice: dict[str, Any] = {"companions": (f"dem={tmp_path / 'dem'}",), "groups": groups, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", tmp_path / "out", progress=stop_after_three, **choice)
    write_raster(tmp_path / "dem/p0.tif", np.full((1, SIDE, SIDE), 7, np.uint8), Grid())
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", tmp_path / "out", progress=stop_after_three, **choice)
    assert len(list(tmp_path.glob(".out.*.part"))) == 2, "other elevations, another work folder"
    groups.write_text(groups.read_text(encoding="utf-8").replace("a0", "a9"), encoding="utf-8")
    prepare(tmp_path / "raw", tmp_path / "out", **choice)
    prepare(tmp_path / "raw", tmp_path / "fresh", **choice)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_all_files_of_a_shapefile_are_told_and_watched(tmp_path: Path) -> None:
    make_scene(tmp_path / "raw/scene.tif")
    shape = tmp_path / "slides.shp"
    pyogrio.raw.write(
        shape,
        shapely.to_wkb([box(5, 5, 20, 20), box(22, 22, 30, 30)]),
        [np.array(["rock", "rock"], object)],
        ["kind"],
        crs="EPSG:32643",
        geometry_type="Polygon",
    )
    choice: dict[str, Any] = {"shares": (1, 0, 0), "vector": shape, "class_attribute": "kind"}
    choice["classes"] = ("rock", "soil")
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw/scene.tif", tmp_path / "out", progress=stop_at_the_end, **choice)
    table = shape.with_suffix(".dbf")
    content = table.read_bytes()
    assert content.count(b"rock") == 2
    table.write_bytes(content.replace(b"rock", b"soil", 1))
    prepare(tmp_path / "raw/scene.tif", tmp_path / "out", **choice)
    manifest = manifest_of(tmp_path / "out")
    mask = manifest["items"][0]["mask"]
    assert mask["source"][0] == "slides.shp"
    assert {"slides.dbf", "slides.prj", "slides.shx"} <= set(mask["source"])
    assert mask["source_sha256"] == [sha256(tmp_path / name) for name in mask["source"]]
    assert (read_mask_picture(tmp_path / "out" / mask["file"]).bands[0] == 2).any()
    for name in ("shapely", "pyogrio", "pyproj"):
        assert manifest["versions"][name] == version(name)


# ------------------------------------------------------------------------------------------------- --like


def run_like(folder: Path, *more: str) -> Result:
    manifest = folder / "out/manifest.json"
    return CliRunner().invoke(
        app, ["prepare", str(folder / "raw"), str(folder / "again"), "--like", str(manifest), *more]
    )


def test_options_typed_beside_like_are_refused_by_name(tmp_path: Path) -> None:
    make_pairs_with_elevation(tmp_path)
    prepare(tmp_path / "raw", tmp_path / "out", collars=False)
    refused = run_like(tmp_path, "--seed", "137", "--tile", "300", "--collars", "--no-overlaps")
    assert isinstance(refused.exception, DataError)
    told = str(refused.exception)
    assert "--collars, --tile, --seed, --no-overlaps would not count" in told
    assert "leave out --like" in told
    assert not (tmp_path / "again").exists()
    assert run_like(tmp_path, "--workers", "1").exit_code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_relative_paths_of_a_manifest_are_looked_for_here_and_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pairs_with_elevation(tmp_path)
    here = tmp_path / "here"
    (here / "lists").mkdir(parents=True)
    (here / "lists/train.txt").write_text("".join(f"p{n}.tif\n" for n in range(6)), encoding="utf-8")
    shutil.copytree(tmp_path / "dem", here / "dem")
    monkeypatch.chdir(here)
    prepare(tmp_path / "raw", tmp_path / "out", companions=("dem=dem",), splits=Path("lists"))
    monkeypatch.chdir(tmp_path)  # here is a dem, but no lists
    shutil.copytree(here / "lists", tmp_path / "out/lists")
    options = read_manifest_options(Path("out/manifest.json"))
    assert (options.companions, options.splits) == (("dem=dem",), Path("out/lists"))
    (tmp_path / "dem").rename(tmp_path / "out/dem")
    assert read_manifest_options(Path("out/manifest.json")).companions == ("dem=out/dem",)
    assert run_like(tmp_path).exit_code == 0
    shutil.rmtree(tmp_path / "out/lists")
    refused = run_like(tmp_path)
    assert isinstance(refused.exception, DataError)
    assert f"lists: --splits: there is no such file. Relative paths start at {tmp_path}." in str(
        refused.exception
    )
