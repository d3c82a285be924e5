"""A model file, a run folder and a config in either dialect all lead to the same evaluation."""

import sys
from pathlib import Path

import numpy as np
import pytest

from flexunet.cli.app import main
from flexunet.config import dump_toml
from flexunet.config.schema import Config, DataConfig, FlexUNetConfig, LossTerm, OutputConfig, TrainConfig
from flexunet.errors import ConfigError, DataError, ModelFileError, OutputExistsError
from flexunet.evaluation import evaluate_job, job_of
from painted_dataset import paint, painted_data, painted_model

HALF = np.repeat(np.array([[0], [1]], np.uint8), 8, axis=0).repeat(16, axis=1)
QUARTER = HALF * np.repeat([0, 1], 8).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    paint(tmp_path / "data" / "test", {"a": (HALF, HALF), "b": (HALF, QUARTER)})
    return painted_data(tmp_path / "data")


@pytest.fixture
def run(tmp_path: Path, data: DataConfig) -> Path:
    """A native run folder."""
    folder = tmp_path / "runs" / "first"
    config = Config(data=data, model=FlexUNetConfig(), output=OutputConfig(dir=folder))
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(dump_toml(config), encoding="utf-8")
    painted_model(folder / "model.safetensors", data)
    return folder


@pytest.fixture
def reference_config(tmp_path: Path, data: DataConfig) -> Path:
    """A config of the reference, with the model in the reference's place."""
    project = tmp_path / "project"
    painted_model(project / "models" / "best_model.safetensors", data)
    paint(project / "mini_test", {"a": (HALF, HALF * 255), "b": (HALF, QUARTER * 255)})
    (project / "train_eval_infer.config").write_text(
        "\n".join([
            "[model]", 'model = "TensorFlowFlexUNet"', "num_classes = 2", "base_filters = 1",
            "num_layers = 2",
            "dropout_rate = 0.0", "image_width = 16", "image_height = 16", "image_channels = 3",
            'loss = "categorical_crossentropy"', 'metrics = ["dice_coef_multiclass"]',
            "[train]", 'model_dir = "./models"', 'images_dir = "./mini_test/images"',
            'masks_dir = "./mini_test/masks"',
            "[test]", 'images_dir = "./mini_test/images"', 'masks_dir = "./mini_test/masks"',
            "[mask]", 'mask_file_format = ".png"', "rgb_map = {(0,0,0):0,(255,255,255):1}",
        ]),
        encoding="utf-8",
    )  # fmt: skip
    return project / "train_eval_infer.config"


def landslide_iou(job_target: Path, folder: Path | None = None) -> float:
    found = evaluate_job(job_of(job_target, "test", folder))
    return float(found.scores["classes"][1]["iou"])


def test_run_config_and_model_file_give_the_same_scores(run: Path, tmp_path: Path) -> None:
    assert landslide_iou(run) == pytest.approx(192 / 256)
    assert (run / "evaluation_test" / "scores.json").exists()
    (run / "evaluation_test").rename(tmp_path / "kept")
    assert landslide_iou(run / "config.toml") == pytest.approx(192 / 256)
    (run / "evaluation_test").rename(tmp_path / "kept too")
    assert landslide_iou(run / "model.safetensors") == pytest.approx(192 / 256)


def test_a_run_folder_may_have_been_moved(run: Path, tmp_path: Path) -> None:
    moved = run.rename(tmp_path / "elsewhere")
    assert landslide_iou(moved) == pytest.approx(192 / 256)
    assert (moved / "evaluation_test" / "scores.json").exists()


