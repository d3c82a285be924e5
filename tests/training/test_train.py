"""A run learns, repeats, stops cleanly, goes on with the same bits, and never loses anything."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blob_dataset import write_pairs, write_picture
from flexunet.config import Config, read_config
from flexunet.errors import (
    ConfigError,
    DataError,
    DivergedError,
    Interrupted,
    OutputExistsError,
    TrainingError,
)
from flexunet.modelfile import load_model, read_record
from flexunet.training import read_run, train
from moments import when_logged


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path).network.state_dict()


def same(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def at(config: Config, folder: Path) -> Config:
    """The same run in another folder."""
    return config.model_copy(update={"output": config.output.model_copy(update={"dir": folder})})


def test_a_run_learns_and_leaves_what_it_promises(make_config: Any) -> None:
    config = make_config(train={"epochs": 12, "batch_size": 2, "ema": 0.9, "learning_rate": 0.02})
    result = train(config)
    assert result.model == config.output.dir / "model.safetensors"
    assert float(result.scores["val_iou"] or 0) > 0.6
    left = {path.name for path in config.output.dir.iterdir()}
    assert left == {"model.safetensors", "last.safetensors", "config.toml", "log.csv", "curves.png", "state"}
    with (config.output.dir / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert {"val_iou_ground", "val_iou_blob", "val_f1_blob", "learning_rate", "images_per_second"} <= set(
        rows[0]
    )
    best = max(rows, key=lambda row: float(row["val_iou"]))
    record = read_record(result.model)
    assert record.scores["valid"]["epoch"] == int(best["epoch"]) == record.training["epoch"]
    assert record.classes.names == ("ground", "blob")
    assert read_config(config.output.dir / "config.toml").config == config


def test_two_runs_give_the_same_weights_and_another_seed_does_not(make_config: Any, tmp_path: Path) -> None:
    config = make_config()
    first, second = train(at(config, tmp_path / "a")), train(at(config, tmp_path / "b"))
    assert same(first.model, second.model)
    assert same(first.dir / "last.safetensors", second.dir / "last.safetensors")
    other = train(at(make_config(train={"seed": 4}), tmp_path / "c"))
    assert not same(first.model, other.model)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema": 0.0, "schedule": "plateau", "optimizer": "adam", "clip_value": 0.5},
        {"ema": 0.9, "accumulate": 2, "optimizer": "sgd", "num_workers": 0},
    ],
)
def test_an_interrupted_run_goes_on_with_the_same_bits(
    make_config: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = make_config(model={"normalization": True}, train={"batch_size": 2, **settings})
    whole = train(at(config, tmp_path / "whole"))
    run = at(config, tmp_path / "parts")
    for epoch, number in ((1, signal.SIGTERM), (2, signal.SIGINT)):
        with (
            when_logged(f"epoch {epoch}/3", lambda number=number: signal.raise_signal(number)),
            pytest.raises(Interrupted, match=rf"Stopped in epoch {epoch + 1}, after batch .*--resume"),
        ):
            train(run, resume=epoch > 1)
        assert list((run.output.dir / "state").glob(f"state-{epoch:06d}-0000000[1-9].safetensors"))
    parts = train(run, resume=True)
    for name in ("model.safetensors", "last.safetensors"):
        assert same(whole.dir / name, parts.dir / name)
    timing = ("seconds", "images_per_second", "peak_memory_mb")
    for one, two in zip(whole.rows, parts.rows, strict=True):
        assert {k: v for k, v in one.items() if k not in timing} == {
            k: v for k, v in two.items() if k not in timing
        }
    assert train(run, resume=True).rows == parts.rows


def test_a_finished_or_foreign_run_is_not_touched(make_config: Any) -> None:
    config = make_config(train={"epochs": 1})
    train(config)
    with pytest.raises(OutputExistsError, match="--resume"):
        train(config)
    with pytest.raises(ConfigError, match=r"train\.seed: 5 now, 137 in the run"):
        train(make_config(train={"epochs": 1, "seed": 5}), resume=True)
    note = config.output.dir / "notes.txt"
    note.write_text("mine")
    train(config, overwrite=True)
    assert note.read_text() == "mine"


def test_going_on_and_replacing_exclude_each_other(make_config: Any) -> None:
    with pytest.raises(ConfigError, match=r"--resume goes on .* --overwrite replaces it: give one"):
        train(make_config(), resume=True, overwrite=True)


def test_a_run_that_was_moved_goes_on_where_it_is(make_config: Any, tmp_path: Path) -> None:
    config = make_config(train={"schedule": "constant"})
    whole = train(at(config, tmp_path / "whole"))
    began = tmp_path / "began"
    stop = began / "STOP"
    with when_logged("epoch 1/3", stop.touch):
        train(at(config, began))
    began.rename(tmp_path / "moved")
    loaded = read_run(tmp_path / "moved")
    assert loaded is not None
    assert loaded.notes == (f"the run was begun in {began}; it goes on in {tmp_path / 'moved'}.",)
    moved = train(loaded.config, resume=True)
    assert moved.dir == tmp_path / "moved"
    assert len(moved.rows) == 3
    assert same(whole.model, moved.model)
    assert not began.exists()
    elsewhere = read_run(tmp_path / "moved", [f"output.dir={tmp_path / 'new'}"])
    assert elsewhere is not None
    assert elsewhere.config.output.dir == tmp_path / "new"
    assert read_run(tmp_path) is None


def test_changed_images_are_noticed_on_resume(make_config: Any, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_pairs(root / "train", 4, seed=3)
    config = make_config(data={"root": root}, train={"epochs": 1, "schedule": "constant"})
    train(config)
    write_pairs(root / "train", 4, seed=4)
    more = make_config(data={"root": root}, train={"epochs": 2, "schedule": "constant"})
    with pytest.raises(DataError, match="have changed since"):
        train(more, resume=True)


def test_a_constant_run_can_be_prolonged(make_config: Any, tmp_path: Path) -> None:
    def of(epochs: int) -> Config:
        return make_config(train={"epochs": epochs, "schedule": "constant"})  # type: ignore[no-any-return]

    train(of(1))
    longer, whole = train(of(2), resume=True), train(at(of(2), tmp_path / "whole"))
    assert same(longer.model, whole.model)


def test_a_stop_file_ends_the_run_after_the_epoch_and_is_removed(make_config: Any) -> None:
    config = make_config()
    stop = config.output.dir / "STOP"
    with when_logged("epoch 1/3", stop.touch):
        result = train(config)
    assert len(result.rows) == 1
    assert not stop.exists()
    assert len(train(config, resume=True).rows) == 3


def test_early_stopping(make_config: Any) -> None:
    config = make_config(train={"epochs": 9, "patience": 2, "learning_rate": 1e-12, "ema": 0})
    assert len(train(config).rows) == 3


def test_a_loss_that_is_not_finite_stops_with_step_and_samples(make_config: Any) -> None:
    config = make_config(train={"learning_rate": 1e30, "schedule": "constant", "clip_norm": None})
    with pytest.raises(TrainingError, match=r"not finite.*epoch 1, step \d+, samples p\d+"):
        train(config)


def test_a_validation_loss_that_is_not_finite_stops(make_config: Any) -> None:
    # one step an epoch: the weights are ruined after the last finite loss
    section = {"learning_rate": 1e30, "schedule": "constant", "clip_norm": None, "batch_size": 12, "ema": 0}
    with pytest.raises(DivergedError, match=r"validation loss is not finite \(.*\) after epoch 1\. .*saved"):
        train(make_config(train=section))


def test_masks_without_the_class_and_batches_beyond_the_images_are_said(
    make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "none"
    write_pairs(root / "train", 3, seed=3)
    settings = {"root": root, "mask_encoding": "threshold", "threshold": 255}
    train(make_config(data=settings, train={"epochs": 1}))
    assert "no training mask has a pixel of blob: it cannot be learned" in caplog.text
    assert "a batch of 4 is more than the 3 training images" in caplog.text


def test_a_collapse_to_background_is_said_early(make_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    train_section = {
        "loss": [{"name": "categorical_crossentropy"}], "class_weights": (1000.0, 1e-6),
        "epochs": 8, "learning_rate": 0.05, "batch_size": 2,
    }  # fmt: skip
    train(make_config(train=train_section))
    assert "nothing but background" in caplog.text
    assert "class_weights" in caplog.text


def test_one_image_no_validation(make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "one"
    write_pairs(root / "train", 1, seed=3)
    result = train(make_config(data={"root": root}, train={"epochs": 2}))
    assert "no validation split" in caplog.text
    assert same(result.model, result.dir / "last.safetensors")
    assert result.rows[0]["val_loss"] is None


def test_one_image_to_validate_automatic_weights_accumulation(make_config: Any, tmp_path: Path) -> None:
    root = tmp_path / "one"
    write_pairs(root / "train", 3, seed=3)
    write_pairs(root / "valid", 1, seed=4)
    config = make_config(
        data={"root": root},
        train={"class_weights": "auto", "accumulate": 4, "batch_size": 1, "schedule": "cosine", "epochs": 2},
    )
    result = train(config)
    assert result.rows[-1]["step"] == 2
    assert result.rows[-1]["val_iou"] is not None


def test_one_sigmoid_channel_trains(make_config: Any) -> None:
    config = make_config(model={"sigmoid": True, "normalization": False}, train={"epochs": 8})
    assert float(train(config).scores["val_iou"] or 0) > 0.4


def test_a_budget_becomes_epochs_that_repeat(make_config: Any, tmp_path: Path) -> None:
    config = make_config(train={"budget_minutes": 0.01, "epochs": 50})
    first = train(at(config, tmp_path / "a"))
    saved = read_config(first.dir / "config.toml").config
    assert saved.train.budget_minutes is None
    assert saved.train.epochs == len(first.rows)
    assert same(first.model, train(at(saved, tmp_path / "b")).model)


def test_the_reference_layout_has_its_files_in_its_forms(make_config: Any, tmp_path: Path) -> None:
    source = tmp_path / "train_eval_infer.config"
    source.write_text("; mine\n")
    config = make_config(output={"layout": "reference"}, train={"epochs": 2})
    result = train(config, source=source)
    run = config.output.dir
    assert result.model == run / "models/best_model.safetensors"
    assert (run / "models/train_eval_infer.config").read_text() == "; mine\n"
    losses = (run / "eval/train_losses.csv").read_text().splitlines()
    metrics = (run / "eval/train_metrics.csv").read_text().splitlines()
    first = result.rows[0]
    assert losses[0] == "epoch, loss, val_loss"
    assert losses[1] == f"0, {first['loss']:.4f}, {first['val_loss']:.4f}"
    assert metrics[0] == "epoch,dice_coef_multiclass,val_dice_coef_multiclass,"
    assert metrics[2].startswith("1, 0.")
    assert len(losses) == len(metrics) == 3
    history = json.loads((run / "history.json").read_text())
    assert [len(values) for values in history.values()] == [2] * len(history)
    assert {"loss", "val_loss", "dice_coef_multiclass", "val_dice_coef_multiclass", "lr"} <= set(history)
    for name in ("train_losses.png", "train_metrics.png"):
        assert (run / "eval" / name).stat().st_size > 1000


def test_the_elder_generations_metric_is_logged_and_an_unknown_one_is_said(
    make_config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("dice_coef", "val_dice_coef", "val_accuracy", "val_strange")
    config = make_config(output={"layout": "reference", "metrics": names}, train={"epochs": 1})
    row = train(config).rows[0]
    lines = (config.output.dir / "eval/train_metrics.csv").read_text().splitlines()
    wanted = (row["dice_coef"], row["val_dice_coef"], row["val_pixel_accuracy"])
    assert lines[1] == ", ".join(["0", *(f"{value:.4f}" for value in wanted), "0.0000"])
    assert 0 < float(wanted[0] or 0) < 1
    assert "train_metrics.csv: val_strange is not measured" in caplog.text


def test_a_damaged_image_costs_no_earlier_model(make_config: Any, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_pairs(root / "train", 2, seed=3)
    config = make_config(data={"root": root}, train={"epochs": 1})
    model = train(config).model
    before = model.read_bytes()
    write_picture(root / "train/images/p0.png", np.zeros((5, 9, 3), np.uint8))
    with pytest.raises(DataError):
        train(config, overwrite=True)
    assert model.read_bytes() == before
