"""The epoch pictures: what the network makes of the same few images after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from torch import nn

from ..config.schema import Config, TrainConfig
from ..data import Pair
from ..errors import FlexunetError
from ..modelfile import ModelRecord
from ..prediction import Predictor
from ..prediction.pictures import picture_from_file
from ..raster import IMAGE_SUFFIXES, write_labels_png
from .folder import RunFolder
from .reporter import Reporter


def choose_images(config: Config, fallback: Sequence[Pair], reporter: Reporter) -> list[Path]:
    """The first N images (sorted by path) of the configured folder, else of the `fallback` split."""
    train = config.train
    if not train.epoch_pictures or not (train.epoch_pictures_whole or train.epoch_pictures_tiled):
        return []
    source = train.epoch_pictures_images
    found = [pair.image for pair in fallback]
    if source is not None and source.is_dir():
        found = [path for path in source.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            reporter.warn(f"train.epoch_pictures_images: {source} holds no picture: none is drawn.")
    elif source is not None:
        reporter.warn(
            f"train.epoch_pictures_images: {source} is no folder: the first validation images are drawn "
            f"instead."
        )
    return sorted(found)[: train.epoch_pictures]


def readable_images(images: Sequence[Path], record: ModelRecord, reporter: Reporter) -> list[Path]:
    """Those of the images that the model can read; the others are said."""
    readable = []
    for path in images:
        try:
            picture_from_file(path, record)
        except (FlexunetError, OSError) as error:
            reporter.warn(f"left out of the epoch pictures: {error}")
        else:
            readable.append(path)
    return readable


def picture_names(images: Sequence[Path]) -> dict[Path, str]:
    """The PNG name of each image, unique: a stem that occurs twice keeps its suffix, as in
    `scene_tif.png`.
    """
    stems = [path.stem for path in images]
    names: dict[Path, str] = {}
    for path in images:
        name = path.stem if stems.count(path.stem) == 1 else f"{path.stem}_{path.suffix.lstrip('.')}"
        while f"{name}.png" in names.values():
            name += "_"
        names[path] = f"{name}.png"
    return names


def draw_pictures(
    epoch: int,
    network: nn.Module,
    record: ModelRecord,
    images: Sequence[Path],
    folder: RunFolder,
    train: TrainConfig,
    tried: Callable[[Path], AbstractContextManager[None]],
) -> None:
    """Write `Epoch_<epoch>_<name>.png`, palette PNGs of the images' own size, whole and/or tiled.

    tried: a context, given the image, in which one that cannot be read or drawn is passed over.
    """
    kinds: list[tuple[Path, Literal["whole", "tiled"]]] = []
    if train.epoch_pictures_whole:
        kinds.append((folder.pictures, "whole"))
    if train.epoch_pictures_tiled:
        kinds.append((folder.tiled_pictures, "tiled"))
    predictor = Predictor(network, record, device=str(next(network.parameters()).device))
    for place, tiling in kinds:
        for path, name in picture_names(images).items():
            with tried(path):
                labels = predictor(path, tiling=tiling)
                write_labels_png(place / f"Epoch_{epoch}_{name}", labels, record.classes.colours)
