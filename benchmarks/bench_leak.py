"""The size of the lie: the reference's way of preparing against an honest one, on the same real images.

    python benchmarks/bench_leak.py --source ../shared/data/bijie --work WORK/leak [--seeds 3] [--epochs 12]

`prepare` divides the Bijie landslide images by source and distorts those of its train split (shorter edge
512, three strengths). Its test split is seen by no training: the unseen slopes. Of its train split come

leaking     images and distorted copies divided by file, 80/15/5, as the reference does it;
honest      divided by source, 80/15/5, then distorted copies of train alone;
misaligned  honest, but masks of distorted copies went through other fields than their images, as in the
            reference;
plain       honest without distorted copies.

`check` counts the leaks. The same small network is trained on each for the same number of steps, without
online augmentation (as the reference's projects do it), and scored on its own test files and on the unseen
slopes. What is there already is not made again; the results file is written after every run.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flexunet import train
from flexunet.check import Check, check
from flexunet.config import Config, load_config
from flexunet.evaluation import evaluate
from flexunet.prepare import prepare
from flexunet.prepare.split import split_groups
from machine import RESULTS, machine_facts, save

ARMS = ("leaking", "honest", "misaligned", "plain")
STRENGTHS = (0.01, 0.02, 0.03)
DISTORTED = re.compile(r"distorted_(?P<strength>[\d.]+)_rsigma[\d.]+_sigma[\d.]+_(?P<parent>.+)")
REFERENCE_SHARES = (0.80, 0.15)  # train, valid; the rest is test
REFERENCE_SEED = 137
OTHER_FIELDS = 138
"""Seed of the fields that misaligned masks go through."""


def main() -> None:
    arguments = parsed()
    work: Path = arguments.work.resolve()
    datasets(arguments.source, work, arguments.images)
    path = RESULTS / f"{arguments.name}.json"
    result: dict[str, Any] = {"machine": machine_facts(1), "setting": setting(arguments), "runs": {}}
    if path.exists() and not arguments.no_save:
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["setting"] != result["setting"]:
            raise SystemExit(f"{path} was made with other settings; give another --name.")
        result = before
    result["files"] = {arm: counted(work / arm) for arm in ARMS}
    result["unseen_images"] = len(list((work / "unseen/test/images").iterdir()))
    result["mask_iou_misaligned"] = misalignment(work)
    for seed in range(1, arguments.seeds + 1):
        for arm in arguments.arms:
            key = f"{arm} {seed}"
            if key not in result["runs"]:
                result["runs"][key] = one_run(work, arm, seed, arguments)
                keep(result, arguments)
                print(key, result["runs"][key], flush=True)
    if "check" not in result and not arguments.skip_check:
        result["check"] = {arm: leaks(check(work / arm)) for arm in ("leaking", "honest")}
        keep(result, arguments)
    if result["runs"]:
        result["summary"] = summary(result["runs"])
        keep(result, arguments)
        if not arguments.no_save:
            draw(path.with_suffix(".png"), result, work)
    print(json.dumps({name: result.get(name) for name in ("check", "summary")}, indent=1))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, required=True, help="the Bijie tree")
    parser.add_argument("--work", type=Path, default=Path("WORK/leak"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--images", type=int, help="only so many images of the train split")
    parser.add_argument("--name", default="leak", help="of the results file")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS[:3])
    parser.add_argument("--skip-check", action="store_true")
    parser.add_argument("--no-save", action="store_true", help="print only")
    return parser.parse_args()


def setting(arguments: argparse.Namespace) -> dict[str, Any]:
    """What decides the scores."""
    return {
        "epochs": arguments.epochs, "size": arguments.size, "images": arguments.images or "all",
        "widths": list(WIDTHS), "depths": list(DEPTHS), "batch_size": BATCH,
    }  # fmt: skip


def keep(result: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    if not arguments.no_save:
        save(arguments.name, dict(result))


# ------------------------------------------------------------------------------------- the datasets


def datasets(source: Path, work: Path, images: int | None) -> None:
    """Makes what is missing."""
    work.mkdir(parents=True, exist_ok=True)
    raw = work / "raw"
    if not raw.exists():
        growing = work / "raw.partial"
        shutil.rmtree(growing, ignore_errors=True)
        for kind in ("image", "mask"):
            shutil.copytree(source / "landslide" / kind, growing / "landslide" / kind)
        growing.rename(raw)
    distortion = f"distortion:distortions={','.join(map(str, STRENGTHS))}"
    options: dict[str, Any] = {"min_side": 512, "masks": "index", "augment": (distortion,), "workers": 1}
    if not (work / "base").exists():
        prepare(raw, work / "base", **options)
    items = json.loads((work / "base/manifest.json").read_text(encoding="utf-8"))["items"]
    originals = [item for item in items if "parent" not in item]
    if not (work / "other_fields").exists():
        lists = work / "division.csv"
        with lists.open("w", newline="", encoding="utf-8") as file:
            rows = sorted((item["id"], item["split"]) for item in originals)
            csv.writer(file).writerows([("id", "split"), *rows])
        prepare(raw, work / "other_fields", splits=lists, overlaps=False, seed=OTHER_FIELDS, **options)
    groups = some({item["id"]: item["group"] for item in originals if item["split"] == "train"}, images)
    if not (work / "leaking").exists():
        divide_by_file(work / "base", set(groups), work / "leaking")
    if not (work / "honest").exists():
        divide_by_source(work / "base", groups, work / "honest")
    if not (work / "misaligned").exists():
        cross(work / "honest", work / "other_fields", work / "misaligned")
    if not (work / "unseen").exists():
        only_test(work / "base", work / "unseen")
    if not (work / "plain").exists():
        without_copies(work / "honest", work / "plain")


def some(groups: dict[str, str], count: int | None) -> dict[str, str]:
    """The first groups of a seeded order that hold `count` pictures; all of them where it is None."""
    order = sorted(set(groups.values()))
    random.Random(REFERENCE_SEED).shuffle(order)
    chosen: dict[str, str] = {}
    for group in order:
        if count is not None and len(chosen) >= count:
            break
        chosen |= {name: own for name, own in groups.items() if own == group}
    return chosen


def source_of(path: Path) -> str:
    """The id of the picture that a file shows."""
    match = DISTORTED.fullmatch(path.stem)
    return match["parent"] if match else path.stem


def divide_by_file(base: Path, chosen: set[str], target: Path) -> None:
    """The reference's split: all files of the distorted folder, shuffled, 80 / 15 / 5 %."""
    names = sorted(path.name for path in (base / "train/images").iterdir() if source_of(path) in chosen)
    random.Random(REFERENCE_SEED).shuffle(names)
    first, second = (int(share * len(names)) for share in REFERENCE_SHARES)
    parts = {"train": names[:first], "valid": names[first : first + second], "test": names[first + second :]}
    with folder_in_one(target, base) as growing:
        for split, members in parts.items():
            for name in members:
                for kind in ("images", "masks"):
                    link(base / "train" / kind / name, growing / split / kind / name)


