"""Aim: decoding and full augmentation are 3x as fast a core as Albumentations' and 2x as kornia's.

    python benchmarks/bench_augment.py path/to/bijie --peer-python PEER/bin/python

PEER: `python -m venv PEER; PEER/bin/pip install torch==2.13.0 albumentations==2.0.8 kornia
opencv-python-headless==4.13.0.92`. Real pictures of Bijie and their masks, one thread a library, the
libraries in turns of one pass over all pictures, CPU seconds, medians.

Operations: `default` is what this project does unless told otherwise (flips, turns, one affine map, colour);
`full` adds slant, elastic deformation, distortion, saturation, sharpening, gamma, blur, noise, JPEG and lost
bands; `everything` adds shadow and haze, which kornia has not (nor distortion for masks). Same probabilities
everywhere. Sources: `memory` (decoded arrays: augmentation alone), `epoch` (an epoch as each does it: here
from the store, there from the files), `files` (everybody decodes the files: the first epoch).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch

from augment_worker import MEAN, STD, read
from flexunet.augment import Augmenter
from flexunet.bands import Bands
from flexunet.config import AugmentConfig, DataConfig, SplitConfig
from flexunet.data import open_store
from machine import machine_facts, save, spread

WORKER = Path(__file__).parent / "augment_worker.py"
FULL: dict[str, Any] = {
    "saturation": 0.2,
    "perspective": {"probability": 0.5},
    "deformation": {"probability": 0.5},
    "distortion": {"probability": 0.5},
    "sharpening": {"probability": 0.2, "strength": 0.2},
    "gamma": {"probability": 0.5},
    "blur": {"probability": 0.3},
    "noise": {"probability": 0.3},
    "jpeg": {"probability": 0.3},
    "band_dropout": {"probability": 0.2},
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "full": FULL,
    "everything": {**FULL, "shadow": {"probability": 0.2}, "haze": {"probability": 0.2}},
}
SOURCES = ("memory", "epoch", "files")
BARS = {"albumentations": 3.0, "kornia": 2.0}


class Ours:
    """This project's data path; a pass is every picture once."""

    def __init__(self, pairs: list[tuple[Path, Path]], folder: Path) -> None:
        self.names = [(str(image), str(mask)) for image, mask in pairs]
        self.decoded = [read(pair) for pair in self.names]
        for kind, files in zip(("images", "masks"), zip(*pairs, strict=True), strict=True):
            (folder / kind).mkdir(parents=True)
            for file in files:
                (folder / kind / file.name).symlink_to(file.resolve())
        split = SplitConfig(images=(folder / "images",), masks=(folder / "masks",))
        self.data = DataConfig.model_validate({
            "train": split, "cache_dir": folder / "cache",
            "classes": [
                {"name": "background", "colour": (0, 0, 0)}, {"name": "landslide", "colour": (255, 255, 255)}
            ],
        })  # fmt: skip
        self.store = open_store(self.data, "train")
        self.passes = 0

    def samples(self, source: str) -> Iterator[tuple[Any, Any, Any]]:
        """(C, h, w), labels and valid of every picture."""
        if source == "epoch":
            for index in range(len(self.store)):
                yield self.store.image(index), self.store.labels(index), self.store.valid(index)
        else:
            for image, mask in self.decoded if source == "memory" else map(read, self.names):
                yield image.transpose(2, 0, 1), mask, np.ones(mask.shape, np.bool_)

    def run(self, operations: str, size: int, source: str) -> dict[str, float]:
        """CPU and wall seconds of a pass."""
        bands = Bands(names=("red", "green", "blue"), mean=MEAN, std=STD)
        augmenter = Augmenter(
            AugmentConfig.model_validate(OPERATIONS[operations]), bands, (size, size), "resize"
        )
        self.passes += 1
        wall, cpu = time.perf_counter(), time.process_time()
        for position, (pixels, labels, valid) in enumerate(self.samples(source)):
            augmenter(pixels, labels, valid, np.random.default_rng((0, self.passes, position)))
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


class Peer:
    """Another library in its own interpreter."""

    def __init__(self, python: Path, library: str, pairs: list[tuple[Path, Path]]) -> None:
        files = [str(file.resolve()) for pair in pairs for file in pair]
        self.process = subprocess.Popen(
            [python, "-W", "ignore", WORKER, library, *files],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, operations: str, size: int, source: str) -> dict[str, float]:
        """CPU and wall seconds of a pass."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{operations} {size} {'memory' if source == 'memory' else 'files'}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the peer stopped with status {self.process.wait()}")
        seconds: dict[str, float] = json.loads(answer)
        return seconds


def measure(
    options: argparse.Namespace, pairs: list[tuple[Path, Path]], folder: Path
) -> list[dict[str, Any]]:
    """A row for every list of operations, size and source."""
    sides: dict[str, Any] = {"flexunet": Ours(pairs, folder)}
    for library in options.peers if options.peer_python else []:
        sides[library] = Peer(options.peer_python, library, pairs)
    rows = []
    for operations in options.operations:
        for size in options.sizes:
            for source in options.sources:
                taking_part = {
                    name: side
                    for name, side in sides.items()
                    if name != "kornia" or operations != "everything"
                }
                seconds: dict[str, list[float]] = {name: [] for name in taking_part}
                for _ in range(options.rounds):
                    for name, side in taking_part.items():
                        seconds[name].append(side.run(operations, size, source)["cpu"])
                rates = {name: spread([len(pairs) / s for s in each]) for name, each in seconds.items()}
                ratios = {
                    name: spread([them / us for them, us in zip(each, seconds["flexunet"], strict=True)])
                    for name, each in seconds.items()
                    if name != "flexunet"
                }
                row = {"operations": operations, "size": size, "source": source}
                rows.append({**row, "images_per_cpu_second": rates, "times_as_fast": ratios})
                shown = ", ".join(f"{name} {rate['median']:.0f}/s" for name, rate in rates.items())
                faster = ", ".join(
                    f"{ratio['median']:.2f}x {name} (bar {BARS[name]:g})" for name, ratio in ratios.items()
                )
                print(f"{operations:10} {size} {source:6} {shown}; {faster}", flush=True)
    return rows


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bijie", type=Path, help="the folder with landslide/image and landslide/mask")
    parser.add_argument("--peer-python", type=Path, help="interpreter with Albumentations and kornia")
    parser.add_argument("--peers", nargs="+", default=list(BARS), choices=list(BARS))
    parser.add_argument("--operations", nargs="+", default=list(OPERATIONS), choices=list(OPERATIONS))
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=SOURCES)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round of 16 images, nothing saved")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.images = 1, 16
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    images = sorted((options.bijie / "landslide" / "image").glob("*.png"))[: options.images]
    pairs = [(image, options.bijie / "landslide" / "mask" / image.name) for image in images]
    machine = machine_facts(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, pairs, Path(folder))
    result = {"machine": machine, "images": len(pairs), "rounds": options.rounds, "rows": rows}
    result["load_after"] = round(os.getloadavg()[0], 2)
    if not options.quick:
        print(save("augment", result))


if __name__ == "__main__":
    main()
