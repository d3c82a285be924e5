"""A tiny dataset with a rule to learn: bright blobs on dark noise."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def write_pairs(folder: Path, count: int, seed: int, size: int = 32) -> None:
    """`count` images with masks under folder/images and folder/masks."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        mask = np.zeros((size, size), np.uint8)
        centre = rng.integers(8, size - 8, 2).tolist()
        cv2.circle(mask, centre, int(rng.integers(4, 9)), 255, -1)
        noise = rng.normal(80, 20, (size, size, 3)) + mask[..., None] * 0.3
        write_picture(folder / "images" / f"p{index}.png", noise.clip(0, 255).astype(np.uint8))
        write_picture(folder / "masks" / f"p{index}.png", mask)
