"""Calibrating a model also tells its file what its training pictures look like; reports then use it."""

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from blob_dataset import write_pairs
from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import ClassConfig, DataConfig, EvaluateConfig, ResUNetConfig
from flexunet.data import open_store
from flexunet.errors import DataError
from flexunet.evaluation import calibrate_model, evaluate, score_table
from flexunet.evaluation.applicability import fit_applicability
from flexunet.modelfile import InputRecord, ModelRecord, read_record, replace_record, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataConfig]:
    root = tmp_path_factory.mktemp("blobs")
    for seed, (split, count) in enumerate((("train", 20), ("valid", 12), ("test", 4))):
        write_pairs(root / split, count, seed, size=20)
    record = ModelRecord(
        model=ResUNetConfig(widths=(4, 6), depths=(1,)),
        classes=Classes(names=("no", "blob"), colours=((0, 0, 0), (255, 255, 255))),
        bands=Bands(names=("red", "green", "blue"), mean=(90.0,) * 3, std=(30.0,) * 3),
        data=InputRecord(size=(16, 16)),
    )
    save_model(root / "model.safetensors", build_network(record.model, 3, 2).eval(), record)
    classes = (ClassConfig(name="no", colour=(0, 0, 0)), ClassConfig(name="blob", colour=(255, 255, 255)))
    return root / "model.safetensors", DataConfig(root=root, classes=classes, size=(16, 16))


def test_calibration_brings_applicability_and_the_report_uses_it(
    trained: tuple[Path, DataConfig], tmp_path: Path
) -> None:
    path, data = trained
    calibrate_model(path, data, tta=False, device="cpu")
    found = read_record(path).applicability
    assert found is not None
    assert found.fitted_on["train_images"] == 20
    assert found.fitted_on["groups"] == 12
    assert found.shares[0] == 1
    assert np.all(np.diff(found.held_out) > 0)
    result = evaluate(path, data, out=tmp_path / "report", settings=EvaluateConfig(gallery=1))
    assert result.scores["applicability"]["images"] == 4
    assert "applicability: " in score_table(result.scores)
    assert all(image.applicability is not None for image in result.per_image)
    assert "applicability" in (tmp_path / "report" / "per_image.csv").read_text(encoding="utf-8")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Where not to trust the map" in page
    assert "images, by applicability" in page


def test_too_few_pictures_are_refused_in_words(trained: tuple[Path, DataConfig]) -> None:
    path, data = trained
    few = open_store(data, "test", full_size=True)
    with pytest.raises(DataError, match="4 training and 4 held-out pictures"):
        fit_applicability(Predictor.from_file(path, device="cpu"), few, few, ["a"] * 4)


def trained_on_split(
    trained: tuple[Path, DataConfig], split: Literal["train", "valid"], folder: Path
) -> Path:
    """A copy of the model that says it was trained on a split."""
    path = folder / "model.safetensors"
    shutil.copy(trained[0], path)
    seen = open_store(trained[1], split).fingerprint
    replace_record(path, read_record(path).model_copy(update={"fingerprint": seen}))
    return path


def test_pictures_that_it_was_not_trained_on_do_not_change_what_it_knows(
    trained: tuple[Path, DataConfig], tmp_path: Path
) -> None:
    data = trained[1]
    path = trained_on_split(trained, "train", tmp_path)
    calibrate_model(path, data, tta=False, device="cpu")
    known = read_record(path).applicability
    assert known is not None
    for seed, (split, count) in enumerate((("train", 20), ("valid", 12)), 7):
        write_pairs(tmp_path / "other" / split, count, seed, size=20)
    found = calibrate_model(path, data.at(tmp_path / "other"), tta=False, device="cpu")
    assert read_record(path).applicability == known
    assert found.fitted_on["doubt"] == "the model was trained on other pictures than those in train"


def test_a_model_is_not_calibrated_on_what_it_was_trained_on(
    trained: tuple[Path, DataConfig], tmp_path: Path
) -> None:
    path = trained_on_split(trained, "valid", tmp_path)
    with pytest.raises(DataError, match="the model was trained on the valid split"):
        calibrate_model(path, trained[1], tta=False, device="cpu")
