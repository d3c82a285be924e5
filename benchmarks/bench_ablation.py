"""What helps on Bijie: one change at a time, three seeds a row, the same small network and epochs.

    python benchmarks/bench_ablation.py path/to/bijie --work WORK/ablation

Augmentation (all of it, none, only geometry, only values, more of it), images without landslides (none,
half, all, all of them twice) and `--merge-overlaps` (none, union, ignore). Every row is trained and validated
on its own variant of the split of `prepare` and tested on the same published masks; those about merged masks
on merged ones as well. Every Bijie picture is cut around its landslide (docs/leakage.md); how much of a row's
score is the frame shows its score on corners of the test pictures, three quarters of each edge, in which
nothing is centred. False alarms are counted on the images without landslides of valid and test: none of
them was trained on. Recorded in `benchmarks/results/ablation.json` after every run; what is recorded is not
run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench_recipes import flexunet, spread
from machine import machine_facts, save

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent / "examples" / "bijie-pretrained.toml"
PUBLISHED = "published"

NO_PARTS = 'augment.resized_crop="none"'
GEOMETRY_OFF = ("augment.hflip=0", "augment.vflip=0", "augment.turns=false", "augment.affine=0", NO_PARTS)
VALUES_OFF = ("augment.brightness=0", "augment.contrast=0", "augment.colour=0")

ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "default": (PUBLISHED, ()),
    "no augmentation": (PUBLISHED, ("augment.enabled=false",)),
    "geometry only": (PUBLISHED, VALUES_OFF),
    "values only": (PUBLISHED, GEOMETRY_OFF),
    "all frames kept": (PUBLISHED, ("augment.affine=0", NO_PARTS)),
    "half of the frames kept, no parts": (PUBLISHED, (NO_PARTS,)),
    "no frame kept, no parts": (PUBLISHED, ("augment.affine=1", NO_PARTS)),
    "and light, haze, blur, noise, JPEG": (
        PUBLISHED,
        (
            "augment.gamma={probability=0.3}", "augment.shadow={probability=0.2}",
            "augment.haze={probability=0.2}", "augment.blur={probability=0.2}",
            "augment.noise={probability=0.2}", "augment.jpeg={probability=0.2}",
        ),
    ),
    "and deformation, slant": (
        PUBLISHED,
        ("augment.deformation={probability=0.3}", "augment.perspective={probability=0.3}"),
    ),
    "and CutMix": (PUBLISHED, ("augment.mix={cutmix=0.3}",)),
    "no negatives": ("negatives_0", ()),
    "half of the negatives": ("negatives_half", ()),
    "negatives twice": ("negatives_twice", ()),
    "trained on unions": ("union", ()),
    "trained without disagreements": ("ignore", ("data.ignore_value=255",)),
}  # fmt: skip
"""Which variant of the dataset, and settings."""


def main() -> None:
    """Train what is missing, save after every run, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raw", type=Path, help="the Bijie folder as published")
    parser.add_argument("--work", type=Path, default=Path("WORK/ablation"))
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument(
        "--at-a-time",
        type=int,
        default=os.cpu_count(),
        help="runs side by side; small networks hardly use two threads",
    )
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // options.at_a_time))
    out = HERE / "results" / "ablation.json"
    setting = {"size": options.size, "epochs": options.epochs, "config": CONFIG.name}
    record: dict[str, Any] = {"machine": machine_facts(os.cpu_count() or 1), "setting": setting, "runs": {}}
    if out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
        if record["setting"] != setting:
            raise SystemExit(f"{out} is of {record['setting']}; move it away to measure {setting}")
    # seed by seed, so that a first table is there early
    wanted = [(name, seed) for seed in range(options.seeds) for name in options.rows]
    for variant in dict.fromkeys(["corners", "union", *(ROWS[name][0] for name in options.rows)]):
        dataset(variant, options)
    saving = threading.Lock()

    def add(name: str, seed: int) -> None:
        key = f"{name}, seed {seed}"
        if key in record["runs"]:
            return
        row = {"row": name, "seed": seed, **one_run(name, seed, options)}
        with saving:
            record["runs"][key] = row
            save("ablation", record)
        print(key, row, flush=True)

    with ThreadPoolExecutor(options.at_a_time) as pool:
        deque(pool.map(add, *zip(*wanted, strict=True)), 0)  # raises what went wrong
    print(table(list(record["runs"].values())))


