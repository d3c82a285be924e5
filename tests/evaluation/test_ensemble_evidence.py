"""What an ensemble was trained on is known from its members: no leak is denied, no time is lost."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blob_dataset import write_pairs
from flexunet.cli.app import app
from flexunet.config import Config
from flexunet.errors import DataError
from flexunet.evaluation import calibrate_model, evaluate
from flexunet.evaluation.compose import read_report
from flexunet.evaluation.provenance import training_facts
from flexunet.modelfile import read_record, save_ensemble
from flexunet.training import train_members


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two folds with two seeds each, on six images; one test image is one of valid under another name."""
    root = tmp_path_factory.mktemp("folded")
    write_pairs(root / "train", 4, seed=1)
    write_pairs(root / "valid", 2, seed=2)
    write_pairs(root / "test", 1, seed=3)
    for kind in ("images", "masks"):
        (root / "test" / kind / "p0.png").rename(root / "test" / kind / "new.png")
        shutil.copy(root / "valid" / kind / "p1.png", root / "test" / kind / "again.png")
    config = Config.model_validate({
        "data": {"root": root, "size": (32, 32), "classes": [
            {"name": "ground", "colour": (0, 0, 0)}, {"name": "blob", "colour": (255, 255, 255)},
        ]},
        "model": {"architecture": "flexunet", "base_filters": 2, "num_layers": 2},
        "train": {"epochs": 1, "batch_size": 4, "precision": "32", "accelerator": "cpu", "threads": 1,
                  "epoch_pictures": 0, "calibrate": False, "seed": 42},
        "output": {"dir": root / "runs" / "folds"},
    })  # fmt: skip
    train_members(config, folds=2, seeds=2)
    return config


def ensemble(config: Config) -> Path:
    return config.output.dir / "ensemble.safetensors"


def test_members_of_folds_have_seen_the_validation_split(trained: Config) -> None:
    found = evaluate(ensemble(trained), trained.data, "valid", trained.output.dir / "judged_valid")
    leakage = found.scores["leakage"]
    assert leakage["status"] == "leak"
    assert leakage["pictures"] == 2
    assert leakage["text"].startswith("LEAK: members of the ensemble were trained on these pictures")
    report = read_report(trained.output.dir / "judged_valid" / "report.json")
    assert any(warning.startswith("LEAK: members") for warning in report["warnings"])
    assert report["data"]["leakage"].startswith("LEAK: members")


def test_test_pictures_are_compared_with_all_that_members_have_seen(trained: Config) -> None:
    leakage = evaluate(ensemble(trained), trained.data, "test").scores["leakage"]
    assert leakage["status"] == "leak"
    assert "valid/p1 - test/again" in leakage["examples"]
    assert "have copies in train or valid" in leakage["text"]
    plain = evaluate(trained.output.dir / "fold-1-seed-1" / "model.safetensors", trained.data, "test")
    assert plain.scores["leakage"]["status"] == "not checked", "one member alone has seen other pictures"


def test_an_ensemble_of_seeds_has_seen_train_only(trained: Config, tmp_path: Path) -> None:
    config = trained.model_copy(update={"output": trained.output.model_copy(update={"dir": tmp_path / "s"})})
    train_members(config, seeds=2)
    leakage = evaluate(ensemble(config), config.data, "valid").scores["leakage"]
    assert leakage["status"] == "none found"
    assert calibrate_model(ensemble(config), config.data).fitted_on["images"] == 2


def calibrating(config: Config, out: Path) -> Config:
    train = config.train.model_copy(update={"calibrate": True})
    return config.model_copy(update={"train": train, "output": config.output.model_copy(update={"dir": out})})


def test_an_ensemble_of_seeds_is_calibrated_on_validation(trained: Config, tmp_path: Path) -> None:
    config = calibrating(trained, tmp_path / "seeds")
    train_members(config, seeds=2)
    found = read_record(ensemble(config)).calibration
    assert found is not None
    again = calibrate_model(ensemble(config), config.data)
    assert found.temperature == pytest.approx(again.temperature, rel=1e-3)
    assert found.threshold == pytest.approx(again.threshold)
    assert (found.fitted_on["split"], found.fitted_on["images"]) == ("valid", 2)