def divide_by_source(base: Path, groups: Mapping[str, str], target: Path) -> None:
    """The same shares of the pictures, groups kept together; distorted copies in train alone."""
    train, valid = REFERENCE_SHARES
    splits = split_groups(
        groups, dict.fromkeys(groups, ""), (train, valid, 1 - train - valid), REFERENCE_SEED
    )
    with folder_in_one(target, base) as growing:
        for path in sorted((base / "train/images").iterdir()):
            split = splits.get(source_of(path))
            if split is None or (split != "train" and DISTORTED.fullmatch(path.stem)):
                continue
            for kind in ("images", "masks"):
                link(base / "train" / kind / path.name, growing / split / kind / path.name)


def cross(honest: Path, other: Path, target: Path) -> None:
    """Honest images, with the masks of distorted ones from other fields."""
    with folder_in_one(target, honest) as growing:
        for path in pictures_of(honest):
            place = path.relative_to(honest)
            foreign = DISTORTED.fullmatch(path.stem) and path.parent.name == "masks"
            link((other if foreign else honest) / place, growing / place)


def without_copies(honest: Path, target: Path) -> None:
    with folder_in_one(target, honest) as growing:
        for path in pictures_of(honest):
            if not DISTORTED.fullmatch(path.stem):
                link(path, growing / path.relative_to(honest))


