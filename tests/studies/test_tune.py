"""A search can be stopped in any way and ends up where it would have; it never opens the test split."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.config import Config, read_config
from flexunet.config.loading import source_text
from flexunet.config.search import Choices, default_search
from flexunet.errors import ConfigError, Interrupted, MissingExtraError, OutputExistsError, TrainingError
from flexunet.studies.storage import held, open_study
from flexunet.studies.trial import Recipe, TrialJob, make_pruner, run_trial, shown_value
from flexunet.studies.tuning import tune

SPACE = """
[tune]
"train.learning_rate" = { low = 1e-3, high = 1e-1, log = true }
"model.base_filters" = [4, 6]
"""


def table(folder: Path) -> list[dict[str, str]]:
    """The trials without what a clock says."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


def test_a_search_leaves_a_config_a_table_and_a_picture(write_run: Any, tmp_path: Path) -> None:
    run = write_run(SPACE)
    shown = CliRunner().invoke(app, ["tune", str(run), "--trials", "3"])
    assert shown.exit_code == 0, shown.output
    folder = tmp_path / "runs" / "run" / "tune"
    assert "The config as it is: val_iou" in shown.output
    assert "The test split is not opened." in shown.output

    # The first trial is the config as it is; each one is a run, the best one with its weights
    rows = table(folder)
    assert [row["state"] for row in rows] == ["complete"] * 3
    assert (rows[0]["train.learning_rate"], rows[0]["model.base_filters"]) == ("0.01", "4")
    best = max(rows, key=lambda row: float(row["val_iou"]))
    for row in rows:
        place = folder / f"trial-{int(row['trial']):04d}"
        assert (place / "log.csv").is_file()
        assert (place / "model.safetensors").exists() == (row is best)
        assert not list(place.glob("state/*.safetensors"))
        assert not list(place.glob("**/*.png"))
    summary = json.loads((folder / "tune.json").read_text(encoding="utf-8"))
    assert summary["best"]["trial"] == int(best["trial"])
    assert summary["baseline_trial"] == 1
    assert summary["importance"] is None  # of three trials it would be noise
    assert (folder / "tune.png").stat().st_size > 10_000

    # The best config is that of the trial, somewhere else
    written = read_config(folder / "best.toml").config
    tried = read_config(folder / f"trial-{int(best['trial']):04d}" / "config.toml").config
    assert written.model == tried.model
    assert written.train.learning_rate == tried.train.learning_rate == float(best["train.learning_rate"])
    assert written.output.dir == folder.parent / "tuned"

    # With more trials the same command goes on; nothing is trained twice
    log = folder / "trial-0001" / "log.csv"
    before = log.stat().st_mtime_ns
    tune(run, trials=4)
    assert len(table(folder)) == 4
    assert table(folder)[:3] == rows
    assert log.stat().st_mtime_ns == before

    # Another space, or another setting, is another study
    with pytest.raises(OutputExistsError, match=r"tune\.db.*train\.weight_decay.*--overwrite"):
        tune(run, ["train.weight_decay=0.5"], trials=5)
    other = write_run(SPACE.replace("[4, 6]", "[4, 8]"), name="other.toml")
    with pytest.raises(OutputExistsError, match=r"search space of model\.base_filters"):
        tune(other, trials=5)
    (folder / "note.txt").write_text("mine", encoding="utf-8")
    tune(other, trials=1, overwrite=True)
    assert len(table(folder)) == 1
    assert not (folder / "trial-0003" / "model.safetensors").exists()
    assert (folder / "note.txt").is_file()


def test_an_interrupted_search_ends_up_where_it_would_have(
    write_run: Any, tmp_path: Path, interrupt_when: Any
) -> None:
    run = write_run(SPACE, epochs=4)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    tune(run, trials=2, out=whole)
    with (
        pytest.raises(Interrupted, match="same command goes on"),
        interrupt_when(stopped / "trial-0002" / "log.csv"),
    ):
        tune(run, trials=2, out=stopped)
    assert table(stopped)[0]["state"] == "complete"
    assert table(stopped)[-1]["state"] == "open"
    assert (stopped / "best.toml").is_file()
    tune(run, trials=2, out=stopped)
    assert table(stopped) == table(whole)


