"""Claim: ImageNet weights help with bands that ImageNet never saw: 7 on Mars, 13 of Sentinel-2.

The same network from ImageNet and from random weights, as many steps (so the same time), three seeds, three
folds of groups that share no ground; landslide or water IoU on the images that a member was not trained on.

    python benchmarks/bench_bands.py DATA --work WORK/bands      # DATA holds mars-7band/ and sentinel/

A folder of runs that is complete is not trained again; one that was cut off goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine_facts, save

MARS_BLOCK = re.compile(r"col000(09|10|11)_row0000[89]")
"""Six of the Mars tiles lie side by side; they stay in one fold."""
ARMS = {"imagenet": "model.weights=imagenet", "random": "model.weights=random"}
COMMON = """
[model]
architecture = "encoder-unet"
encoder = "efficientnet_lite0"

[train]
epochs = {epochs}
batch_size = 4
learning_rate = 1e-3
ema = 0.98
epoch_pictures = 0

[output]
dir = "unused"
"""
MARS = """
[data]
root = "{root}"
mask_encoding = "index"
classes = [{{name = "background", colour = [0, 0, 0]}}, {{name = "landslide", colour = [255, 255, 0]}}]
band_names = ["thermal inertia", "slope", "elevation", "grey", "red", "green", "blue"]
size = [128, 128]
"""
SENTINEL = """
[data]
root = "{root}"
mask_encoding = "index"
ignore_value = 255
classes = [{{name = "land", colour = [0, 0, 0]}}, {{name = "water", colour = [0, 0, 255]}}]
band_names = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"]
size = [64, 64]
"""


def main() -> None:
    """Prepare, train, compare, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with mars-7band/ and sentinel/")
    parser.add_argument("--work", type=Path, default=Path("WORK/bands"))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mars-epochs", type=int, default=60)
    parser.add_argument("--sentinel-epochs", type=int, default=20)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    configs = {
        "mars": written(options.work, "mars", MARS, mars(options), options.mars_epochs),
        "sentinel": written(options.work, "sentinel", SENTINEL, sentinel(options), options.sentinel_epochs),
    }
    result: dict[str, Any] = {
        "machine": machine_facts(os.cpu_count() or 1), "folds": options.folds, "seeds": options.seeds,
        "epochs": {"mars": options.mars_epochs, "sentinel": options.sentinel_epochs},
    }  # fmt: skip
    for name, config in configs.items():
        result[name] = {arm: scores(config, arm, options) for arm in ARMS}
        found = {arm: f"{row['mean']:.3f} ± {row['sd']:.3f}" for arm, row in result[name].items()}
        print(f"{name}: {found}", flush=True)
        print(save("bands", result))


def mars(options: argparse.Namespace) -> Path:
    """The Mars tiles, those of one block in one group."""
    out: Path = options.work / "mars-data"
    if not out.exists():
        images = sorted((options.data / "mars-7band" / "images").glob("*.tif"))
        table = options.work / "mars-groups.csv"
        rows = [(path.stem, "block" if MARS_BLOCK.fullmatch(path.stem) else path.stem) for path in images]
        with table.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([("id", "group"), *rows])
        flexunet(
            "prepare", options.data / "mars-7band", out, "--groups", table, "--shares", "80,20,0"
        )  # the folds are drawn from train and valid together
    return out


def sentinel(options: argparse.Namespace) -> Path:
    """The Sentinel-2 tile in pieces of 64 pixels, blocks of four pieces in one group."""
    out: Path = options.work / "sentinel-data"
    if not out.exists():
        raw = options.work / "sentinel-raw"
        for kind, word in (("images", "S2Hand"), ("masks", "LabelHand")):
            (raw / kind).mkdir(parents=True, exist_ok=True)
            source = options.data / "sentinel" / "sen1floods11" / f"Spain_7370579_{word}.tif"
            shutil.copy(source, raw / kind / "spain.tif")
        flexunet(
            "prepare", raw, out, "--tile", 64, "--blocks", 128, "--shares", "80,20,0", "--ignore-value", -1
        )
    return out


def written(work: Path, name: str, data: str, root: Path, epochs: int) -> Path:
    """The config of one dataset."""
    path = work / f"{name}.toml"
    text = data.format(root=root.resolve().as_posix()) + COMMON.format(epochs=epochs)
    path.write_text(text, encoding="utf-8")
    return path


def scores(config: Path, arm: str, options: argparse.Namespace) -> dict[str, Any]:
    """IoU of each seed (mean over its folds), their mean and standard deviation."""
    out = options.work / f"{config.stem}-{arm}"
    if not (out / "summary.json").exists():
        going_on = ["--resume"] if (out / "plan.json").exists() else []
        flexunet(
            "train", config, "--folds", options.folds, "--seeds", options.seeds, *going_on,
            "--set", ARMS[arm], "--set", f"output.dir={out.resolve().as_posix()}",
        )  # fmt: skip
    rows = list(csv.DictReader((out / "summary.csv").read_text(encoding="utf-8").splitlines()))
    members = [row for row in rows if row["member"] not in ("mean", "SD")]
    seeds = sorted({row["seed"] for row in members})
    each = [statistics.mean(float(row["iou"]) for row in members if row["seed"] == seed) for seed in seeds]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {
        "iou_of_each_seed": [round(value, 4) for value in each],
        "mean": round(statistics.mean(each), 4),
        "sd": round(statistics.stdev(each), 4) if len(each) > 1 else 0.0,
        "pooled": summary.get("out_of_fold"),
    }


def flexunet(*arguments: object) -> None:
    """Run a flexunet command; a failure shows what it said."""
    subprocess.run([sys.executable, "-m", "flexunet", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
