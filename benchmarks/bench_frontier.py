"""What an hour of a CPU buys: landslide IoU over training minutes, and over the speed of prediction.

    python benchmarks/bench_frontier.py --run "reference network=WORK/time_to_score/reference" \\
        --run "EfficientNet-Lite0=runs/bijie-pretrained" --run "ResUNet=runs/bijie"

Each run is a folder that `flexunet train` left. Its score is that of the test split at the masks' own
resolution, evaluated as its own config says and in one pass (where that was not done yet, it is now); its
minutes are those of all its epochs. Prediction is measured here, tile by tile on a picture of 1024 x 1024
pixels, the runs taking turns, without test-time augmentation and as the run's config says.
`results/frontier.json`, `.png`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from flexunet import Predictor
from flexunet.views.figure import SERIES, new_figure, save_figure, tidy
from machine import RESULTS, machine_facts, save

EDGE = 1024
ROUNDS = 3


def main() -> None:
    """Score, time, draw, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    folders = {name: Path(folder) for name, _, folder in (item.partition("=") for item in options.run)}
    rows = {name: facts(folder) for name, folder in folders.items()}
    for name, speed in speeds(folders, options.rounds).items():
        rows[name].update(speed)
        print(name, {key: value for key, value in rows[name].items() if key != "curve"}, flush=True)
    draw(rows, RESULTS / "frontier.png")
    print(save("frontier", {"machine": machine_facts(os.cpu_count() or 1), "runs": rows}))


def facts(folder: Path) -> dict[str, Any]:
    """Test scores, minutes, size and validation curve of one run."""
    scores = scores_of(folder, "frontier_scores")
    found = {"test_iou": landslide_iou(scores), "test_iou_all_images": scores["foreground"]["iou"]}
    found["test_iou_one_pass"] = found["test_iou"]
    if scores["prediction"]["tta"]:
        once = scores_of(folder, "frontier_scores_one_pass", "--set", "evaluate.tta=false")
        found["test_iou_one_pass"] = landslide_iou(once)
    with (folder / "log.csv").open(encoding="utf-8", newline="") as handle:
        log = list(csv.DictReader(handle))
    minutes = np.cumsum([float(row["seconds"]) for row in log]) / 60
    return {
        **found,
        "epochs": len(log),
        "training_minutes": round(float(minutes[-1]), 2),
        "model_mb": round((folder / "model.safetensors").stat().st_size / 1e6, 1),
        "curve": [
            (round(float(minute), 2), round(float(row["val_iou"] or 0), 4))
            for minute, row in zip(minutes, log, strict=True)
        ],
    }


def scores_of(folder: Path, out: str, *more: str) -> dict[str, Any]:
    """The scores of the test split in a folder of the run, evaluated if they are not there yet."""
    path = folder / out / "scores.json"
    if not path.exists():
        command = [
            sys.executable,
            "-m",
            "flexunet",
            "evaluate",
            str(folder),
            "--out",
            str(path.parent),
            *more,
        ]
        subprocess.run(command, check=True)
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return scores


def landslide_iou(scores: dict[str, Any]) -> float:
    """Of the pictures that show one."""
    return float(scores["with_foreground"]["foreground"]["iou"])


def speeds(folders: dict[str, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Median megapixels a second of each run's model, in tiles, the models taking turns."""
    picture = np.random.default_rng(1).integers(0, 255, (EDGE, EDGE, 3), np.uint8)
    models = {name: Predictor.from_file(folder / "model.safetensors") for name, folder in folders.items()}
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for name, model in models.items():
            ways = {"mpx_per_second": model.with_settings(tiling="tiled", tta=False)}
            if model.settings.tta:
                ways["mpx_per_second_tta"] = model.with_settings(tiling="tiled")
            for way, predictor in ways.items():
                started = time.perf_counter()
                predictor(picture)
                if turn:  # the first turn warms up
                    seconds.setdefault((name, way), []).append(time.perf_counter() - started)
    found: dict[str, dict[str, float]] = {name: {} for name in folders}
    for (name, way), values in seconds.items():
        found[name][way] = round(EDGE * EDGE / 1e6 / statistics.median(values), 4)
    return found


def draw(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Left: validation curves and test scores over minutes. Right: test scores over prediction speed."""
    figure = new_figure(12, 4.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (name, row) in enumerate(rows.items()):
        colour = SERIES[number % len(SERIES)]
        minutes, scores = zip(*row["curve"], strict=True)
        left.plot(minutes, scores, color=colour, linewidth=1, alpha=0.6)
        label = f"{name} ({row['model_mb']:g} MB)"
        left.plot(row["training_minutes"], row["test_iou"], "o", color=colour, label=label)
        right.plot(row["mpx_per_second"], row["test_iou_one_pass"], "o", color=colour)
        if "mpx_per_second_tta" in row:
            right.plot(row["mpx_per_second_tta"], row["test_iou"], "s", color=colour)
    left.set(xlabel="training minutes", ylabel="landslide IoU", xscale="log", ylim=(0, 1))
    left.set_title("lines: validation while training; dots: test", fontsize=9)
    right.set(xlabel="prediction, megapixels a second", xscale="log")
    right.set_title("test; dots: one pass; squares: mean of 8 turns and flips", fontsize=9)
    for axes in (left, right):
        tidy(axes)
    left.legend(fontsize=8, loc="upper left")
    save_figure(figure, path)


if __name__ == "__main__":
    main()
