"""A dataset of a few tiny pictures with its config."""

from __future__ import annotations

from pathlib import Path

import pytest

from blob_dataset import write_pairs

CONFIG = """
[data]
root = "."
size = [32, 32]
classes = [
  { name = "background", colour = [0, 0, 0] },
  { name = "blob", colour = [255, 255, 255] },
]

[model]
widths = [8, 16]
depths = [1]

[train]
epochs = 1
batch_size = 2
threads = 1
epoch_pictures = 0

[output]
dir = "run"
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """{train,valid,test}/{images,masks} and run.toml, in a folder with a space and a letter beyond ASCII."""
    root = tmp_path / "blobs für alle"
    for number, (split, count) in enumerate({"train": 4, "valid": 2, "test": 2}.items()):
        write_pairs(root / split, count, number)
    (root / "run.toml").write_text(CONFIG, encoding="utf-8")
    return root
