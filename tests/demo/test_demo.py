"""The demo leaves everything it names, the same again, and never takes a folder that is not its own."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.demo.dataset import Counts, write_dataset
from flexunet.demo.run import run_demo
from flexunet.errors import OutputExistsError
from flexunet.raster import open_raster, read_mask_picture, read_picture

TINY = Counts(train=4, valid=2, test=3)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_dataset_has_four_views_of_each_scene_on_one_grid(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    write_dataset(
        tmp_path,
        counts=Counts(1, 1, 1),
        seed=1,
        size=64,
        processes=1,
        progress=lambda *call: calls.append(call),
    )
    assert calls[-1] == ("making scenes", 3, 3)
    for index, split in enumerate(("train", "valid", "test")):
        name = f"scene_{index:03d}"
        image = read_picture(tmp_path / split / "images" / f"{name}.png").pixels
        mask = read_mask_picture(tmp_path / split / "masks" / f"{name}.png")
        assert image.shape == (3, 64, 64)
        assert mask.bands.shape == (1, 64, 64)
        with (
            open_raster(tmp_path / split / "geotiff" / f"{name}.tif") as scene,
            open_raster(tmp_path / split / "dem" / f"{name}.tif") as dem,
        ):
            assert np.array_equal(scene.read(), image)
            assert dem.shape == (1, 64, 64)
            assert dem.grid == scene.grid
            assert scene.grid.transform[0] == 2.5
            assert "UTM zone 48N" in (scene.grid.crs_wkt or "")


@pytest.mark.slow
def test_side_by_side_makes_the_same_bytes(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        write_dataset(tmp_path / name, counts=Counts(1, 1, 1), seed=1, size=64, processes=processes)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.slow
def test_a_tiny_demo_leaves_everything_it_names(tmp_path: Path) -> None:
    said: list[str] = []
    demo = run_demo(tmp_path / "demo", counts=TINY, epochs=2, size=64, processes=1, say=said.append)
    for name in (
        "demo.png", "demo.json", "run/model.safetensors", "run/curves.png", "run/log.csv", "run/config.toml",
        "evaluation/scores.json", "evaluation/confusion.png", "predictions/scene_006.png",
        "predictions/scene_006.tif",
    ):  # fmt: skip
        assert (tmp_path / "demo" / name).is_file(), name
    summary = json.loads((tmp_path / "demo" / "demo.json").read_text(encoding="utf-8"))
    assert summary["finished"] is True
    assert summary["landslide"]["iou"] == demo.iou
    # the scores are those of the written predictions, counted here anew
    hit, said_so, true = np.zeros(3, np.int64)
    for name in ("scene_006", "scene_007", "scene_008"):
        predicted, truth = (
            read_mask_picture(tmp_path / "demo" / folder / f"{name}.png").bands[0] > 0
            for folder in ("predictions", "dataset/test/masks")
        )
        hit, said_so, true = hit + (predicted & truth).sum(), said_so + predicted.sum(), true + truth.sum()
    assert said_so > 0 < true
    assert demo.iou == pytest.approx(hit / (said_so + true - hit))
    assert demo.f1 == pytest.approx(2 * hit / (said_so + true))
    assert len(said) == 3
    with open_raster(tmp_path / "demo" / "predictions" / "scene_006.tif") as predicted:
        assert np.array_equal(
            predicted.read()[0],
            read_mask_picture(tmp_path / "demo" / "predictions" / "scene_006.png").bands[0],
        )
        assert predicted.grid.is_georeferenced

    with pytest.raises(OutputExistsError, match="--overwrite"):
        run_demo(tmp_path / "demo", counts=TINY, epochs=1, size=64)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputExistsError, match="already there"):
        run_demo(tmp_path, counts=TINY, epochs=1)
    with pytest.raises(OutputExistsError, match="was not made by the demo"):
        run_demo(tmp_path, counts=TINY, epochs=1, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_the_command_explains_itself_and_refuses_politely(tmp_path: Path) -> None:
    assert "Example: flexunet demo" in CliRunner().invoke(app, ["demo", "--help"]).output
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)])
    assert isinstance(result.exception, OutputExistsError)
