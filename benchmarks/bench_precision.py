"""Claim: the reference's kind of network, trained in bf16, is as good as trained in fp32.

Trains a small relative of the published network (same blocks, loss and optimiser; fewer filters and levels,
smaller kernels and images, so that three seeds in both precisions fit into an hour) on the same split, and
compares the best validation IoU of the two precisions with the spread between seeds. Runs whose log is there
are not repeated.

    python benchmarks/bench_precision.py --root WORK/bijie --work WORK/precision
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from statistics import mean, stdev

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the flexunet command does

from flexunet import train
from flexunet.config import load_config
from machine import machine_facts, save

REFERENCE = Path(__file__).resolve().parents[1] / "examples" / "reference-network.toml"
PRECISIONS = ("32", "bf16")


def best_iou(precision: str, seed: int, options: argparse.Namespace) -> float:
    """The best validation IoU of one run."""
    folder = options.work.resolve() / f"{precision}-{seed}"
    log = folder / "log.csv"
    overrides = [
        f"data.root={options.root.resolve()}",
        f"data.size=[{options.size}, {options.size}]",
        f"model.base_filters={options.filters}",
        f"model.num_layers={options.levels}",
        f"model.base_kernels=[{options.kernel}, {options.kernel}]",
        f"train.epochs={options.epochs}",
        f"train.learning_rate={options.learning_rate}",
        f'train.precision="{precision}"',
        f"train.seed={seed}",
        f"train.threads={options.threads}",
        "train.monitor=val_iou",
        f"output.dir={folder}",
    ]
    if not log.exists():
        train(load_config(REFERENCE, overrides), show=True)
    rows = csv.DictReader(log.read_text(encoding="utf-8").splitlines())
    return max(float(row["val_iou"] or 0) for row in rows)


def main() -> None:
    """Train every seed in both precisions, compare, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="dataset with train/valid/test folders")
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--levels", type=int, default=6)
    parser.add_argument("--kernel", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    scores: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in options.seeds:
        for precision in PRECISIONS:
            scores[precision].append(round(best_iou(precision, seed, options), 4))
            print(f"{precision}, seed {seed}: best validation IoU {scores[precision][-1]:.3f}", flush=True)
    spread = max(stdev(values) if len(values) > 1 else 0.0 for values in scores.values())
    difference = mean(scores["bf16"]) - mean(scores["32"])
    print(f"bf16 less fp32: {difference:+.3f}; standard deviation between seeds {spread:.3f}")
    setting = {
        name: getattr(options, name)
        for name in ("epochs", "size", "filters", "levels", "kernel", "learning_rate")
    }
    result = {
        "machine": machine_facts(options.threads),
        "setting": setting,
        "seeds": options.seeds,
        "best_val_iou": scores,
        "bf16_less_fp32": round(difference, 4),
        "sd_between_seeds": round(spread, 4),
    }
    print(save("precision", result))


if __name__ == "__main__":
    main()
