"""What the mean of several runs is worth: landslide IoU of each and of means of them, validation and test.

    python benchmarks/bench_ensemble.py \\
        --member a=runs/seeds/seed-1 --member b=runs/seeds/seed-2 --member r=runs/bijie \\
        --mean "two seeds=a,b" --mean "all=a,b,r" --work WORK/ensemble

Members are folders that `flexunet train` left. The first one's config says how all are evaluated. What the
validation split says is a little too good, as each member's epoch was chosen on it; the test split was not
looked at in training. `results/ensemble.json` keeps what it holds; what is given again is
measured again.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any, Literal

import flexunet as fx
from flexunet.modelfile import save_ensemble
from machine import RESULTS, machine_facts, save


def main() -> None:
    """Score the members on the test split, the means on both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--member", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--mean", action="append", default=[], metavar="NAME=MEMBER,MEMBER")
    parser.add_argument("--work", type=Path, default=Path("WORK/ensemble"))
    parser.add_argument("--score", nargs="*", metavar="NAME", help="members to score; left out: all")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folders = {name: Path(folder) for name, _, folder in (item.partition("=") for item in options.member)}
    config = fx.load_config(next(iter(folders.values())) / "config.toml")
    record: dict[str, Any] = {"members": {}, "means": {}}
    if (RESULTS / "ensemble.json").exists():
        record = json.loads((RESULTS / "ensemble.json").read_text(encoding="utf-8"))
    record["machine"] = machine_facts(1)
    for name, _, members in (item.partition("=") for item in options.mean):
        path = options.work / f"{name.replace(' ', '_')}.safetensors"
        path.unlink(missing_ok=True)
        chosen = members.split(",")
        save_ensemble(path, [folders[member] / "model.safetensors" for member in chosen])
        found = {split: scores(path, config, split) for split in ("valid", "test")}
        total = round(sum(minutes(folders[member]) for member in chosen), 1)
        record["means"][name] = {"members": chosen, "minutes": total, **found}
        print(name, record["means"][name], flush=True)
        save("ensemble", record)
    for name in folders if options.score is None else options.score:
        folder = folders[name]
        found = {"test": scores(folder / "model.safetensors", config, "test")}
        record["members"][name] = {"minutes": round(minutes(folder), 1), **found}
        print(name, record["members"][name], flush=True)
        save("ensemble", record)


def scores(model: Path, config: fx.Config, split: Literal["valid", "test"]) -> dict[str, float]:
    """Of the landslide class on the pictures that show one and on all, and false alarms on those without."""
    found = fx.evaluate(model, config, split).scores
    with_one = found["with_foreground"]["foreground"]
    return {
        **{key: round(with_one[key], 4) for key in ("iou", "precision", "recall")},
        "iou_all_images": round(found["foreground"]["iou"], 4),
        "false_alarms": found["without_foreground"]["images_with_false_alarm"],
        "empty_images": found["without_foreground"]["images"],
    }


def minutes(folder: Path) -> float:
    """Of all epochs of a run."""
    with (folder / "log.csv").open(encoding="utf-8", newline="") as rows:
        return sum(float(row["seconds"]) for row in csv.DictReader(rows)) / 60


if __name__ == "__main__":
    main()
