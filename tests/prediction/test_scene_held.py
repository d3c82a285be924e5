"""One command at a time works on a class map; whoever comes second is told so and harms nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal
from typer.testing import CliRunner

from flexunet.cli.app import app
from flexunet.errors import InUseError
from flexunet.locks import locked
from flexunet.prediction.scenes import SceneOptions, predict_scene
from small_scenes import blobs, classes_in, small_model, small_predictor, write_scene

FIRST = """
import sys, time
from pathlib import Path
from flexunet.prediction import Predictor
from flexunet.prediction.scenes import SceneOptions, predict_scene

folder = Path(sys.argv[1])

def wait(*progress):
    (folder / "going").touch()
    while not (folder / "go on").exists():
        time.sleep(0.01)

predictor = Predictor.from_file(folder / "m.safetensors", device="cpu", precision="32")
options = SceneOptions(part_rows=1)
predict_scene(predictor, folder / "scene.tif", folder / "out" / "scene.tif", options, progress=wait)
"""
"""Stops behind its first part until a file says that it may go on."""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """It predicts the scene and has a part finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", FIRST, str(folder)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    try:
        while process.poll() is None and not (folder / "going").exists():
            time.sleep(0.01)
        assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model and a scene."""
    small_model(tmp_path / "m.safetensors")
    write_scene(tmp_path / "scene.tif", blobs(151, 117))
    return tmp_path


def predict(folder: Path, *more: object) -> Any:
    arguments = [folder / "m.safetensors", folder / "scene.tif", "--out", folder / "out", *more]
    return CliRunner().invoke(
        app, ["predict", *map(str, arguments), "--device", "cpu", "--precision", "32", "--threads", "1"]
    )


@pytest.mark.slow
def test_a_second_command_harms_nothing_and_is_told_why(folder: Path) -> None:
    other = write_scene(folder / "another.tif", blobs(40, 40))
    with another_process(folder) as first:
        predict_scene(small_predictor(), other, folder / "out" / "done.tif")
        done = other.rename(folder / "done.tif")  # by the first command, which is at the next scene now
        when = (folder / "out" / "done.tif").stat().st_mtime_ns
        for more in ([], ["--overwrite", "--confidence", "margin"], [done], [done, "--overwrite"]):
            second = predict(folder, *more)
            assert isinstance(second.exception, InUseError)
            said = str(second.exception)
            assert f"scene.tif: another command is working on it (process {first.pid} on" in said
            assert "which goes on from what is finished" in said
        assert (folder / "out" / "done.tif").stat().st_mtime_ns == when, "nothing was begun"
        out = folder / "out" / "scene.tif"
        with pytest.raises(InUseError, match="another command"):
            predict_scene(small_predictor(), folder / "scene.tif", out, SceneOptions(overwrite=True))
        (folder / "go on").touch()
        assert first.wait(60) == 0
    assert_array_equal(classes_in(out), small_predictor()(folder / "scene.tif"))
    assert sorted(path.name for path in out.parent.glob("*scene*")) == ["scene.tif", "scene.tif.aux.xml"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
def test_the_lock_ends_with_its_process_however_that_ends(folder: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGINT):
        with another_process(folder) as first:
            first.send_signal(number)
            if number == signal.SIGINT:
                (folder / "go on").touch()
            assert first.wait(60) != 0
        (folder / "going").unlink()
        assert not (folder / "out" / "scene.tif").exists()
        assert (folder / "out" / ".scene.parts.lock").exists() == (number == signal.SIGKILL)
    done = predict(folder)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "continued from the parts of an earlier attempt" in done.output
    assert not list((folder / "out").glob(".*"))


def test_a_lock_leaves_nothing_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "a.lock"
    for _ in range(2):
        with locked(path) as certain:
            assert certain
            assert f"process {os.getpid()} on" in path.read_text("utf-8")
            with pytest.raises(InUseError, match=f"process {os.getpid()} on"), locked(path):
                pass
            assert path.exists()
        assert not list(tmp_path.iterdir())
    with locked(path):
        (path.parent / "result").touch()
    assert [found.name for found in path.parent.iterdir()] == ["result"]
