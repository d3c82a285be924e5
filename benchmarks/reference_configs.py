"""Every config of the reference, byte for byte and at full size: one step, an evaluation, a prediction.

    python benchmarks/reference_configs.py ../shared/data/flexunet-configs

Lays out a project of small pictures around each config, then types what a user types: `flexunet train`,
`evaluate`, `predict` with the config's path and nothing else but one epoch of one step. Checks that the
outputs stand in the reference's places and writes `results/reference_configs.json`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine_facts, save

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from reference_project import build_project

ONE_STEP = (
    "--set",
    "train.epochs=1",
    "--set",
    "train.steps_per_epoch=1",
    "--set",
    "train.validation_steps=1",
)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("configs", type=Path, help="folder with *.config")
    rows: list[dict[str, Any]] = []
    for path in sorted(parser.parse_args().configs.glob("*.config")):
        rows.append(run(path))
        print(rows[-1], flush=True)
        save("reference_configs", {"machine": machine_facts(threads=2), "configs": rows})


def run(config_file: Path) -> dict[str, Any]:
    """Train one step, evaluate and predict: seconds of each, and expected files that are not there."""
    with tempfile.TemporaryDirectory() as folder:
        path = build_project(config_file, Path(folder))
        row: dict[str, Any] = {"config": config_file.name}
        for command in (("train", path, *ONE_STEP), ("evaluate", path), ("predict", path)):
            started = time.monotonic()
            words = [sys.executable, "-m", "flexunet", *map(str, command)]
            done = subprocess.run(words, capture_output=True, text=True)
            row[command[0]] = {"exit": done.returncode, "seconds": round(time.monotonic() - started, 1)}
            if done.returncode:
                row[command[0]]["said"] = (done.stdout + done.stderr)[-1000:]
        row["missing"] = missing(path.parent)
        return row


def missing(project: Path) -> list[str]:
    """Outputs of SPEC section 5 and 6 that are not there."""
    expected = (
        "models/best_model.safetensors",
        "models/train_eval_infer.config",
        "eval/train_losses.csv",
        "eval/train_losses.png",
        "eval/train_metrics.csv",
        "eval/train_metrics.png",
        "history.json",
        "evaluation.csv",
    )
    return [name for name in expected if not (project / name).is_file()]


if __name__ == "__main__":
    main()
