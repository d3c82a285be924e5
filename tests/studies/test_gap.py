"""The same images are scored each time, by models that have not seen them, nor what belongs to them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flexunet.classes import Classes
from flexunet.cli.app import app
from flexunet.config import Config, read_config
from flexunet.data import read_folds
from flexunet.errors import ConfigError, DataError, Interrupted, OutputExistsError
from flexunet.studies import measure_gap
from flexunet.studies.gap_results import foreground_iou
from flexunet.studies.schemes import plan_division
from flexunet.training import train


def test_regions_leave_as_a_whole_and_groups_stay_together(write_run: Any) -> None:
    data = read_config(write_run()).config.data
    division = plan_division(data, 3, seed=1)
    random, grouped, regions = division.schemes
    ids = [pair.id for pair in division.pairs]
    for scheme in division.schemes:
        assert [row.id for row in scheme.rows] == ids
        assert {row.fold for row in scheme.rows} == set(range(1, len(scheme.parts) + 1))

    # Counties come from the names; pictures without one are spread
    assert regions.parts == ("hz", "js", "ny")
    for row in regions.rows:
        if not row.id.startswith("nls"):
            assert row.id.startswith(regions.parts[row.fold - 1])
    assert len({row.fold for row in regions.rows if row.id.startswith("nls")}) == 2

    # hz076 and hz077 share ground: one part where groups count, each by itself at random
    group = {row.id: row.group for row in grouped.rows}
    fold = {row.id: row.fold for row in grouped.rows}
    assert group["hz076"] == group["hz077"]
    assert fold["hz076"] == fold["hz077"]
    assert len({row.group for row in random.rows}) == len(ids)


def test_the_gap_is_measured_and_can_be_stopped(write_run: Any, tmp_path: Path, interrupt_when: Any) -> None:
    run = write_run(epochs=2)  # the log is there after the first: Ctrl-C finds the second
    config = read_config(run).config
    folder = tmp_path / "runs" / "run" / "gap"

    with (
        pytest.raises(Interrupted, match="same command goes on"),
        interrupt_when(folder / "regions" / "fold-1-seed-1" / "log.csv"),
    ):
        measure_gap(config, parts=2)
    finished = folder / "random" / "fold-1-seed-1" / "held_out.json"
    before = finished.stat().st_mtime_ns

    shown = CliRunner().invoke(app, ["gap", str(run), "--folds", "2"])
    assert shown.exit_code == 0, shown.output
    assert finished.stat().st_mtime_ns == before
    assert "held out by region" in shown.output
    assert "The test split was not opened." in shown.output
    assert (folder / "gap.txt").read_text(encoding="utf-8").strip() in shown.output
    assert (folder / "gap.png").stat().st_size > 10_000
    assert not list(folder.glob("**/*.safetensors"))

    results = json.loads((folder / "gap.json").read_text(encoding="utf-8"))
    assert (results["images"], results["groups"], results["regions"]) == (12, 11, 3)
    assert [(r["scheme"], r["part"]) for r in results["runs"]] == [
        ("random", "part 1"), ("random", "part 2"), ("grouped", "part 1"), ("grouped", "part 2"),
        ("regions", "hz"), ("regions", "js"), ("regions", "ny"),
    ]  # fmt: skip
    truth = [scheme["classes"][1]["truth_pixels"] for scheme in results["schemes"].values()]
    assert truth[0] == truth[1] == truth[2] > 0  # the same pixels each time
    # every region is a unit that is drawn, none of the pictures without one is
    assert results["schemes"]["regions"]["intervals_by_region"]["groups"] == 3
    values = {name: scheme["foreground"]["iou"] for name, scheme in results["schemes"].items()}
    for row in results["differences"]:
        if row["iou"] is not None:
            assert row["iou"]["value"] == pytest.approx(values[row["to"]] - values[row["from"]], abs=1e-5)

    # Who predicts a region was not trained on it
    held = folder / "regions" / "fold-1-seed-1"
    ids = {image["id"] for image in json.loads((held / "held_out.json").read_text("utf-8"))["images"]}
    assert {name for name in ids if not name.startswith("nls")} == {"hz055", "hz066", "hz076", "hz077"}
    data = read_config(held / "config.toml").config.data
    assert data.fold == 1
    assert data.folds is not None
    assert {row.id for row in read_folds(data.folds) if row.fold == 1} == ids

    # More seeds keep what is there; other parts are another question
    measure_gap(config, parts=2, seeds=1)
    with pytest.raises(ConfigError, match=r"folds\.csv divides the images in another way.*--overwrite"):
        measure_gap(config, parts=3)
    slower = config.model_copy(update={"train": config.train.model_copy(update={"learning_rate": 0.5})})
    with pytest.raises(ConfigError, match=r"train\.learning_rate"):
        measure_gap(slower, parts=2)


def test_a_budget_is_turned_into_the_epochs_of_all(write_run: Any, tmp_path: Path) -> None:
    table = tmp_path / "regions.csv"
    root = read_config(write_run()).config.data.root
    assert root is not None
    names = sorted(path.stem for path in root.glob("*/*/*.png") if path.parts[-3] != "test")
    lines = [f"{name},{'north' if name < 'js' else 'south'}" for name in dict.fromkeys(names)]
    lines[-1] = lines[-1].split(",")[0] + ","  # one whose region nobody knows
    table.write_text("\n".join(["id,side", *lines]), encoding="utf-8")
    found = measure_gap(
        read_config(write_run(epochs=50)).config,
        parts=2, seeds=2, budget_minutes=0.003, regions=table, region_column="side", out=tmp_path / "gap",
    )  # fmt: skip
    runs = found.results["runs"]
    assert len(runs) == 12
    assert len({run["epochs"] for run in runs}) == 1
    assert runs[0]["epochs"] < 50
    assert len(found.results["schemes"]["random"]["iou_of_seeds"]) == 2
    assert found.results["images_without_region"] == 1


def test_what_cannot_be_divided_is_said(write_run: Any, tmp_path: Path) -> None:
    config = read_config(write_run()).config
    with pytest.raises(DataError, match="13 folds need at least 13 groups; there are 12"):
        measure_gap(config, parts=13)
    (tmp_path / "one.csv").write_text("id,region\nhz066,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="at least two; found: x"):
        measure_gap(config, regions=tmp_path / "one.csv")
    with pytest.raises(DataError, match="matches no id; the first one is 'hz055'"):
        measure_gap(config, region_pattern="^[A-Z]+")
    with pytest.raises(DataError, match=r"regions 076, 077 share ground \(group hz076\).*cannot part"):
        measure_gap(config, region_pattern=r"\d+")
    with pytest.raises(ConfigError, match="give one of them"):
        measure_gap(config, region_pattern="^[a-z]", regions=tmp_path / "one.csv")
    with pytest.raises(ConfigError, match="--folds 1"):
        measure_gap(config, parts=1)
    with pytest.raises(ConfigError, match="--seeds 0"):
        measure_gap(config, seeds=0)
    plateau = read_config(write_run(), ["train.schedule=plateau"]).config
    with pytest.raises(ConfigError, match=r"plateau.*--set train\.schedule=onecycle"):
        measure_gap(plateau)
    manifest = json.dumps({"options": {}, "items": []})
    bare = config.data.model_copy(update={"root": tmp_path / "bare"})
    for split in ("train", "valid"):
        for kind in ("images", "masks"):
            source = next((config.data.root / split / kind).glob("*.png"))  # type: ignore[operator]
            place = tmp_path / "bare" / split / kind / source.name
            place.parent.mkdir(parents=True)
            place.write_bytes(source.read_bytes())
    (tmp_path / "bare" / "manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(DataError, match=r"is not known\. Give --region-pattern"):
        measure_gap(config.model_copy(update={"data": bare}), parts=2)
    folder = config.output.dir / "gap"
    (folder / "random").mkdir(parents=True)
    with pytest.raises(OutputExistsError, match="not from `flexunet gap`"):
        measure_gap(config, parts=2)


def test_the_mean_leaves_absent_classes_out() -> None:
    classes = Classes(names=("b", "x", "y"), colours=((0, 0, 0), (1, 0, 0), (2, 0, 0)))
    cells = np.zeros((2, 3, 3))
    cells[:, 1, 1], cells[:, 1, 0] = 3, 1  # IoU of x: 3 of 4
    cells[1, 0, 2], cells[1, 2, 2] = 1, 1  # IoU of y: nowhere, and 1 of 2
    assert foreground_iou(classes)(cells.reshape(2, 9)).tolist() == [0.75, 0.625]
    assert np.isnan(foreground_iou(classes)(np.zeros((1, 9)))).all()


def test_the_dataset_that_is_named_is_the_one_that_is_measured(
    write_run: Any, dataset: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for split in ("train", "valid"):
        shutil.copytree(dataset / split, elsewhere / split)
    for picture in (elsewhere / "train" / "images").glob("js*"):
        picture.unlink()
        (elsewhere / "train" / "masks" / picture.name).unlink()
    folders = "\n".join(
        f'[data.{split}]\nimages = ["{dataset.as_posix()}/{split}/images"]\n'
        f'masks = ["{dataset.as_posix()}/{split}/masks"]'
        for split in ("train", "valid")
    )
    recipe = write_run(folders, epochs=1)
    command = ["gap", str(elsewhere), "--config", str(recipe), "--folds", "2", "--region-pattern", "^[a-z]+"]
    command += ["--out", str(tmp_path / "gap")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "gap" / "gap.json").read_text(encoding="utf-8"))
    assert results["images"] == 11


def test_a_model_that_was_trained_on_these_images_is_no_start(write_run: Any, tmp_path: Path) -> None:
    model = train(read_config(write_run(epochs=1)).config).model
    started = read_config(write_run(epochs=1), [f"train.start_from={model.as_posix()}"]).config
    with pytest.raises(ConfigError, match="was trained on images that are to be held out"):
        measure_gap(started, parts=2, out=tmp_path / "gap")
    assert not (tmp_path / "gap").exists()


def test_all_runs_of_a_table_have_as_many_epochs(write_run: Any, tmp_path: Path) -> None:
    def asked(epochs: int) -> Config:
        return read_config(write_run(epochs=epochs), ["train.schedule=constant"]).config

    measure_gap(asked(1), parts=2, out=tmp_path / "gap")
    (tmp_path / "gap" / "random" / "fold-1-seed-1" / "held_out.json").unlink()
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        measure_gap(asked(2), parts=2, out=tmp_path / "gap")