def only_test(base: Path, target: Path) -> None:
    """The unseen slopes alone: beside them lies nothing that a verdict on leakage would have to read."""
    with folder_in_one(target, base) as growing:
        for path in sorted((base / "test").glob("*/*.png")):
            link(path, growing / path.relative_to(base))


def pictures_of(dataset: Path) -> list[Path]:
    """Images and masks, without the data cache."""
    return [
        path for split in ("train", "valid", "test") for path in sorted((dataset / split).glob("*/*.png"))
    ]


class folder_in_one:
    """A dataset folder that is there whole or not at all, with the `data.toml` of another one."""

    def __init__(self, target: Path, like: Path) -> None:
        self.target, self.like = target, like
        self.growing = target.with_name(f"{target.name}.partial")

    def __enter__(self) -> Path:
        shutil.rmtree(self.growing, ignore_errors=True)
        self.growing.mkdir()
        text = (self.like / "data.toml").read_text(encoding="utf-8").partition("\n[data.train]")[0]
        if 'root = "."' not in text:
            text = f'{text}\nroot = "."\n'
        (self.growing / "data.toml").write_text(text, encoding="utf-8")
        return self.growing

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.growing.rename(self.target)


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def counted(dataset: Path) -> dict[str, int]:
    return {split: len(list((dataset / split / "images").iterdir())) for split in ("train", "valid", "test")}


def misalignment(work: Path) -> dict[str, float]:
    """Mean IoU of the masks that fit their images with those that were written, by strength."""
    found: dict[str, list[float]] = {}
    for path in sorted((work / "honest/train/masks").iterdir()):
        match = DISTORTED.fullmatch(path.stem)
        if match is not None:
            one, two = (
                cv2.imread(str(work / arm / "train/masks" / path.name), cv2.IMREAD_UNCHANGED) == 1
                for arm in ("honest", "misaligned")
            )
            found.setdefault(match["strength"], []).append(
                float((one & two).sum() / max((one | two).sum(), 1))
            )
    return {strength: round(mean(values), 4) for strength, values in sorted(found.items())}


def leaks(found: Check) -> dict[str, Any]:
    """What `check` says, and how many files of each split it saw to have a relative in train."""
    split = [item.member.split for item in found.facts]
    files = Counter(split)
    related: dict[str, set[int]] = {"valid": set(), "test": set()}
    reasons: Counter[str] = Counter()
    for leak in found.leaks:
        reasons[leak.reason] += 1
        for one, other in ((leak.first, leak.second), (leak.second, leak.first)):
            if split[one] in related and split[other] == "train":
                related[split[one]].add(one)
    return {
        "pairs_across_splits": len(found.leaks),
        "pairs_by_reason": dict(reasons),
        **{
            f"{name}_files_with_a_relative_in_train": [len(ones), files[name]]
            for name, ones in related.items()
        },
    }


# ----------------------------------------------------------------------------------------- the runs

WIDTHS = (8, 16, 32, 64, 96)
DEPTHS = (1, 1, 1, 1)
BATCH = 16


