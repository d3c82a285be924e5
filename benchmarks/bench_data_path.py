"""Claim: reading and augmenting images never holds up training: images a second on one core, at each stage.

    python benchmarks/bench_data_path.py --images DATASET/train/images --masks DATASET/train/masks

decode: files to the cache of decoded arrays, first time. augment: random warp, normalisation and colour of
one sample. batches: the loader as training uses it. All on one thread, in CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch

from flexunet.augment import Augmenter
from flexunet.config import AugmentConfig, DataConfig, SplitConfig
from flexunet.data import Loader, band_statistics, open_store
from machine import machine_facts, save, spread


def measure(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Images a second of CPU time at each stage."""
    rates: dict[str, list[float]] = {"decode": [], "augment": [], "batches": []}
    split = SplitConfig(images=(options.images.resolve(),), masks=(options.masks.resolve(),))
    size = (options.size, options.size)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            data = DataConfig(train=split, size=size, cache_dir=Path(cache))
            started = time.process_time()
            store = open_store(data, "train")
            rates["decode"].append(len(store) / (time.process_time() - started))
            augmenter = Augmenter(AugmentConfig(), band_statistics(store, data), size, data.sizing)
            started = time.process_time()
            for index in range(len(store)):
                augmenter(
                    store.image(index), store.labels(index), store.valid(index), np.random.default_rng(index)
                )
            rates["augment"].append(len(store) / (time.process_time() - started))
            loader = Loader(store, augmenter, batch_size=16, seed=0, shuffle=True, num_workers=1)
            started = time.process_time()
            samples = sum(len(batch.ids) for batch in loader.epoch(0))
            rates["batches"].append(samples / (time.process_time() - started))
            del store, augmenter, loader
    return {stage: spread(values) for stage, values in rates.items()}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256, help="the network's input, in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, nothing saved")
    options = parser.parse_args()
    options.rounds = 1 if options.quick else options.rounds
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    result = {
        "machine": machine_facts(1),
        "size": options.size,
        "images_per_cpu_second": measure(options),
    }
    for stage, rate in result["images_per_cpu_second"].items():
        print(f"{stage:8} {rate['median']:7.0f} images/s a core ({rate['min']:.0f} to {rate['max']:.0f})")
    if not options.quick:
        print(save("data_path", result))


if __name__ == "__main__":
    main()
