"""Folds and seeds: groups stay whole, nothing is trained twice, who predicts an image has not seen it."""

import csv
import json
import logging
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from blob_dataset import write_pairs
from flexunet.cli.app import app
from flexunet.config import Config, dump_toml
from flexunet.data import open_store, read_folds
from flexunet.errors import ConfigError, DataError, Interrupted, ModelFileError, OutputExistsError
from flexunet.modelfile import read_record
from flexunet.prediction import Predictor
from flexunet.raster import read_mask_picture
from flexunet.training import train, train_members
from flexunet.training.folds import assign_folds, plan_folds


@pytest.fixture
def small(make_config: Any, tmp_path: Path) -> Config:
    """A run of one epoch on six images in three groups."""
    root = tmp_path / "data"
    write_pairs(root / "train", 4, seed=1)
    write_pairs(root / "valid", 2, seed=2)
    config: Config = make_config(data={"root": root}, train={"epochs": 1, "calibrate": False})
    return config


def groups_file(config: Config, path: Path) -> Path:
    """Every image of one split and of equal remainder by two is one group; ids of valid are told apart."""
    from flexunet.data import pairs_of_folds

    names = [pair.id for pair in pairs_of_folds(config.data).pairs]
    rows = [f"{name},{'ab'[index % 2]}" for index, name in enumerate(names[:4])]
    path.write_text("\n".join(["id,group", *rows, *(f"{name},c" for name in names[4:])]), encoding="utf-8")
    return path


def test_groups_stay_whole_and_folds_are_even() -> None:
    rng = np.random.default_rng(0)
    groups = {f"i{n}": f"g{rng.integers(30)}" for n in range(200)}
    strata = {name: bool(rng.integers(2)) for name in groups}
    folds = assign_folds(groups, strata, 5, seed=1)
    assert len({(groups[name], fold) for name, fold in folds.items()}) == len(set(groups.values()))
    for kind in (True, False):
        counts = Counter(fold for name, fold in folds.items() if strata[name] is kind)
        assert max(counts.values()) - min(counts.values()) <= 8
    backwards = dict(reversed(groups.items()))
    assert assign_folds(backwards, strata, 5, seed=1) == folds
    assert assign_folds(groups, strata, 5, seed=2) != folds


def test_as_many_folds_as_groups_leave_none_empty() -> None:
    groups = {f"i{n}": f"g{max(0, n - 50)}" for n in range(54)}
    folds = assign_folds(groups, {name: int(name[1:]) < 51 for name in groups}, 4, seed=0)
    assert sorted(set(folds.values())) == [1, 2, 3, 4]


def test_folds_and_seeds_make_one_model(small: Config, tmp_path: Path) -> None:
    table = groups_file(small, tmp_path / "groups.csv")
    found = train_members(small, folds=3, seeds=2, groups=table)
    out = small.output.dir
    names = [row["member"] for row in found.table]
    assert names[:3] == ["fold-1-seed-1", "fold-2-seed-1", "fold-3-seed-1"]
    assert names[6:] == ["mean", "SD"]
    ious = [row["iou"] for row in found.table[:6]]
    assert found.table[6]["iou"] == pytest.approx(np.mean(ious))
    assert found.table[7]["iou"] == pytest.approx(np.std(ious, ddof=1))

    # Every image of both splits is predicted once, by members that were trained on none of its group
    rows = read_folds(out / "folds.csv")
    assert {path.stem for path in (out / "out_of_fold").iterdir()} == {row.id for row in rows}
    assert len(rows) == found.summary["out_of_fold"]["images"] == 6
    for fold in (1, 2, 3):
        data = small.data.model_copy(update={"folds": out / "folds.csv", "fold": fold})
        train, valid = ({*open_store(data, split).ids} for split in ("train", "valid"))
        assert valid == {row.id for row in rows if row.fold == fold}
        assert train == {row.id for row in rows} - valid
        groups = {row.id: row.group for row in rows}
        assert not {groups[name] for name in train} & {groups[name] for name in valid}

    # The picture is that of the fold's own members
    row = rows[0]
    data = small.data.model_copy(update={"folds": out / "folds.csv", "fold": row.fold})
    store = open_store(data, "valid", full_size=True)
    models = [out / f"fold-{row.fold}-seed-{seed}" / "model.safetensors" for seed in (1, 2)]
    predictor = Predictor.ensemble([Predictor.from_file(model) for model in models])
    drawn = read_mask_picture(out / "out_of_fold" / f"{row.id}.png").bands[0]
    expected = predictor(np.moveaxis(store.image(store.ids.index(row.id)), 0, -1))
    assert (drawn == expected).all()

    record = read_record(found.model)
    assert len(record.members) == 6
    assert record.scores["out_of_fold"]["iou"] == found.summary["out_of_fold"]["foreground"]["iou"]


