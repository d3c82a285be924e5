"""What the system refuses is said in one line: the file, the reason, the cure."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from command_line import flexunet
from flexunet.cli.app import _is_out_of_memory, _memory_fault, _system_fault

CONFIG = Path(__file__).parents[1] / "data" / "config" / "Bijie-Landslide.config"


def test_a_full_disk_is_said_with_and_without_a_file() -> None:
    reason = (errno.ENOSPC, "No space left on device")
    assert _system_fault(OSError(*reason, "a.png")).startswith("a.png: No space left on device. Free some")
    assert _system_fault(OSError(*reason)).startswith("No space left on device. Free some space")


def test_want_of_memory_is_told_from_other_faults_and_its_cure_is_said() -> None:
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**62, dtype=torch.uint8)
    assert _is_out_of_memory(of_torch.value)
    assert _is_out_of_memory(MemoryError())
    assert not _is_out_of_memory(RuntimeError("something else"))
    for error in (of_torch.value, MemoryError()):
        said = _memory_fault(error)
        assert said.startswith("the memory does not suffice (")
        assert "train.batch_size" in said
        assert "\n" not in said


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    said = flexunet("convert", CONFIG, "taken/new.toml", cwd=tmp_path, code=2).stderr
    assert "Error: taken" in said
    assert "A file lies where a folder is needed; name another folder." in said
