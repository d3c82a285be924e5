"""Files appear whole, with the permissions of any new file, and faults name the file that was asked for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from flexunet.errors import Problem
from flexunet.files import remove_leftovers, whole_file


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_a_safetensors_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    plain, model = tmp_path / "plain", tmp_path / "model.safetensors"
    plain.touch()
    with whole_file(model) as beside:
        save_file({"weight": np.zeros(3, np.float32)}, beside)
    assert stat.S_IMODE(model.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_failed_write_names_the_file_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("before")

    def fill_the_disk() -> None:
        with whole_file(path) as beside:
            beside.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"log\.csv'") as caught:
        fill_the_disk()
    assert caught.value.filename == str(path)
    assert [item.name for item in tmp_path.iterdir()] == ["log.csv"]
    assert path.read_text() == "before"


def test_a_problem_and_its_cure_are_two_sentences() -> None:
    assert str(Problem("has no mask", Path("a.png"), cure="Add it.")) == "a.png: has no mask. Add it."
    assert str(Problem("is missing.", cure="Add it.")) == "is missing. Add it."


def test_leftovers_of_killed_attempts_go_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "map[1].tif"
    kept = [target, tmp_path / ".map.tif.0a1b2c3d.part.tif", tmp_path / ".map[1].tif"]
    stale = [
        tmp_path / ".map[1].tif.0a1b2c3d.part.tif",
        tmp_path / ".map[1].tif.0a1b2c3d.part.tif.ovr.tmp",
    ]
    for path in (*kept, *stale):
        path.write_bytes(b"x")
    remove_leftovers(target)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