class StopAtSecond(logging.Handler):
    """Ctrl-C when the second member begins."""

    begun = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.begun += record.getMessage().startswith("Expected:")
        if self.begun == 2:
            self.begun = 3
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ctrl_c_heard() -> Iterator[None]:
    """A job in a shell's background is started with Ctrl-C ignored, which Python leaves as it is."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_heard")
def test_an_interrupted_command_goes_on_where_it_was(small: Config) -> None:
    out = small.output.dir
    handler, log = StopAtSecond(), logging.getLogger("flexunet")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with pytest.raises(Interrupted, match=r"fold-2-seed-1.*flexunet train \S+run --resume"):
            train_members(small, folds=2)
    finally:
        log.removeHandler(handler)
    first = (out / "fold-1-seed-1" / "model.safetensors").stat().st_mtime_ns
    assert not (out / "ensemble.safetensors").exists()
    with pytest.raises(OutputExistsError, match="--resume"):
        train_members(small, folds=2)
    with pytest.raises(ConfigError, match="2 folds and 1 seeds, not 3 folds"):
        train_members(small, folds=3, resume=True)
    other = small.model_copy(update={"train": small.train.model_copy(update={"learning_rate": 0.5})})
    with pytest.raises(ConfigError, match=r"train\.learning_rate"):
        train_members(other, folds=2, resume=True)
    train_members(small, folds=2, resume=True)
    assert (out / "fold-1-seed-1" / "model.safetensors").stat().st_mtime_ns == first
    assert len(read_record(out / "ensemble.safetensors").members) == 2

    # Replaced by seeds without folds; what is somebody else's stays
    (out / "note.txt").write_text("mine", encoding="utf-8")
    train_members(small, seeds=1, overwrite=True)
    assert (out / "note.txt").is_file()
    assert not (out / "fold-1-seed-1" / "model.safetensors").exists()
    assert not (out / "folds.csv").exists()
    assert len(list((out / "validation").iterdir())) == 2


def test_what_cannot_be_divided_is_said(small: Config, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"7 folds need at least 7 groups; there are 6.*image by itself"):
        plan_folds(small.data, 7, seed=1)
    with pytest.raises(DataError, match=r"4 folds need .* are 3 in 6 images \(groups of groups.csv\)"):
        plan_folds(small.data, 4, seed=1, table=groups_file(small, tmp_path / "groups.csv"))
    (tmp_path / "wrong.csv").write_text("id,group\nnobody,a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"wrong.csv.*2.*'nobody'"):
        plan_folds(small.data, 2, seed=1, table=tmp_path / "wrong.csv")
    with pytest.raises(ConfigError, match="at least 2"):
        train_members(small, folds=1)
    with pytest.raises(ConfigError, match="needs --folds"):
        train_members(small, seeds=2, groups=tmp_path / "groups.csv")
    assert not small.output.dir.exists()


def test_groups_are_those_of_the_manifest(small: Config) -> None:
    root = small.data.root
    assert root is not None
    files = sorted(path.relative_to(root) for path in root.glob("*/images/*"))
    items = [{"image": {"file": file.as_posix()}, "group": f"g{n % 3}"} for n, file in enumerate(files)]
    (root / "manifest.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    plan = plan_folds(small.data, 3, seed=1)
    assert len({(row.group, row.fold) for row in plan.rows}) == 3
    assert plan.describe() == (
        "6 images in 3 groups (groups of manifest.json) make 3 folds of 2, 2, 2 images."
    )
    with pytest.raises(DataError, match="4 folds need at least 4 groups; there are 3"):
        plan_folds(small.data, 4, seed=1)


def test_images_that_came_later_are_noticed(small: Config, tmp_path: Path) -> None:
    plan = plan_folds(small.data, 2, seed=1)
    table = tmp_path / "folds.csv"
    table.write_text("id,group,fold\n" + "".join(f"{r.id},{r.group},{r.fold}\n" for r in plan.rows[1:]))
    with pytest.raises(DataError, match=r"is in no fold.*--overwrite"):
        open_store(small.data.model_copy(update={"folds": table, "fold": 1}), "train")


def test_the_command_prints_the_table(small: Config, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(dump_toml(small), encoding="utf-8")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run.toml"), "--folds", "2"])
    assert result.exit_code == 0, result.output
    assert "fold-2-seed-1" in result.output
    assert "out of fold, 6 images pooled: iou" in result.output
    with (small.output.dir / "summary.csv").open(encoding="utf-8", newline="") as handle:
        assert [row["member"] for row in csv.DictReader(handle)][-2:] == ["mean", "SD"]
    again = CliRunner().invoke(app, ["train", str(small.output.dir), "--resume"])
    assert again.exit_code == 0, again.output
    assert "out of fold, 6 images pooled: iou" in again.output, "the folder knows its folds"
    shown = CliRunner().invoke(app, ["inspect", str(small.output.dir)])
    assert "mean of the probabilities of 2 members" in shown.output


def test_what_is_there_stays_when_its_replacement_cannot_begin(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_members(small, folds=2)
    before = {path for path in small.output.dir.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="200 folds"):
        train_members(small, folds=200, overwrite=True)
    with pytest.raises(DataError, match="nobody"):
        train_members(small, folds=2, groups=tmp_path / "nobody.csv", overwrite=True)
    taught = {"train": small.train.model_copy(update={"teacher": tmp_path / "no.safetensors"})}
    with pytest.raises(ModelFileError, match=r"no\.safetensors"):
        train_members(small.model_copy(update=taught), folds=2, overwrite=True)
    assert {path for path in small.output.dir.rglob("*") if path.is_file()} == before


def test_files_of_others_are_not_touched_before_a_refusal(small: Config) -> None:
    out = small.output.dir
    out.mkdir(parents=True)
    (out / "folds.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExistsError, match=r"folds\.csv: already there"):
        train_members(small, folds=2)
    assert [path.name for path in out.iterdir()] == ["folds.csv"]
    assert (out / "folds.csv").read_text(encoding="utf-8") == "mine"


def test_folds_that_were_begun_are_not_divided_anew(small: Config, tmp_path: Path) -> None:
    train_members(small, folds=2)
    with pytest.raises(ConfigError, match=r"groups\.csv divides the images in another way"):
        train_members(small, folds=2, groups=groups_file(small, tmp_path / "groups.csv"), resume=True)
    longer = small.model_copy(update={"train": small.train.model_copy(update={"epochs": 2})})
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        train_members(longer, folds=2, resume=True)


def test_out_of_fold_means_unseen_by_all_that_the_members_come_of(small: Config, tmp_path: Path) -> None:
    elsewhere = {"output": small.output.model_copy(update={"dir": tmp_path / "first"})}
    first = train(small.model_copy(update=elsewhere)).model
    started = small.model_copy(update={"train": small.train.model_copy(update={"start_from": first})})
    with pytest.raises(ConfigError, match=r"the model that it started from, .* was trained on images"):
        train_members(started, folds=2)
    assert not small.output.dir.exists()

    write_pairs(tmp_path / "other" / "train", 4, seed=5)
    write_pairs(tmp_path / "other" / "valid", 2, seed=6)
    data = started.data.model_copy(update={"root": tmp_path / "other"})
    found = train_members(started.model_copy(update={"data": data}), folds=2)
    assert "Not known whether the model that it started from, model.safetensors" in found.summary["how"]
