"""A run that is killed goes on where it was, and the bytes are those of a run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flexunet.prepare import prepare
from flexunet.prepare.resuming import Journal

COUNT = 12


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for n in range(COUNT):
        for folder in ("images", "masks"):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(tmp_path / f"raw/images/p{n:02}.png"),
            generator.integers(1, 256, (96, 96, 3), dtype=np.uint8),
        )
        mask = np.zeros((96, 96), np.uint8)
        mask[20:60, 20 : 40 + n] = 255
        cv2.imwrite(str(tmp_path / f"raw/masks/p{n:02}.png"), mask)
    return tmp_path / "raw"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def part_folders(folder: Path) -> list[Path]:
    return sorted(folder.glob(".out.*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flexunet", "prepare", str(raw), str(tmp_path / "out")]
    command += ["--no-overlaps", "--min-side", "400", "--workers", "1"]
    command += ["--augment", "distortion:distortions=0.01,0.02,0.03"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        journals = [folder / "journal.jsonl" for folder in part_folders(tmp_path)]
        if any(path.is_file() and len(path.read_bytes().splitlines()) >= 3 for path in journals):
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    (left,) = part_folders(tmp_path)
    first = json.loads((left / "journal.jsonl").read_text(encoding="utf-8").splitlines()[0])[1][0]
    written = (left / first["image"]["file"]).stat().st_mtime_ns

    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (tmp_path / "out" / first["image"]["file"]).stat().st_mtime_ns == written, "done work is kept"
    assert not part_folders(tmp_path)
    choice: dict[str, Any] = {
        "shares": (70, 15, 15),
        "overlaps": False,
        "min_side": 400,
        "augment": ("distortion:distortions=0.01,0.02,0.03",),
    }
    prepare(raw, tmp_path / "whole", **choice)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_cut_line_and_a_damaged_file_are_done_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(name.encode())
        digest = {"a": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}.get(name, "0" * 64)
        journal.add(name, [{"image": {"file": f"{name}.png", "sha256": digest}}])
    with (tmp_path / "journal.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('["c", [{"image": {"file": "c.p')
    assert Journal(tmp_path).done.keys() == {"a"}
    assert Journal(tmp_path).done.keys() == {"a"}, "the journal was put in order"
