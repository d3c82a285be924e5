"""A model that says what a picture is painted with, and datasets painted for it: all scores are known."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import ClassConfig, DataConfig, FlexUNetConfig
from flexunet.modelfile import InputRecord, ModelRecord, save_model
from flexunet.nets import build_network

Labels = NDArray[np.uint8]

IGNORED = 9
CLASSES = Classes(names=("background", "landslide"), colours=((0, 0, 0), (255, 255, 0)))
BRIGHT, DARK = 200, 100


def painted_data(root: Path) -> DataConfig:
    """Data settings for a painted dataset."""
    classes = tuple(
        ClassConfig(name=name, colour=colour)
        for name, colour in zip(CLASSES.names, CLASSES.colours, strict=True)
    )
    return DataConfig(
        root=root, classes=classes, mask_encoding="index", ignore_value=IGNORED, size=(16, 16), sizing="crop"
    )


def paint(folder: Path, cases: Mapping[str, tuple[Labels, Labels | None]]) -> None:
    """For each name (prediction wanted, truth): an image predicted so, and its mask; None: a negative."""
    for name, (wanted, truth) in cases.items():
        grey = np.where(wanted == 1, BRIGHT, DARK).astype(np.uint8)
        place = "images" if truth is not None else "negatives"
        _write(folder / place / f"{name}.png", np.repeat(grey[..., None], 3, axis=2))
        if truth is not None:
            _write(folder / "masks" / f"{name}.png", truth)


def painted_model(path: Path, data: DataConfig, *, sigmoid: bool = False) -> None:
    """Save a real FlexUNet whose weights pass the first band through: class 1 where it is bright."""
    config = FlexUNetConfig(base_filters=1, num_layers=2, dropout_rate=0.0, sigmoid=sigmoid)
    network = build_network(config, 3, 2)
    weights = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    for name, channel in (
        ("encoder.0.conv1.weight", 0),
        ("encoder.0.conv2.weight", 0),
        ("decoder.0.conv1.weight", 1),  # the skip comes after the upsampled channel
        ("decoder.0.conv2.weight", 0),
    ):
        weights[name][0, channel, 1, 1] = 1
    weights["head.weight"][-1] = 8.0
    weights["head.bias"][-1] = -4.0
    network.load_state_dict(weights)
    bands = Bands(names=("red", "green", "blue"), mean=(float(DARK),) * 3, std=(float(BRIGHT - DARK),) * 3)
    record = ModelRecord(model=config, classes=CLASSES, bands=bands, data=InputRecord.of(data))
    save_model(path, network, record)


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
