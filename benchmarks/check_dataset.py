"""A dataset folder with planted leaks, and the list of what was planted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from planted_leaks import Pixels


@dataclass(frozen=True)
class Planted:
    """A picture (H, W, 3), what was done to it, and the place that it shows."""

    name: str
    pixels: Pixels
    kind: str
    place: int


def write_planted(pictures: list[Planted], root: Path) -> None:
    """Originals into train, copies into valid and test, a mask for each; last, `planted.json`."""
    rng = np.random.default_rng(0)
    for index, picture in enumerate(pictures):
        split = "train" if picture.kind == "original" else ("valid", "test")[index % 2]
        height, width = picture.pixels.shape[:2]
        labels = np.zeros((height, width), np.uint8)
        middle = int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height)
        axes = int(rng.uniform(0.1, 0.3) * width), int(rng.uniform(0.1, 0.3) * height)
        cv2.ellipse(labels, middle, axes, rng.uniform(0, 180), 0, 360, (255,), -1)
        for kind, pixels in (("images", picture.pixels[..., ::-1]), ("masks", labels)):
            path = root / split / kind / f"{picture.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    table = [[picture.name, picture.kind, picture.place] for picture in pictures]
    (root / "planted.json").write_text(json.dumps(table) + "\n", encoding="utf-8")


def read_planted(root: Path) -> list[tuple[str, str, int]]:
    """(name, kind, place) of every picture."""
    return [(name, kind, place) for name, kind, place in json.loads((root / "planted.json").read_text())]