def one_run(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score on published masks; about merged masks on those as well."""
    variant, settings = ROWS[name]
    root = dataset(variant, options)
    run = options.work / f"{name.replace(' ', '_').replace(',', '')}_{seed}"
    common = (
        f"data.root={root.resolve()}", f"data.size=[{options.size},{options.size}]",
        f"train.epochs={options.epochs}", f"train.seed={seed}", f"output.dir={run.resolve()}",
        "train.ema=0.99", "train.epoch_pictures=0",
    )  # fmt: skip
    words = [word for item in (*common, *settings) for word in ("--set", item)]
    started = time.monotonic()
    flexunet("train", CONFIG, "--overwrite", *words)
    seconds = time.monotonic() - started
    test = scores(run, "test", dataset(PUBLISHED, options))
    valid = scores(run, "valid", dataset(PUBLISHED, options))
    alarms = [split["without_foreground"] for split in (test, valid)]
    row = {
        "iou": test["with_foreground"]["foreground"]["iou"],
        "iou_all_images": test["foreground"]["iou"],
        "precision": test["with_foreground"]["foreground"]["precision"],
        "recall": test["with_foreground"]["foreground"]["recall"],
        "valid_iou": valid["with_foreground"]["foreground"]["iou"],
        "false_alarms": sum(part["images_with_false_alarm"] for part in alarms),
        "false_alarm_pixels": sum(part["false_alarm_pixels"] for part in alarms)
        / sum(part["pixels"] for part in alarms),
        "empty_images": sum(part["images"] for part in alarms),
        "train_seconds": round(seconds, 1),
    }
    corners = scores(run, "test", dataset("corners", options), "corners")
    row["iou_on_corners"] = corners["with_foreground"]["foreground"]["iou"]
    if name == "default" or variant in ("union", "ignore"):
        merged = scores(run, "test", dataset("union", options), "merged")
        row["iou_on_unions"] = merged["with_foreground"]["foreground"]["iou"]
    return row


def scores(run: Path, split: str, root: Path, name: str = "published") -> dict[str, Any]:
    """What `evaluate` says of a split of a dataset; none that is tested on has pixels without a label."""
    out = run / f"scores_{split}_{name}"
    words = ("--set", 'data.ignore_value="none"', "--out", out, "--overwrite")
    flexunet("evaluate", run, "--split", split, "--data", root, *words)
    found: dict[str, Any] = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    return found


def dataset(variant: str, options: argparse.Namespace) -> Path:
    """A variant of the split of `prepare`, made where it is missing, whole or not at all."""
    root: Path = options.work / "data" / variant
    if root.exists():
        return root
    if variant == PUBLISHED:
        flexunet("prepare", options.raw, root)
    elif variant in ("union", "ignore"):
        flexunet("prepare", options.raw, root, "--merge-overlaps", variant)
    else:
        published = dataset(PUBLISHED, options)
        with tempfile.TemporaryDirectory(dir=root.parent) as temporary:
            part = Path(temporary) / variant
            if variant == "corners":
                cut_windows(published, part, middle=False)
            else:
                shutil.copytree(published, part)
                change_negatives(variant, part / "train" / "negatives")
            part.rename(root)
    return root


def change_negatives(variant: str, folder: Path) -> None:
    """Leave out all or half of the images without landslides, or have each of them twice."""
    paths = sorted(folder.iterdir())
    if variant == "negatives_0":
        shutil.rmtree(folder)  # an empty one is a fault
    elif variant == "negatives_half":
        for path in paths[::2]:
            path.unlink()
    else:
        for path in paths:
            shutil.copy(path, path.with_name(f"again_{path.name}"))


def cut_windows(source: Path, root: Path, *, middle: bool) -> None:
    """The test split, three quarters of both edges of each picture: its middle, or a corner by chance."""
    random = np.random.default_rng(7)
    for folder in ("images", "masks", "negatives"):
        (root / "test" / folder).mkdir(parents=True)
    test = source / "test"
    pictures = [*sorted((test / "images").iterdir()), *sorted((test / "negatives").iterdir())]
    for picture in pictures:
        down, across = (0.5, 0.5) if middle else random.integers(2, size=2)
        for path in (picture, *(test / "masks").glob(f"{picture.stem}.*")):
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            height, width = (3 * edge // 4 for edge in pixels.shape[:2])
            top, left = int(down * (pixels.shape[0] - height)), int(across * (pixels.shape[1] - width))
            window = pixels[top : top + height, left : left + width]
            cv2.imwrite(str(root / "test" / path.parent.name / f"{path.stem}.png"), window)


def table(rows: list[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds, and the mean gain over the default with the same seeds."""
    default = {row["seed"]: row["iou"] for row in rows if row["row"] == "default"}
    lines = [
        f"{'row':<36} {'IoU':>15} {'gain':>17} {'on corners':>15} {'on unions':>15} {'alarms':>12} seeds"
    ]
    for name in ROWS:
        same = [row for row in rows if row["row"] == name]
        if not same:
            continue
        gains = [row["iou"] - default[row["seed"]] for row in same if row["seed"] in default]
        unions = [row["iou_on_unions"] for row in same if "iou_on_unions" in row]
        alarms = statistics.mean(row["false_alarms"] / row["empty_images"] for row in same)
        lines.append(
            f"{name:<36} {spread([row['iou'] for row in same]):>15} {spread(gains) if gains else '':>17} "
            f"{spread([row['iou_on_corners'] for row in same]):>15} "
            f"{spread(unions) if unions else '':>15} {alarms:>12.3f} {len(same)}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