def test_a_killed_search_goes_on_with_the_trial_that_was_cut(write_run: Any, tmp_path: Path) -> None:
    run = write_run('[tune]\n"train.learning_rate" = [0.01, 0.02]\n', epochs=400)
    folder = tmp_path / "runs" / "run" / "tune"
    command = [sys.executable, "-m", "flexunet", "tune", str(run), "--trials", "1"]
    log = tmp_path / "words"
    with log.open("w") as words:
        process = subprocess.Popen(command, stderr=words, env=os.environ | {"OMP_NUM_THREADS": "1"})
        try:
            deadline = time.monotonic() + 120
            while not list(folder.glob("trial-0001/state/state-*")):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with pytest.raises(TrainingError, match=r"tune\.db is in use.*--out"):
                tune(run, trials=1)
        finally:
            process.kill()
            process.wait()
    (folder / "trial-0001" / "STOP").touch()
    found = tune(run, trials=1)
    (row,) = found.results["trials"]
    assert row["state"] == "complete"
    assert 1 < row["epochs"] < 400


def test_workers_share_one_study(write_run: Any, tmp_path: Path) -> None:
    found = tune(write_run(SPACE, epochs=1), trials=3, workers=2, out=tmp_path / "study")
    assert [row["state"] for row in found.results["trials"]] == ["complete"] * 3
    config = read_config(tmp_path / "study" / "trial-0001" / "config.toml").config
    assert config.train.threads == 1


def test_a_budget_that_is_over_leaves_its_trial_open(write_run: Any, tmp_path: Path) -> None:
    run = write_run(SPACE, epochs=200)
    found = tune(run, budget_minutes=0.05, out=tmp_path / "study")
    assert [row["state"] for row in found.results["trials"]] == ["open"]
    assert found.results["best"] is None
    shown = CliRunner().invoke(app, ["tune", str(run), "--budget", "3s", "--out", str(tmp_path / "study")])
    assert isinstance(shown.exception, ConfigError)
    assert "no best config yet" in str(shown.exception)


def job_of(run: Path, folder: Path, values: dict[str, Any], pruner: str = "median") -> TrialJob:
    """A trial with given values in the study of `folder`."""
    database = folder / "tune.db"
    folder.mkdir(exist_ok=True)
    study = open_study(database, make_pruner(pruner))
    trial = study.ask()
    recipe = Recipe(source_text(run)[0], run, ())
    place = folder / f"trial-{trial.number}"
    return TrialJob(trial.number, trial._trial_id, recipe, values, place, database, pruner, None, None)


def test_a_trial_below_the_others_is_ended_early(write_run: Any, tmp_path: Path) -> None:
    run, folder = write_run(epochs=20), tmp_path / "study"
    folder.mkdir()
    study = open_study(folder / "tune.db", make_pruner("median"))
    curve = dict.fromkeys(range(1, 21), 0.9)
    for _ in range(5):
        study.add_trial(optuna.trial.create_trial(value=0.9, intermediate_values=curve))
    outcome = run_trial(job_of(run, folder, {"train.learning_rate": 1e-6}))
    assert outcome.state == "pruned"
    assert outcome.epochs == 5  # at the first look, a quarter of the way


def test_what_a_trial_brings_upon_itself_is_its_outcome(write_run: Any, tmp_path: Path) -> None:
    run, folder = write_run(), tmp_path / "study"
    diverged = run_trial(job_of(run, folder, {"train.learning_rate": 1e30}))
    assert (diverged.state, diverged.value) == ("failed", None)
    assert "not finite" in str(diverged.reason)
    impossible = run_trial(job_of(run, folder, {"model.dropout_rate": 0.9, "model.num_layers": 3}))
    assert impossible.state == "failed"
    assert "must stay below 1" in str(impossible.reason)


