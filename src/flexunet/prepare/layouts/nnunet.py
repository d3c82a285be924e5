"""nnU-Net's raw format: imagesTr/CASE_0000.png (a file a channel), labelsTr/CASE.png, dataset.json."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import palette_colour
from ...config.schema import ClassConfig, DataConfig
from ...errors import DataError, Problem, RasterError
from ...raster import RasterReader, read_picture
from ..items import Item, MaskFile, Source, memory_reader
from ..options import Options
from .folders import is_picture


@dataclass(frozen=True)
class ChannelFiles:
    """One file a channel (a file may also hold several bands, such as an RGB picture)."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    nodata: float | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return self.paths

    @property
    def copyable(self) -> Path | None:
        return self.paths[0] if len(self.paths) == 1 else None

    def open(self) -> RasterReader:
        pictures = [read_picture(path, nodata=self.nodata) for path in self.paths]
        sizes = {picture.valid.shape for picture in pictures}
        if len(sizes) > 1:
            raise RasterError(f"{self.paths[0]}: its channels differ in size: {sorted(sizes)}.")
        dtype = np.result_type(*(picture.pixels.dtype for picture in pictures))
        pixels = np.concatenate([picture.pixels.astype(dtype) for picture in pictures])
        valid = np.logical_and.reduce([picture.valid for picture in pictures])
        names = self.names if len(self.names) == len(pixels) else pictures[0].band_names
        if len(names) != len(pixels):
            names = tuple(f"band {i + 1}" for i in range(len(pixels)))
        return memory_reader(self.paths[0], pixels, valid, names, pictures[0].grid)


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    return (root / "imagesTr").is_dir() and (root / "labelsTr").is_dir()


def read(root: Path, options: Options) -> Source:
    """The cases of imagesTr with all channels that dataset.json names."""
    described = _description(root / "dataset.json")
    channels = described.get("channel_names") or described.get("modality") or {}
    labels = described.get("labels")
    problems: list[Problem] = []
    if not isinstance(labels, dict) or not isinstance(channels, dict):
        problems.append(
            Problem("`labels` and `channel_names` are expected to be objects.", root / "dataset.json")
        )
        labels, channels = {}, {}
    elif not all(key.isdecimal() for key in channels):
        told = 'the number before the name is expected, such as {"0": "red", "1": "green"}'
        problems.append(Problem(f"`channel_names` {channels}: {told}.", root / "dataset.json"))
        channels = {}
    table = _class_table(labels, root / "dataset.json", problems)
    cases: dict[str, dict[int, Path]] = defaultdict(dict)
    volumes = 0
    for path in sorted((root / "imagesTr").iterdir()):
        match = re.fullmatch(r"(.+)_(\d{4})", path.stem)
        if is_picture(path) and match is not None:
            cases[match.group(1)][int(match.group(2))] = path
        elif is_picture(path):
            problems.append(Problem("is not named CASE_0000 with the number of its channel.", path))
        volumes += path.name.endswith((".nii", ".nii.gz", ".nrrd"))
    if volumes:
        problems.append(
            Problem(f"{volumes} volumes; only pictures of two dimensions can be used.", root / "imagesTr")
        )
    masks = {path.stem: path for path in sorted((root / "labelsTr").iterdir()) if is_picture(path)}
    wanted = range(len(channels) or max((len(files) for files in cases.values()), default=1))
    names = tuple(str(channels[key]) for key in sorted(channels, key=lambda key: int(key)))
    items = []
    for case in sorted(cases.keys() | masks.keys()):
        missing = [f"{case}_{i:04d}" for i in wanted if i not in cases.get(case, {})]
        if case not in masks:
            problems.append(Problem("has no file in labelsTr.", next(iter(cases[case].values()))))
        elif missing:
            problems.append(Problem(f"channels are missing: {', '.join(missing)}.", masks[case]))
        else:
            image = ChannelFiles(tuple(cases[case][i] for i in wanted), names, options.nodata)
            items.append(Item(case, image, MaskFile(masks[case])))
    if problems:
        raise DataError("The nnU-Net dataset cannot be used as it is:", problems)
    notes = ("imagesTs: left out, it has no labels",) if (root / "imagesTs").is_dir() else ()
    source = Source("nnunet", root, tuple(items), None, notes)
    return source.with_settings(table) if table is not None else source


def _description(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}. nnU-Net datasets have one.") from error
    except ValueError as error:
        raise DataError(f"{path}: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: an object is expected.")
    return found


def _class_table(labels: dict[str, Any], path: Path, problems: list[Problem]) -> DataConfig | None:
    """Settings to decode the label files by; regions (lists of labels) are not masks of one class a pixel."""
    plain = {name: value for name, value in labels.items() if isinstance(value, int)}
    if len(plain) < len(labels):
        problems.append(
            Problem("labels that are lists (regions) cannot be masks of one class a pixel.", path)
        )
    ignore = plain.pop("ignore", None)
    ordered = sorted(plain.items(), key=lambda entry: entry[1])
    if len(ordered) < 2:
        if labels:
            problems.append(Problem("at least two labels are expected.", path))
        return None
    if len({*plain.values(), ignore}) <= len(plain):
        problems.append(Problem("every label, and ignore, has a value of its own.", path))
        return None
    colours = (
        [(0, 0, 0), (255, 255, 0)] if len(ordered) == 2 else [palette_colour(i) for i in range(len(ordered))]
    )
    classes = tuple(
        ClassConfig(name=name, colour=colour, values=(value,))
        for (name, value), colour in zip(ordered, colours, strict=True)
    )
    return DataConfig(classes=classes, mask_encoding="index", ignore_value=ignore)
