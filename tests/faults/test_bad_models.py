"""What is no model file of flexunet is said to be none, whichever command meets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from command_line import flexunet


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("words.safetensors", b"hello", "words.safetensors: not a safetensors model file"),
        ("pickle.pt", b"PK\x03\x04 and more\n\x00\x01", "which flexunet does not open"),
    ],
)
def test_a_damaged_model_is_not_taken_for_a_config(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in flexunet("evaluate", name, "--data", ".", cwd=tmp_path, code=2).stderr


def test_a_foreign_model_is_named(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    said = flexunet("evaluate", "other.safetensors", "--data", ".", cwd=tmp_path, code=2).stderr
    assert "other.safetensors: a safetensors file, but not of flexunet" in said


def test_inspect_takes_a_folder_for_a_run(tmp_path: Path) -> None:
    said = flexunet("inspect", ".", cwd=tmp_path, code=2).stderr
    assert "holds no trained model" in said