def config_of(work: Path, arm: str, seed: int, arguments: argparse.Namespace) -> Config:
    """The same small network for all, without online augmentation."""
    steps = arguments.epochs * (counted(work / "leaking")["train"] // BATCH)
    own_epoch = max(1, counted(work / arm)["train"] // BATCH)
    return load_config(
        work / arm / "data.toml",
        [
            f"data.size=[{arguments.size}, {arguments.size}]",
            f"model={{architecture='resunet', widths={list(WIDTHS)}, depths={list(DEPTHS)}}}",
            "augment.enabled=false",
            f"train.epochs={max(1, round(steps / own_epoch))}",
            f"train.batch_size={BATCH}",
            f"train.seed={seed}",
            "train.ema=0.98",  # the runs are short
            "train.threads=1",
            "train.epoch_pictures=0",
            f"output.dir={work / 'runs' / f'{arm}-{seed}'}",
        ],
    )


def one_run(work: Path, arm: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains, and scores on the own test files and on the unseen slopes."""
    config = config_of(work, arm, seed, arguments)
    folder = work / "runs" / f"{arm}-{seed}"
    log = folder / "log.csv"
    if not log.exists() or len(log.read_text(encoding="utf-8").splitlines()) <= config.train.epochs:
        train(config, resume=(folder / "state").is_dir(), show=True)
    rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))
    row: dict[str, Any] = {
        "epochs": len(rows),
        "best_val_iou": round(max(float(r["val_iou"] or 0) for r in rows), 4),
        "minutes": round(sum(float(r["seconds"]) for r in rows) / 60, 1) if "seconds" in rows[0] else None,
    }
    for name, data in (("own", work / arm), ("unseen", work / "unseen")):
        held = load_config(data / "data.toml", [f"data.size=[{arguments.size}, {arguments.size}]"])
        scores = evaluate(folder / "model.safetensors", held, "test").scores
        row[f"{name}_test_iou"] = round(scores["foreground"]["iou"], 4)
        row[f"{name}_test_f1"] = round(scores["foreground"]["f1"], 4)
    return row


def summary(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds."""
    told: dict[str, Any] = {}
    for arm in dict.fromkeys(key.split()[0] for key in runs):
        rows = [row for key, row in runs.items() if key.split()[0] == arm]
        told[arm] = {"seeds": len(rows)}
        for name in ("best_val_iou", "own_test_iou", "unseen_test_iou", "own_test_f1", "unseen_test_f1"):
            values = [row[name] for row in rows]
            told[arm][name] = [round(mean(values), 4), round(stdev(values), 4) if len(values) > 1 else None]
    return told


# -------------------------------------------------------------------------------------- the picture


def draw(path: Path, result: Mapping[str, Any], work: Path) -> None:
    """Scores of every seed, and a distorted image with the mask that fits and the one that was written."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    columns: list[tuple[str, str, str]] = [
        ("leaking", "own_test_iou", "leaking split:\nits own test files"),
        ("honest", "own_test_iou", "honest split:\nits own test files"),
        ("leaking", "unseen_test_iou", "leaking split:\nunseen slopes"),
        ("honest", "unseen_test_iou", "honest split:\nunseen slopes"),
        ("misaligned", "unseen_test_iou", "misaligned masks:\nunseen slopes"),
        ("plain", "unseen_test_iou", "no distortion:\nunseen slopes"),
    ]
    shown = [column for column in columns if column[0] in result["summary"]]
    for place, (arm, score, _) in enumerate(shown):
        values = [row[score] for key, row in result["runs"].items() if key.split()[0] == arm]
        colour = "tab:red" if (arm, score) == ("leaking", "own_test_iou") else "tab:blue"
        left.plot([place] * len(values), values, "o", color=colour, alpha=0.6)
        left.plot([place - 0.25, place + 0.25], [mean(values)] * 2, color=colour, linewidth=2)
        left.annotate(f"{mean(values):.3f}", (place, mean(values)), (14, 5), textcoords="offset points")
    left.set_xticks(range(len(shown)), [label for *_, label in shown], fontsize=8)
    left.set_xlim(-0.5, len(shown) - 0.4)
    left.set_ylim(0, 1)
    left.set_ylabel("landslide IoU")
    left.grid(axis="y", alpha=0.3)
    left.set_title("The same network and images; every seed a dot", fontsize=10)
    image, fitting, written, name = most_typical(work)
    right.imshow(image)
    right.contour(fitting, [0.5], colors=["white"], linewidths=1.6)
    right.contour(written, [0.5], colors=["red"], linewidths=1.6)
    right.set_title(f"{name}: the mask that fits (white),\nthe reference's way (red)", fontsize=9)
    right.set_axis_off()
    FigureCanvasAgg(figure).print_png(str(path))


def most_typical(work: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """The image of the largest strength whose masks agree about as well as in the middle of all."""
    found = []
    for path in sorted((work / "honest/train/masks").glob(f"distorted_{STRENGTHS[-1]}_*")):
        one, two = (
            cv2.imread(str(work / arm / "train/masks" / path.name), cv2.IMREAD_UNCHANGED) == 1
            for arm in ("honest", "misaligned")
        )
        found.append((float((one & two).sum() / max((one | two).sum(), 1)), path.name, one, two))
    found.sort(key=lambda entry: entry[:2])
    iou, name, one, two = found[len(found) // 2]
    image = cv2.imread(str(work / "honest/train/images" / name))[..., ::-1]
    return image, one, two, f"distortion {STRENGTHS[-1]}, IoU {iou:.2f}"


if __name__ == "__main__":
    main()
