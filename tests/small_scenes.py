"""Small models whose classes change from pixel to pixel, and small scenes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import ResUNetConfig
from flexunet.modelfile import InputRecord, ModelRecord, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor
from flexunet.raster import Grid, write_raster

UTM = rasterio.crs.CRS.from_epsg(32648).to_wkt()
HALF_METRE = Grid((0.5, 0.0, 400000.0, 0.0, -0.5, 3000000.0), UTM)
CLASSES = Classes(names=("background", "landslide", "water"), colours=((0, 0, 0), (255, 255, 0), (0, 0, 255)))


def small_record(
    names: tuple[str, ...] = ("red", "green", "blue"), dtype: str = "uint8", **data: Any
) -> ModelRecord:
    """A model of three classes, trained on 32 x 32 pixels."""
    return ModelRecord(
        model=ResUNetConfig(widths=(4, 6), depths=(1,)),
        classes=CLASSES,
        bands=Bands(names=names, dtype=dtype, mean=(120.0,) * len(names), std=(60.0,) * len(names)),
        data=InputRecord(**{"size": (32, 32), "sizing": "crop", **data}),
    )


def small_network(record: ModelRecord, seed: int = 5) -> nn.Module:
    """All three classes are about as likely, and edges matter."""
    torch.manual_seed(seed)
    network = build_network(record.model, len(record.bands), len(record.classes))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    network.eval()
    with torch.no_grad():
        logits = network(torch.randn(1, len(record.bands), 64, 64))
        bias = [value for name, value in network.named_parameters() if name.endswith("bias")][-1]
        bias.sub_(logits.mean((0, 2, 3)))
    return network


def small_predictor(record: ModelRecord | None = None, seed: int = 5, **options: Any) -> Predictor:
    """A predictor of the small model on the CPU."""
    record = record or small_record()
    return Predictor(small_network(record, seed), record, device="cpu", precision="32", **options)


def small_model(path: Path, record: ModelRecord | None = None, seed: int = 5) -> Path:
    """The small model as a file."""
    record = record or small_record()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(path, small_network(record, seed), record)
    return path


def blobs(height: int, width: int, bands: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pixels uint8 (bands, H, W) from 1 to 255: nothing is black."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((bands, -(-height // 6) + 1, -(-width // 6) + 1), np.float32)
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse]
    scaled: NDArray[np.uint8] = (1 + np.clip(np.stack(planes), 0, 1) * 254).astype(np.uint8)
    return scaled


def write_scene(path: Path, pixels: NDArray[Any], grid: Grid = HALF_METRE, **more: Any) -> Path:
    """A GeoTIFF."""
    write_raster(path, pixels, grid, **more)
    return path


def classes_in(path: Path) -> NDArray[np.uint8]:
    """The band of a class map."""
    with rasterio.open(path) as raster:
        band: NDArray[np.uint8] = raster.read(1)
    return band
