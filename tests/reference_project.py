"""A project of the reference around one of its configs: byte for byte, small pictures where it looks."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flexunet.config import Config, DataConfig, SplitConfig, load_config

PICTURES = {"train": 2, "valid": 1, "test": 1}
SIZE_HW = (90, 120)


def build_project(config_file: Path, folder: Path) -> Path:
    """Lay out `folder` as the reference's users do and return the path of the config in it."""
    here = folder / "projects" / "TensorFlowFlexUNet" / config_file.stem
    here.mkdir(parents=True)
    path = here / "train_eval_infer.config"
    path.write_bytes(config_file.read_bytes())
    config = load_config(path)
    for split, count in PICTURES.items():
        folders: SplitConfig | None = getattr(config.data, split)
        if folders is not None:
            fill_split(folders, config.data, count)
    fill_predictions(config)
    return path


def fill_split(folders: SplitConfig, data: DataConfig, count: int) -> None:
    """`count` pairs in each folder; a `*` becomes two folders."""
    for images, masks in zip(folders.images, folders.masks, strict=True):
        for name in ("a", "b") if "*" in str(images) else ("",):
            for index in range(count):
                image, labels = draw_pair(len(data.classes), seed=index)
                stem = f"{name}{10001 + index}"
                write_png(Path(str(images).replace("*", name)) / f"{stem}.png", image)
                write_mask(Path(str(masks).replace("*", name)) / stem, labels, data)


def fill_predictions(config: Config) -> None:
    """Two pictures in each folder that prediction reads."""
    for folder in {config.predict.images, config.predict.tiled_images} - {None}:
        assert folder is not None
        for index in range(2):
            write_png(folder / f"{10001 + index}.png", draw_pair(len(config.data.classes), seed=index)[0])


def draw_pair(classes: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An RGB image uint8 (H, W, 3) with one disc of each class, and its labels uint8 (H, W)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE_HW, np.uint8)
    for index in range(1, classes):
        centre = (int(rng.integers(15, SIZE_HW[1] - 15)), int(rng.integers(15, SIZE_HW[0] - 15)))
        cv2.circle(labels, centre, 12, index, -1)
    tones = rng.integers(40, 220, (classes, 3))
    image = tones[labels] + rng.normal(0, 8, (*SIZE_HW, 3))
    return image.clip(0, 255).astype(np.uint8), labels


def write_mask(path: Path, labels: NDArray[np.uint8], data: DataConfig) -> None:
    """A mask in the form the config expects: one-hot, grey, or colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.array([item.colour for item in data.classes], np.uint8)
    if data.mask_encoding == "onehot":
        np.savez_compressed(path.with_suffix(".npz"), mask=np.eye(len(colours), dtype=np.uint8)[labels])
    elif data.mask_encoding == "threshold":
        write_png(path.with_suffix(".png"), labels * np.uint8(255))
    else:
        write_png(path.with_suffix(".png"), colours[labels])


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """RGB or grey pixels as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes())