def test_nothing_but_failures_ends_the_search(write_run: Any, tmp_path: Path) -> None:
    run = write_run('[tune]\n"model.dropout_rate" = [0.9, 0.95]\n"model.num_layers" = [4, 5]\n')
    with pytest.raises(ConfigError, match=r"first 5 trials all failed: .*must stay below 1"):
        tune(run, trials=20, out=tmp_path / "study")


def test_a_database_that_cannot_be_used_is_named(write_run: Any, tmp_path: Path) -> None:
    run, folder = write_run(SPACE), tmp_path / "study"
    folder.mkdir()
    database = folder / "tune.db"
    database.write_bytes(b"this is no database at all " * 100)
    with pytest.raises(OutputExistsError, match=r"tune\.db is no database of Optuna's.*--out"):
        tune(run, trials=1, out=folder)
    database.unlink()
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE landslides (id INTEGER)")
    other.close()
    with pytest.raises(OutputExistsError, match=r"tune\.db is a database of another program"):
        tune(run, trials=1, out=folder)
    database.unlink()
    optuna.create_study(storage=f"sqlite:///{database.as_posix()}", study_name="theirs")
    with pytest.raises(OutputExistsError, match=r"tune\.db holds the study theirs"):
        tune(run, trials=1, out=folder)


def test_a_database_that_others_hold_is_named(write_run: Any, tmp_path: Path) -> None:
    run, folder = write_run(SPACE), tmp_path / "study"
    with held(folder / "tune.db"), pytest.raises(TrainingError, match=r"tune\.db is in use.*--workers"):
        tune(run, trials=1, out=folder)
    open_study(folder / "tune.db", None)
    browser = sqlite3.connect(folder / "tune.db", isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrainingError, match=r"tune\.db is locked by another program.*database browser"):
        tune(run, trials=1, out=folder)
    browser.execute("ROLLBACK")
    browser.close()


def test_impossible_wishes_are_refused(write_run: Any, tmp_path: Path) -> None:
    run = write_run(SPACE)
    with pytest.raises(ConfigError, match="--trials 0"):
        tune(run, trials=0)
    with pytest.raises(ConfigError, match="--workers 0"):
        tune(run, workers=0)
    with pytest.raises(ConfigError, match="validation split"):
        tune(run, ["data.root=none", f"data.train={{images='{tmp_path}', masks='{tmp_path}'}}"])
    with pytest.raises(ConfigError, match=r"tune\.model\.base_filters: has no effect.*train\.start_from"):
        tune(write_run('[tune]\n"model.base_filters" = [4, 6]'), ["train.start_from=a.safetensors"])
    assert not (tmp_path / "runs").exists()


def test_without_the_extra_the_message_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("flexunet.studies")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r'pip install "flexunet\[tune\]"'):
        from flexunet.studies import tuning  # noqa: F401


def test_choices_are_kept_as_toml() -> None:
    entry = Choices("train.loss", ("dice", ["dice", {"name": "focal", "weight": 0.5}]))
    assert entry.texts == ('"dice"', '["dice", { name = "focal", weight = 0.5 }]')


def test_a_trial_that_found_nothing_has_no_negative_iou() -> None:
    assert shown_value(-0.7, "val_iou") == 0.0
    assert shown_value(0.4, "val_iou") == 0.4
    assert shown_value(-0.7, "val_loss") == 0.7


def test_the_network_of_a_model_to_start_from_is_not_searched() -> None:
    started = Config.model_validate({"train": {"start_from": "a.safetensors"}})
    assert "model.dropout_rate" in default_search(Config()).keys
    assert not [key for key in default_search(started).keys if key.startswith("model.")]
