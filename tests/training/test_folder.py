"""A run folder is never taken from anybody: refused, continued or replaced, and foreign files always stay."""

import shutil
from pathlib import Path

import pytest

from flexunet.config import OutputConfig
from flexunet.errors import OutputExistsError
from flexunet.training.folder import RunFolder, check_folder, claim_folder


def folder_of(tmp_path: Path, layout: str = "native") -> RunFolder:
    return RunFolder.of(OutputConfig.model_validate({"dir": tmp_path / "run", "layout": layout}))


def check(folder: RunFolder, *, resume: bool = False, overwrite: bool = False) -> None:
    check_folder(folder, "old.config", resume=resume, overwrite=overwrite)


def run_in(folder: RunFolder) -> None:
    """What a run leaves, in short."""
    claim_folder(folder, "old.config", ["a.png"], fresh=True)
    for path in (*folder.outputs("old.config"), folder.pictures / "Epoch_3_a.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("run")
    (folder.state / "state-000001-00000000.safetensors").write_text("run")


@pytest.mark.parametrize("layout", ["native", "reference"])
def test_an_existing_run_is_refused_unless_told_what_to_do(layout: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, layout)
    check(folder)
    run_in(folder)
    with pytest.raises(OutputExistsError, match=r"--resume.*--overwrite"):
        check(folder)
    check(folder, resume=True)
    check(folder, overwrite=True)


@pytest.mark.parametrize("layout", ["native", "reference"])
def test_overwriting_removes_what_the_run_wrote_and_nothing_else(layout: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, layout)
    run_in(folder)
    foreign = [
        folder.dir / "notes.txt",
        folder.model.parent / "best_model.h5",
        folder.pictures / "Epoch_3_mine.png",
        folder.pictures / "Epoch_x_a.png",
        folder.state / "mine",
    ]
    for path in foreign:
        path.write_text("mine")
    claim_folder(folder, "old.config", ["b.png"], fresh=True)
    left = {path for path in folder.dir.rglob("*") if path.is_file()}
    assert left == {*foreign, folder.manifest}


def test_a_copy_of_a_run_is_complete_and_replacing_it_leaves_the_run_alone(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    run_in(folder)
    shutil.copytree(folder.dir, tmp_path / "copy")
    copy = RunFolder.of(OutputConfig(dir=tmp_path / "copy"))
    check_folder(copy, None, resume=True, overwrite=False)
    claim_folder(copy, None, [], fresh=True)
    assert not copy.model.exists()
    assert all(path.exists() for path in folder.outputs(None))


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"output\.dir .*run is a file; name a folder"):
        check(folder_of(tmp_path), overwrite=True)


def test_a_foreign_file_in_the_way_is_refused_even_with_overwrite(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.dir.mkdir()
    folder.config.write_text("mine")
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match=r"config\.toml.*Move it away"):
            check(folder, **flags)
    assert folder.config.read_text() == "mine"


def test_a_folder_with_other_things_in_it_is_welcome(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.dir.mkdir()
    (folder.dir / "images").mkdir()
    check(folder)


def test_the_reference_layout_has_the_references_names(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "reference")
    names = {path.relative_to(folder.dir).as_posix() for path in folder.outputs("train_eval_infer.config")}
    assert {
        "models/best_model.safetensors",
        "models/train_eval_infer.config",
        "eval/train_losses.csv",
        "eval/train_losses.png",
        "eval/train_metrics.csv",
        "eval/train_metrics.png",
        "history.json",
    } <= names
    assert folder.pictures == folder.dir / "epoch_change_infer"
