"""Landslide IoU on Bijie within an hour on two CPU cores, recipe by recipe.

    python benchmarks/bench_bijie.py ../shared/data/bijie --work WORK --recipe native

Prepares the dataset (overlapping scenes kept in one split), trains the recipe's config with its settings
(from random weights; `pretrained` and `framed` from ImageNet's), evaluates on the test split, and writes
`benchmarks/results/bijie_RECIPE.json` and the learning curve beside it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import machine_facts

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
RECIPES: dict[str, tuple[str, ...]] = {
    "native": (),
    "native_moved": ("augment={}",),
    "native_128": (
        "augment={rotation=0, scale=[0.9,1.1], aspect=1.1, shift=0}",
        "data.size=[128,128]", "train.epochs=25", "train.seed=1",
    ),
    "native_128_turned": (
        "augment={scale=[0.85,1.2], aspect=1.15, shift=0, deformation={probability=0.3}, "
        "gamma={probability=0.3}, noise={probability=0.2}}",
        "data.size=[128,128]", "train.epochs=25", "train.seed=1",
    ),
    "pretrained": (),
    "framed": (),
    "native_40_epochs": ("train.epochs=40",),
    "wide_40_epochs": ("train.epochs=40", "model.widths=[32,48,96,160,256,320]"),
    "flexunet_256": (
        "model={architecture='flexunet', base_filters=16, num_layers=6, normalization=true}",
        "train.epochs=20",
    ),
}  # fmt: skip
CONFIGS = dict.fromkeys(RECIPES, "bijie.toml") | {
    "pretrained": "bijie-pretrained.toml",
    "framed": "bijie-framed.toml",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the raw Bijie data")
    parser.add_argument("--work", type=Path, default=Path("WORK"), help="where dataset and runs go")
    parser.add_argument("--recipe", choices=RECIPES, default="native")
    arguments = parser.parse_args()
    dataset, run = arguments.work / "bijie", arguments.work / "runs" / arguments.recipe
    if not dataset.exists():
        flexunet("prepare", arguments.source, dataset)
    settings = [f"data.root={dataset.resolve()}", f"output.dir={run.resolve()}", *RECIPES[arguments.recipe]]
    config = EXAMPLES / CONFIGS[arguments.recipe]
    seconds, cpu_seconds = timed("train", config, *(word for item in settings for word in ("--set", item)))
    flexunet("evaluate", run, "--split", "test", "--out", run / "scores")
    record = {
        "recipe": arguments.recipe,
        "settings": RECIPES[arguments.recipe],
        "config": f"examples/{config.name}",
        "train_minutes": round(seconds / 60, 2),
        "train_cpu_minutes": round(cpu_seconds / 60, 2),
        "machine": machine_facts(threads=os.cpu_count() or 1),
        **measured(run),
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"bijie_{arguments.recipe}.json").write_text(
        json.dumps(record, indent=1) + "\n", encoding="utf-8"
    )
    shutil.copy(run / "curves.png", results / f"bijie_{arguments.recipe}.png")
    print(json.dumps({key: record[key] for key in ("recipe", "train_minutes", "train_cpu_minutes")}))


def measured(run: Path) -> dict[str, Any]:
    """What the run's log and its evaluation say."""
    scores, report = (
        json.loads((run / "scores" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("scores", "report")
    )
    return {
        "validation_by_epoch": validation_curve(run / "log.csv"),
        "test": scores,
        "intervals": report["intervals"]["with_foreground"],
        "ece": {
            entry["name"]: {when: entry["reliability"][when]["ece"] for when in ("before", "after")}
            for entry in report["evidence"]
        },
        "detection": report["detection"],
    }


def timed(*arguments: object) -> tuple[float, float]:
    """Wall-clock and processor seconds of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    flexunet(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.monotonic() - started, processor


def flexunet(*arguments: object) -> None:
    """Run a flexunet command; stop where it fails."""
    subprocess.run([sys.executable, "-m", "flexunet", *map(str, arguments)], check=True)


def validation_curve(log: Path) -> list[dict[str, float]]:
    """Epoch, seconds of the epoch, and validation IoU."""
    with log.open(encoding="utf-8", newline="") as rows:
        return [
            {
                "epoch": int(row["epoch"]),
                "seconds": float(row["seconds"]),
                "val_iou": round(float(row["val_iou"]), 4),
            }
            for row in csv.DictReader(rows)
        ]


if __name__ == "__main__":
    main()
