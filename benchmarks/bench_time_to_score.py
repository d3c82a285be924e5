"""Claim: the native default reaches the reference network's best validation IoU in a fraction of its time.

Trains two configs on the same split, one after the other, through `flexunet.train`: the reference's network
for `--reference-minutes`, the native default for `--native-minutes`; then finds when the second was first as
good as the first's best. Takes hours; a run whose log is there already is not repeated. At the reference's
512 x 512 pixels an epoch takes a quarter of an hour on two threads; 256 x 256, the native default's size, is
four times as fast (and bf16 is faster and learns as well: `bench_precision.py`).

    python benchmarks/bench_time_to_score.py --reference examples/reference-network.toml \\
        --reference-set "data.size=[256,256]" --reference-set train.precision=bf16 \\
        --native examples/bijie.toml --root WORK/bijie --work WORK/time_to_score --threads 1
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the flexunet command does

from flexunet import train
from flexunet.config import load_config
from machine import machine_facts, save


def curve(
    name: str, config_file: Path, minutes: float, settings: list[str], options: argparse.Namespace
) -> list[dict[str, float]]:
    """Seconds since the start and validation IoU after each epoch; trains unless a log is there."""
    folder = options.work / name
    overrides = [
        f"data.root={options.root.resolve()}",
        f"output.dir={folder.resolve()}",
        f"train.budget_minutes={minutes}",
        f"train.seed={options.seed}",
        f"train.threads={options.threads}",
        *settings,
    ]
    log = folder / "log.csv"
    if not log.exists():
        train(load_config(config_file, overrides), show=True)
    rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))
    seconds, points = 0.0, []
    for row in rows:
        seconds += float(row["seconds"])
        points.append({"seconds": round(seconds, 1), "val_iou": float(row["val_iou"] or 0)})
    return points


def trained_with(run: Path) -> dict[str, Any]:
    """What the two runs differ in, as their own configs say."""
    config = load_config(run / "config.toml")
    return {
        "architecture": config.model.architecture,
        "size": list(config.data.size or ()),
        "precision": config.train.precision,
        "batch": config.train.batch_size,
        "epochs": config.train.epochs,
    }


def first_reach(points: list[dict[str, float]], score: float) -> float | None:
    """Seconds until the score is reached, or None."""
    return next((point["seconds"] for point in points if point["val_iou"] >= score), None)


def main() -> None:
    """Train, compare, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, required=True, help="config with the reference's network")
    parser.add_argument("--native", type=Path, required=True, help="config with the native default")
    parser.add_argument("--root", type=Path, required=True, help="dataset with train/valid/test folders")
    parser.add_argument("--work", type=Path, required=True, help="folder for both runs")
    parser.add_argument("--reference-set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--reference-minutes", type=float, default=120.0)
    parser.add_argument("--native-minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=137)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    minutes, settings = options.reference_minutes, options.reference_set
    reference = curve("reference", options.reference, minutes, settings, options)
    native = curve("native", options.native, options.native_minutes, [], options)
    best = max(reference, key=lambda point: point["val_iou"])
    reached = first_reach(native, best["val_iou"])
    result: dict[str, Any] = {
        "machine": machine_facts(options.threads),
        "settings": {name: trained_with(options.work / name) for name in ("reference", "native")},
        "reference_best": best,
        "native_seconds_to_it": reached,
        "times_faster": None if reached is None else round(best["seconds"] / reached, 2),
        "native_best": max(native, key=lambda point: point["val_iou"]),
        "curves": {"reference": reference, "native": native},
    }
    print(f"reference: best validation IoU {best['val_iou']:.3f} after {best['seconds']:.0f} s")
    print(f"native: {'not reached' if reached is None else f'as good after {reached:.0f} s'}")
    print(save("time_to_score", result))


if __name__ == "__main__":
    main()
