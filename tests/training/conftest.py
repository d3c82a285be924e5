"""Small runs on bright blobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blob_dataset import write_pairs
from flexunet.config import Config

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset folder: 12 training and 4 validation pairs."""
    root = tmp_path_factory.mktemp("blobs")
    write_pairs(root / "train", 12, seed=1)
    write_pairs(root / "valid", 4, seed=2)
    return root


@pytest.fixture
def make_config(blobs: Path, tmp_path: Path) -> MakeConfig:
    """Config of a small run; keyword arguments are sections, merged over the defaults of this fixture."""

    def make(**sections: dict[str, Any]) -> Config:
        tiny: dict[str, dict[str, Any]] = {
            "data": {
                "root": blobs,
                "size": (32, 32),
                "classes": [
                    {"name": "ground", "colour": (0, 0, 0)},
                    {"name": "blob", "colour": (255, 255, 255)},
                ],
            },
            "model": {
                "architecture": "flexunet", "base_filters": 4, "num_layers": 2, "dropout_rate": 0.2,
                "normalization": False,
            },
            "train": {
                "epochs": 3, "batch_size": 4, "precision": "32", "accelerator": "cpu", "threads": 1,
                "epoch_pictures": 0, "learning_rate": 0.01,
            },
            "output": {"dir": tmp_path / "run"},
        }  # fmt: skip
        for name, section in sections.items():
            if section.get("architecture") == "resunet":
                tiny[name] = section
            else:
                tiny[name] = {**tiny.get(name, {}), **section}
        return Config.model_validate(tiny)

    return make
