"""A scene behind a web server gives what the file gives, and only the parts that are needed are fetched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.raster import write_raster
from small_scenes import HALF_METRE, blobs, small_model

SERVER = Path(__file__).resolve().parents[1] / "range_server.py"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the folder `web` is served, by a process of its own: GDAL waits and keeps Python waiting."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "web").mkdir()
    command = [sys.executable, str(SERVER), str(tmp_path / "web")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"/vsicurl/http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def predict(*arguments: object) -> Any:
    fixed = ("--precision", "32", "--device", "cpu")
    return CliRunner().invoke(app, ["predict", *map(str, arguments), *fixed])


def test_an_address_gives_the_bytes_of_the_file(tmp_path: Path, address: str) -> None:
    model = small_model(tmp_path / "m.safetensors")
    write_raster(tmp_path / "web" / "scene.tif", blobs(300, 280), HALF_METRE)
    wanted = ("--probability", "--polygons", "geojson", "--overlay", "--html")
    local = predict(model, tmp_path / "web" / "scene.tif", "--out", tmp_path / "local", *wanted)
    assert local.exit_code == 0, local.output
    far = predict(model, f"{address}/scene.tif", "--out", tmp_path / "far", *wanted)
    assert far.exit_code == 0, (far.output, far.exception)
    names = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == names
    for name in names:
        assert (tmp_path / "far" / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name


def test_only_what_is_needed_is_fetched(tmp_path: Path, address: str) -> None:
    model = small_model(tmp_path / "m.safetensors")
    noise = np.random.default_rng(0).integers(1, 255, (3, 2048, 2048), dtype=np.uint8)
    write_raster(tmp_path / "web" / "large.tif", noise, HALF_METRE)
    corner = (
        '{"type": "Polygon", "coordinates": [[[400010, 2999990], [400050, 2999990], [400050, 2999950],'
        " [400010, 2999950], [400010, 2999990]]]}"
    )
    crs = '{"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32648"}}'
    feature = f'{{"type": "Feature", "properties": {{}}, "geometry": {corner}}}'
    (tmp_path / "aoi.geojson").write_text(
        f'{{"type": "FeatureCollection", "crs": {crs}, "features": [{feature}]}}', "utf-8"
    )
    done = predict(
        model,
        f"{address}/large.tif",
        "--out",
        tmp_path / "out",
        "--keep-black",
        "--aoi",
        tmp_path / "aoi.geojson",
    )
    assert done.exit_code == 0, (done.output, done.exception)
    size = (tmp_path / "web" / "large.tif").stat().st_size
    sent = [int(line) for line in (tmp_path / "web" / "sent.log").read_text().split()]
    assert 0 < sum(sent) < 0.5 * size


def test_an_address_that_leads_nowhere_is_named(tmp_path: Path, address: str) -> None:
    model = small_model(tmp_path / "m.safetensors")
    done = predict(model, f"{address}/nothing.tif", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"{address}/nothing.tif" in done.output.replace("\n", "")
    assert "cannot be read as a raster" in done.output.replace("\n", " ")
