"""Recipes against each other on one dataset: the same training budget, the same seeds, the test split.

    python benchmarks/bench_recipes.py --root WORK/bijie --minutes 10 --seeds 3 --group encoders
    python benchmarks/bench_recipes.py --root WORK/bijie --minutes 60 --seeds 1 --recipe lite0_256 lite2_384
    python benchmarks/bench_recipes.py --root WORK/bijie --epochs 16 --recipe lite0_192
    python benchmarks/bench_recipes.py --config mars.toml --minutes 10 --group knowledge --name mars

Every run is recorded in `benchmarks/results/recipes_NAME.json` as soon as it is done, those that failed as
well; what is recorded is not run again, and a run that was cut off goes on where it was saved. At the end a
table: mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flexunet.config import Config, DataConfig, dump_toml, read_config
from machine import machine_facts

HERE = Path(__file__).resolve().parent
LITE = 'model.architecture="encoder-unet"'


def lite(number: int, size: int, *more: str) -> tuple[str, ...]:
    """EfficientNet-Lite `number` at `size` pixels."""
    return (LITE, f"model.encoder=efficientnet_lite{number}", f"data.size=[{size},{size}]", *more)


GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "quality": {
        **{name: (f"quality={name}",) for name in ("quick", "good", "best")},
        "quick_128": ("quality=quick", "data.size=[128,128]"),
    },
    "knowledge": {
        "imagenet": (LITE,),
        "random": (LITE, "model.weights=random"),
        "resunet": ("model={architecture='resunet'}",),
    },
    "encoders": {
        "lite0_128": lite(0, 128),
        "lite0_192": lite(0, 192),
        "lite0_256": lite(0, 256),
        "lite0_320": lite(0, 320),
        "lite0_384": lite(0, 384),
        "lite1_256": lite(1, 256),
        "lite1_384": lite(1, 384),
        "lite2_128": lite(2, 128),
        "lite2_192": lite(2, 192),
        "lite2_256": lite(2, 256),
        "lite2_384": lite(2, 384),
        "lite0_shallow_256": lite(0, 256, "model.decoder_widths=[96,48,32]"),
        "lite0_shallow_192": lite(0, 192, "model.decoder_widths=[96,48,32]"),
    },
    "decoders": {
        "narrow": lite(0, 256, "model.decoder_widths=[64,48,32,24]"),
        "wide": lite(0, 256, "model.decoder_widths=[192,96,64,48]"),
        "dropout": lite(0, 256, "model.dropout_rate=0.1"),
    },
    "rates": {
        "encoder_0.05": lite(0, 256, "train.encoder_rate=0.05"),
        "encoder_0.5": lite(0, 256, "train.encoder_rate=0.5"),
        "encoder_1": lite(0, 256, "train.encoder_rate=1"),
        "half": lite(0, 256, "train.learning_rate=1e-3"),
        "double": lite(0, 256, "train.learning_rate=4e-3"),
        "batch_8": lite(0, 256, "train.batch_size=8"),
        "no_ema": lite(0, 256, "train.ema=0"),
        "ema_0.99": lite(0, 256, "train.ema=0.99"),
        "decay_0.05": lite(0, 256, "train.weight_decay=0.05"),
    },
    "losses": {
        "crossentropy": lite(0, 256, "train.loss=categorical_crossentropy"),
        "lovasz": lite(
            0, 256, "train.loss=[{name='categorical_crossentropy'},{name='dice'},{name='lovasz',weight=0.5}]"
        ),
        "focal": lite(0, 256, "train.loss=[{name='focal'},{name='dice'}]"),
    },
    "augmentation": {
        "off": lite(0, 256, "augment.enabled=false"),
        "mild": lite(0, 256, "augment.scale=[0.8,1.25]", "augment.brightness=0.1", "augment.contrast=0.1"),
        "wide_scale": lite(0, 256, "augment.scale=[0.5,2.0]"),
        "strong_colour": lite(
            0, 256, "augment.brightness=0.4", "augment.contrast=0.4", "augment.colour=0.15",
            "augment.saturation=0.4",
        ),
    },
}  # fmt: skip


def main() -> None:
    arguments = parsed()
    out = HERE / "results" / f"recipes_{arguments.name}.json"
    recipes = chosen(arguments)
    record: dict[str, Any] = {"machine": machine_facts(os.cpu_count() or 1), "runs": {}}
    if out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
    for seed in range(
        arguments.first_seed, arguments.first_seed + arguments.seeds
    ):  # seed by seed, so that a first table is there early
        for name, settings in recipes.items():
            key = f"{name} seed {seed} {budget(arguments)}"
            if key in record["runs"]:
                continue
            run = arguments.work / arguments.name / key.replace(" ", "_")
            common = [*arguments.set, f"train.seed={seed}", f"output.dir={run.resolve()}", length(arguments)]
            if arguments.root:
                common.append(f"data.root={arguments.root.resolve()}")
            row = one_run(arguments, run, [*common, *settings])
            record["runs"][key] = {
                "recipe": name, "seed": seed, "budget": budget(arguments), "settings": settings, **row,
            }  # fmt: skip
            out.parent.mkdir(exist_ok=True)
            out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            print(key, {k: v for k, v in row.items() if k != "error"}, flush=True)
    print(table(list(record["runs"].values())))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=HERE.parent / "examples" / "bijie-pretrained.toml")
    parser.add_argument("--root", type=Path, help="dataset folder, in place of the config's")
    parser.add_argument("--work", type=Path, default=Path("WORK/recipes"), help="where runs go")
    parser.add_argument("--name", default="bijie", help="of the results file")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=10, help="wall-clock minutes of training a run")
    length.add_argument("--epochs", type=int, help="epochs of a run, where other work would eat its minutes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--split", default="test")
    parser.add_argument("--group", nargs="*", choices=GROUPS, default=[])
    parser.add_argument("--recipe", nargs="*", default=[])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every recipe")
    return parser.parse_args()


def chosen(arguments: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """The recipes named; all of them when none is."""
    every = {name: settings for group in GROUPS.values() for name, settings in group.items()}
    unknown = [name for name in arguments.recipe if name not in every]
    if unknown:
        raise SystemExit(f"no recipe {', '.join(unknown)}; there are {', '.join(every)}")
    names = [name for group in arguments.group for name in GROUPS[group]] + arguments.recipe
    return {name: every[name] for name in (names or every)}


def one_run(arguments: argparse.Namespace, run: Path, settings: list[str]) -> dict[str, Any]:
    """Train and score; a failure is a result too."""
    config = arguments.config
    if "quality" in " ".join(settings):
        config = without_recipe(config, arguments.work)
    words = [word for item in settings for word in ("--set", item)]
    going_on = ["--resume"] if (run / "state").is_dir() else ["--overwrite"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        flexunet("train", config, *going_on, *words)
        wall = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        flexunet("evaluate", run, "--split", arguments.split, "--out", run / "scores", "--overwrite")
    except subprocess.CalledProcessError as error:
        return {"error": error.stderr[-2000:]}
    scores = json.loads((run / "scores" / "scores.json").read_text(encoding="utf-8"))
    positive, empty = scores.get("with_foreground") or {}, scores.get("without_foreground") or {}
    return {
        "iou": positive.get("foreground", {}).get("iou"),
        "precision": positive.get("foreground", {}).get("precision"),
        "recall": positive.get("foreground", {}).get("recall"),
        "iou_all_images": scores["foreground"]["iou"],
        "false_alarm_share": empty.get("false_alarm_share"),
        "epochs": len((run / "log.csv").read_text(encoding="utf-8").splitlines()) - 1,
        "wall_minutes": round(wall / 60, 2),
        "cpu_minutes": round((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60, 2),
        "model_mb": round((run / "model.safetensors").stat().st_size / 1e6, 2),
    }


def without_recipe(config: Path, work: Path) -> Path:
    """The config's data but for the size, and nothing else, so that the dial decides the rest."""
    data = read_config(config).config.data
    active = {f"data.{name}" for name in DataConfig.model_fields if name != "size"}
    work.mkdir(parents=True, exist_ok=True)
    path = work / f"{config.stem}-data.toml"
    path.write_text(dump_toml(Config(data=data), active=active), encoding="utf-8")
    return path