def test_a_model_file_alone_needs_only_a_data_folder(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "landslides.safetensors"
    alone.parent.mkdir()
    (run / "model.safetensors").rename(alone)
    with pytest.raises(ConfigError, match="--data FOLDER"):
        job_of(alone)
    assert landslide_iou(alone, tmp_path / "data") == pytest.approx(192 / 256)
    job = job_of(alone, "valid", tmp_path / "data" / "test")
    assert job.data.valid is not None
    assert job.data.valid.images == (tmp_path / "data" / "test" / "images",)
    with pytest.raises(DataError, match="has no folder"):
        job_of(alone, "test", tmp_path)


def test_a_model_file_knows_how_its_masks_were_read(tmp_path: Path, data: DataConfig) -> None:
    """Masks say 7 and 9, and 3 where nobody looked; none of it stands in a config beside the model."""
    classes = tuple(
        item.model_copy(update={"values": (value,)}) for item, value in zip(data.classes, (7, 9), strict=True)
    )
    odd = data.model_copy(update={"classes": classes, "ignore_value": 3, "mask_encoding": "index"})
    alone = tmp_path / "alone" / "model.safetensors"
    painted_model(alone, odd)
    truth = np.where(HALF == 1, np.uint8(9), np.uint8(7))
    truth[:2] = 3
    paint(tmp_path / "odd" / "test", {"a": (HALF, truth)})
    found = evaluate_job(job_of(alone, "test", tmp_path / "odd"))
    assert found.scores["ignored_pixels"] == 2 * 16
    assert found.scores["classes"][1]["iou"] == 1.0


def test_a_model_file_alone_takes_settings_of_data_and_evaluation(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "model.safetensors"
    alone.parent.mkdir()
    (run / "model.safetensors").rename(alone)
    sets = [f"data.root={tmp_path / 'data'}", "data.ignore_value=1", "data.mask_encoding=threshold"]
    job = job_of(alone, overrides=[*sets, "evaluate.batch_size=3"])
    assert (job.data.root, job.data.ignore_value, job.settings.batch_size) == (tmp_path / "data", 1, 3)
    assert job.data.size == (16, 16)
    assert job.base == alone.parent
    with pytest.raises(
        ConfigError, match=r"--set data\.ignore=1: sets an unknown key\. Did you mean data\.ignore"
    ):
        job_of(alone, "test", tmp_path / "data", ["data.ignore=1"])


def test_another_data_folder_takes_the_place_of_the_configs(run: Path, tmp_path: Path) -> None:
    paint(tmp_path / "other" / "test", {"c": (HALF, QUARTER)})
    assert landslide_iou(run, tmp_path / "other") == pytest.approx(64 / 128)


def test_a_reference_config_finds_its_model_and_fills_the_references_file(reference_config: Path) -> None:
    assert landslide_iou(reference_config) == pytest.approx(192 / 256)
    lines = (reference_config.parent / "evaluation.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["categorical_crossentropy", "dice_coef_multiclass"]


def test_the_references_file_is_not_replaced_unasked(reference_config: Path, tmp_path: Path) -> None:
    theirs = reference_config.parent / "evaluation.csv"
    theirs.write_text("categorical_crossentropy,0.1234\n", encoding="utf-8")
    job = job_of(reference_config)
    with pytest.raises(OutputExistsError, match=r"evaluation\.csv .*--overwrite.*--out"):
        evaluate_job(job)
    assert not (reference_config.parent / "evaluation_test").exists()
    evaluate_job(job, out=tmp_path / "elsewhere")
    evaluate_job(job, out=tmp_path / "elsewhere", overwrite=True)
    assert theirs.read_text(encoding="utf-8") == "categorical_crossentropy,0.1234\n"
    evaluate_job(job, overwrite=True)
    assert len(theirs.read_text(encoding="utf-8").splitlines()) == 2
    with pytest.raises(OutputExistsError, match=r"evaluation\.csv"):
        evaluate_job(job_of(reference_config, "valid"), "valid")


def test_the_references_file_follows_a_moved_run(
    reference_config: Path, data: DataConfig, tmp_path: Path
) -> None:
    first = reference_config.parent
    config = Config(data=data, output=OutputConfig(dir=first, layout="reference"))
    (first / "config.toml").write_text(dump_toml(config), encoding="utf-8")
    moved = first.rename(tmp_path / "moved")
    landslide_iou(moved)
    assert (moved / "evaluation.csv").exists()
    assert not first.exists()


def test_the_references_loss_and_metric_are_taken_where_they_are_its_own(run: Path, data: DataConfig) -> None:
    job = job_of(run)
    assert (job.loss, job.metric) == ("categorical_crossentropy", "dice_coef_multiclass")
    config = Config(
        data=data,
        train=TrainConfig(loss=(LossTerm(name="bce_dice_loss"),)),
        output=OutputConfig(dir=run, metrics=("strange", "val_dice_coef")),
    )
    (run / "config.toml").write_text(dump_toml(config), encoding="utf-8")
    job = job_of(run)
    assert (job.loss, job.metric) == ("bce_dice_loss", "dice_coef")


def test_what_is_missing_is_named_with_the_cure(run: Path, reference_config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such model file, run folder or config"):
        job_of(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="is no run folder"):
        job_of(tmp_path)
    (run / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match=r"Train it, or go on: flexunet train .* --resume"):
        job_of(run)
    models = reference_config.parent / "models"
    (models / "best_model.safetensors").rename(models / "best_model.h5")
    with pytest.raises(ModelFileError, match=r"flexunet convert .*best_model\.h5"):
        job_of(reference_config)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys, "argv", ["flexunet"])
    return monkeypatch


def flexunet(*arguments: str) -> int:
    sys.argv = ["flexunet", *arguments]
    with pytest.raises(SystemExit) as stopped:
        main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def test_the_command_prints_the_table_and_refuses_to_replace(
    run: Path, command: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flexunet("evaluate", str(run), "--tta") == 0
    shown = capsys.readouterr().out
    assert "landslide" in shown
    assert shown.rstrip().endswith(str(run / "evaluation_test_tta"))
    assert flexunet("evaluate", str(run), "--tta") == 2
    assert "holds an evaluation already" in capsys.readouterr().err
    before = (run / "model.safetensors").read_bytes()
    assert flexunet("evaluate", str(run), "--tta", "--calibrate") == 2
    assert "holds an evaluation already" in capsys.readouterr().err
    assert (run / "model.safetensors").read_bytes() == before
    assert flexunet("evaluate", str(run), "--tta", "--overwrite") == 0
    assert flexunet("evaluate", str(run), "--split", "tests") == 2
    assert "--split tests: expected train, valid or test" in capsys.readouterr().err
