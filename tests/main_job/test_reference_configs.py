"""A user of the reference moves over: the config as it is, the outputs where they always stood."""

import json
import math
from pathlib import Path

import pytest

from command_line import flexunet
from flexunet.config import load_config, read_config
from flexunet.evaluation import evaluate_job, job_of
from flexunet.training import train
from reference_project import build_project
from shared_data import SHARED, needs_shared

CONFIGS = sorted((SHARED / "data" / "flexunet-configs").glob("*.config"))
SMALL = ("train.epochs=1", "model.base_filters=2", "model.base_kernels=[3,3]", "data.size=[128,128]")
"""The published networks have 127 million weights; everything but their width is as written."""


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("config_file", CONFIGS, ids=lambda path: path.stem)
def test_each_config_trains_evaluates_and_leaves_the_references_files(
    config_file: Path, tmp_path: Path
) -> None:
    path = build_project(config_file, tmp_path)
    config = read_config(path, SMALL).config

    train(config, source=path)
    evaluation = evaluate_job(job_of(path, overrides=SMALL))
    flexunet("predict", path, cwd=path.parent, code=0)

    here = path.parent
    assert evaluation.out == here / "evaluation_test"
    numbers = [line.split(",") for line in (here / "evaluation.csv").read_text().splitlines()]
    assert [name for name, _ in numbers] == [
        evaluation.scores["reference"][what]["name"] for what in ("loss", "metric")
    ]
    assert all(math.isfinite(float(value)) for _, value in numbers)
    assert config.predict.images is not None
    assert config.predict.out is not None
    asked = {item.stem for item in config.predict.images.iterdir()}
    assert asked == {item.stem for item in config.predict.out.glob("*.png")}
    assert (here / "models" / "best_model.safetensors").is_file()
    assert (here / "models" / "train_eval_infer.config").read_bytes() == config_file.read_bytes()
    for name in ("train_losses", "train_metrics"):
        header, *rows = (here / "eval" / f"{name}.csv").read_text().splitlines()
        assert header.startswith("epoch,")
        assert len(rows) == 1
        assert (here / "eval" / f"{name}.png").stat().st_size > 1000
    assert json.loads((here / "history.json").read_text())["loss"]
    if config.train.epoch_pictures and config.train.epoch_pictures_whole:
        assert len([*(here / "epoch_change_infer").glob("Epoch_1_*.png")]) >= 1
    assert 0 <= evaluation.scores["pixel_accuracy"] <= 1


@needs_shared
@pytest.mark.parametrize("config_file", CONFIGS, ids=lambda path: path.stem)
def test_each_config_names_folders_from_its_own_place(config_file: Path, tmp_path: Path) -> None:
    config = load_config(build_project(config_file, tmp_path))
    assert config.data.train is not None
    assert all(tmp_path in images.parents for images in config.data.train.images)