def test_an_ensemble_of_folds_is_calibrated_by_those_that_have_not_seen_a_picture(
    trained: Config, tmp_path: Path
) -> None:
    config = calibrating(trained, tmp_path / "folds")
    train_members(config, folds=2)
    found = read_record(ensemble(config)).calibration
    assert found is not None
    assert (found.fitted_on["split"], found.fitted_on["images"]) == ("out-of-fold", 6)
    assert found.fitted_on["nll_after"] <= found.fitted_on["nll_before"]
    assert read_record(ensemble(trained)).calibration is None, "train.calibrate = false"


def test_members_of_unknown_pictures_are_not_accused(trained: Config, tmp_path: Path) -> None:
    """What one fold of three and another model were trained on cannot be told from the files."""
    model = tmp_path / "mixed.safetensors"
    folds = [trained.output.dir / f"fold-{fold}-seed-1" / "model.safetensors" for fold in (1, 2)]
    write_pairs(tmp_path / "other" / "train", 5, seed=9)
    write_pairs(tmp_path / "other" / "valid", 2, seed=8)
    save_ensemble(model, folds)
    other = trained.data.model_copy(update={"root": tmp_path / "other"})
    leakage = evaluate(model, other, "valid").scores["leakage"]
    assert leakage["status"] == "not checked"
    assert "members" in leakage["reason"]
    assert "members" in calibrate_model(model, other).fitted_on["doubt"]


def test_a_calibration_is_not_fitted_on_pictures_that_members_have_seen(trained: Config) -> None:
    before = ensemble(trained).read_bytes()
    with pytest.raises(DataError, match=r"trained on the valid split[\s\S]*--data FOLDER"):
        calibrate_model(ensemble(trained), trained.data)
    result = CliRunner().invoke(app, ["evaluate", str(trained.output.dir), "--calibrate"])
    assert result.exit_code != 0
    assert ensemble(trained).read_bytes() == before


def test_how_the_members_were_trained_is_told(trained: Config, tmp_path: Path) -> None:
    out = tmp_path / "judged"
    evaluate(ensemble(trained), trained.data, "test", out)
    told = read_report(out / "report.json")["training"]
    seconds = []
    for row in told["members"]:
        finished = json.loads((trained.output.dir / row["member"] / "finished.json").read_text())
        assert row["seconds"] == finished["seconds"]
        assert (row["epochs_done"], row["best_epoch"]) == (1, 1)
        seconds.append(row["seconds"])
    assert len(seconds) == 4
    assert told["seconds"] == pytest.approx(sum(seconds))
    assert [row["seed"] for row in told["members"]] == [42, 42, 43, 43]
    assert sum(row["images"] for row in told["members"][:2]) == 6
    assert told["epochs_planned"] == 1
    assert told["config"]["batch_size"] == 4
    assert "seed" not in told["config"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "4 networks" in page
    assert "fold-2-seed-2" in page
    assert "42, 43" in page


def test_members_far_from_their_table_are_told_by_their_records(trained: Config, tmp_path: Path) -> None:
    model = tmp_path / "alone.safetensors"
    shutil.copy(ensemble(trained), model)
    told = training_facts(read_record(model), model)
    assert [row["seed"] for row in told["members"]] == [42, 42, 43, 43]
    assert told["seconds"] is None
    shutil.copy(trained.output.dir / "summary.json", tmp_path / "summary.json")
    assert training_facts(read_record(model), model)["seconds"] is not None
    parts = [trained.output.dir / f"fold-{fold}-seed-1" / "model.safetensors" for fold in (1, 2)]
    save_ensemble(model, parts)  # the table is of other members now
    assert training_facts(read_record(model), model)["seconds"] is None
    (tmp_path / "summary.json").write_text("[]", encoding="utf-8")
    assert training_facts(read_record(model), model)["seconds"] is None
