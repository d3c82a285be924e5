"""The peer of `bench_scene.py`: the whole scene in memory, MONAI's `sliding_window_inference`, one file out.

    MONAI/bin/python monai_worker.py SCENE OUT NETWORK.ts --precision 32 --threads 2

What its documentation shows: roi of the training size, a quarter of overlap, Gaussian weights. Needs torch,
monai and rasterio, nothing of this package.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import rasterio
import torch
from monai.inferers import sliding_window_inference

OVERLAP = 0.25
NODATA = 255


def main() -> None:
    """Read, predict, write; seconds on standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("network", type=Path)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    facts = json.loads(options.network.with_suffix(".json").read_text(encoding="utf-8"))
    network = torch.jit.load(str(options.network))
    started = time.perf_counter()
    with rasterio.open(options.scene) as source:
        pixels, valid, profile = source.read(), source.dataset_mask() > 0, source.profile
    images = normalised(pixels, valid, facts["mean"], facts["std"])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        logits = sliding_window_inference(
            images, facts["size"], options.batch, network, overlap=OVERLAP, mode="gaussian"
        )
    labels = logits[0].argmax(0).numpy().astype(np.uint8)
    labels[~valid] = NODATA
    kept = {key: profile[key] for key in ("crs", "transform", "width", "height")}
    form = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint8",
        "nodata": NODATA,
        "compress": "deflate",
        "tiled": True,
    }
    with rasterio.open(options.out, "w", **form, **kept) as target:
        target.write(labels, 1)
    print(json.dumps({"seconds": time.perf_counter() - started, "mpx": labels.size / 1e6}))


def normalised(pixels: np.ndarray, valid: np.ndarray, mean: list[float], std: list[float]) -> torch.Tensor:
    """float32 (1, C, H, W); 0 where there is no data."""
    scale = 1 / np.array(std, np.float32)[:, None, None]
    images = (pixels - np.array(mean, np.float32)[:, None, None]) * scale
    images *= valid
    return torch.from_numpy(images[None])


if __name__ == "__main__":
    main()
