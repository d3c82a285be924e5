"""Claim: a few labelled pictures of another sensor close what a model of Bijie loses there.

    python benchmarks/bench_few_labels.py --model RUN/model.safetensors --sichuan DATA/sichuan --work WORK/few

Ten pictures of Sichuan, pooled landslide IoU on each by a network that was not trained on it (five folds;
those that may show one site stay together, so some eight are learned from): the model of Bijie as it is,
the same trained on (`--start-from`), and the same network from ImageNet weights. Three seeds, which also
draw the folds. `results/few_labels.json`; what is recorded is not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import flexunet as fx
from flexunet.config import EncoderUNetConfig
from flexunet.modelfile import read_record
from flexunet.raster.picture import read_mask_picture
from machine import RESULTS, machine_facts, save

CONFIG = """
[data]
root = "{root}"
size = [{size}, {size}]
mask_encoding = "index"
ignore_value = 255
classes = [{{name = "background", colour = [0, 0, 0]}}, {{name = "landslide", colour = [255, 0, 255]}}]

[model]
architecture = "encoder-unet"
encoder = "{encoder}"
decoder_widths = {widths}

[train]
epochs = 40
batch_size = 4
ema = 0.9
epoch_pictures = 0

[augment]
affine = 0.5
resized_crop = {{ probability = 0.3 }}

[output]
dir = "unused"
"""
ARMS = {
    "trained on from Bijie, rate 5e-4": ("start", 5e-4),
    "trained on from Bijie, rate 2e-3": ("start", 2e-3),
    "from ImageNet, rate 2e-3": ("imagenet", 2e-3),
}


def main() -> None:
    """Prepare, train what is missing, save after every run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="trained on Bijie")
    parser.add_argument("--sichuan", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("WORK/few"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    config = prepared(options)
    out = RESULTS / "few_labels.json"
    record: dict[str, Any] = {"machine": machine_facts(1), "folds": options.folds, "runs": {}}
    if out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
    record["as it is"] = as_it_is(options)
    print(f"the model of Bijie as it is: {record['as it is']:.3f}", flush=True)
    for seed in range(options.seeds):
        for arm, (kind, rate) in ARMS.items():
            key = f"{arm}, seed {seed}"
            if key not in record["runs"]:
                start = ["--start-from", options.model] if kind == "start" else []
                found = out_of_fold(options, config, f"{kind}-{rate:g}-{seed}", rate, seed, start)
                record["runs"][key] = {"arm": arm, "seed": seed, **found}
                save("few_labels", record)
    for arm in ARMS:
        values = [row["iou"] for row in record["runs"].values() if row["arm"] == arm]
        print(f"{arm}: {statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}")


def prepared(options: argparse.Namespace) -> Path:
    """The ten pictures as train and valid, and a config with the network of the model."""
    root = options.work / "sichuan"
    if not root.exists():
        flexunet("prepare", options.sichuan, root, "--shares", "80,20,0")
    model = read_record(options.model)
    assert isinstance(model.model, EncoderUNetConfig)
    text = CONFIG.format(
        root=root.resolve().as_posix(), size=model.data.size[0],
        encoder=model.model.encoder, widths=list(model.model.decoder_widths),
    )  # fmt: skip
    path: Path = options.work / "sichuan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def as_it_is(options: argparse.Namespace) -> float:
    """Pooled IoU of the model on all ten, nothing learned from them."""
    model, both, either = fx.Predictor.from_file(options.model), 0, 0
    for image in sorted((options.work / "sichuan").glob("*/images/*.png")):
        truth = read_mask_picture(image.parents[1] / "masks" / image.name).bands[0]
        found = (model.probabilities(image)[1] > 0.5) & (truth != 255)
        both += int(np.count_nonzero(found & (truth == 1)))
        either += int(np.count_nonzero(found | (truth == 1)))
    return round(both / either, 4)


def out_of_fold(
    options: argparse.Namespace, config: Path, name: str, rate: float, seed: int, start: list[Any]
) -> dict[str, Any]:
    """Pooled scores of all ten, each by the member that was not trained on it."""
    out = (options.work / name).resolve()
    flexunet(
        "train", config, "--folds", options.folds, "--overwrite", *start,
        "--set", f"train.learning_rate={rate}", "--set", f"train.seed={seed}",
        "--set", f"output.dir={out.as_posix()}",
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    pooled = summary["out_of_fold"]["foreground"]
    return {name: pooled[name] for name in ("iou", "precision", "recall")}


def flexunet(*arguments: object) -> None:
    """Run a flexunet command; a failure shows what it said."""
    subprocess.run([sys.executable, "-m", "flexunet", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