def flexunet(*arguments: object) -> None:
    """Run a flexunet command; its last words are kept in the exception where it fails."""
    subprocess.run(
        [sys.executable, "-m", "flexunet", *map(str, arguments)], check=True, capture_output=True, text=True
    )


def budget(arguments: argparse.Namespace) -> str:
    return f"{arguments.epochs} epochs" if arguments.epochs else f"{arguments.minutes:g} min"


def length(arguments: argparse.Namespace) -> str:
    """The budget as a setting."""
    if arguments.epochs:
        return f"train.epochs={arguments.epochs}"
    return f"train.budget_minutes={arguments.minutes}"


def table(rows: list[dict[str, Any]]) -> str:
    """Recipes and budgets by CPU minutes (the clock's where unknown): mean and SD over the seeds."""
    lines = [
        f"{'CPU min':>7}  {'recipe':<20} {'budget':>10} {'IoU':>15} {'IoU, all':>15} {'false alarms':>12} "
        f"{'MB':>6} runs"
    ]
    found = []
    for name, recipe in dict.fromkeys((row["budget"], row["recipe"]) for row in rows):
        same = [row for row in rows if (row["budget"], row["recipe"]) == (name, recipe)]
        good = [row for row in same if row.get("iou") is not None]
        if not good:
            lines.append(f"{'':>7}  {recipe:<20} {name:>10} failed")
            continue
        alarms = [row["false_alarm_share"] for row in good if row["false_alarm_share"] is not None]
        alarm = statistics.mean(alarms) if alarms else float("nan")
        minutes = statistics.mean(row["cpu_minutes"] or row["wall_minutes"] for row in good)
        text = (
            f"{minutes:>7.1f}  {recipe:<20} {name:>10} {spread([row['iou'] for row in good]):>15} "
            f"{spread([row['iou_all_images'] for row in good]):>15} {alarm:>12.4f} "
            f"{good[0]['model_mb']:>6} {len(good)}"
        )
        found.append((minutes, text))
    return "\n".join([*lines, *(text for _, text in sorted(found))])


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


if __name__ == "__main__":
    main()
