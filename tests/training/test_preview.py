"""The preview shows the samples that training begins with."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flexunet.config import AugmentConfig, ClassConfig, Config, DataConfig, TrainConfig
from flexunet.errors import OutputExistsError
from flexunet.training.preview import preview


def make_config(root: Path) -> Config:
    rng = np.random.default_rng(0)
    for number in range(5):
        for kind, pixels in (
            ("images", rng.integers(0, 255, (30, 40, 3), np.uint8)),
            ("masks", np.eye(30, 40, dtype=np.uint8) * 255),
        ):
            path = root / "train" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    classes = (
        ClassConfig(name="background", colour=(0, 0, 0)),
        ClassConfig(name="object", colour=(255, 255, 255)),
    )
    data = DataConfig(root=root, classes=classes, size=(32, 32))
    return Config(data=data, train=TrainConfig(batch_size=2))


def test_the_sheet_is_the_same_twice_and_changes_with_the_epoch(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    sheets = []
    for name, epoch in (("a", 0), ("b", 0), ("c", 1)):
        assert preview(config, tmp_path / f"{name}.png", count=4, epoch=epoch) == 4
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.width > 800


def test_without_augmentation_a_sheet_of_other_pictures_comes(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    plain = config.model_copy(update={"augment": AugmentConfig(enabled=False)})
    preview(config, tmp_path / "a.png", count=4)
    preview(plain, tmp_path / "b.png", count=4)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        preview(plain, tmp_path / "b.png", count=4)
