"""What the frame of a dataset is worth: runs on the test pictures as they are, and on corners of them.

    python benchmarks/bench_frame.py --root WORK/bijie --run framed=RUN --run shifted=RUN

Every Bijie picture is cut around its landslide. A corner, three quarters of each edge and drawn by chance,
shows the same ground with nothing in the middle: what a model loses there it had from the frame, not from the
slope. The middle of each picture, as large, shows what the larger scale alone costs. Flips and turns at test
time in all of them. Saved as `benchmarks/results/frame.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench_ablation import cut_windows, scores
from machine import machine_facts, save


def main() -> None:
    """Score every run three times, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="dataset with train/valid/test folders")
    parser.add_argument("--run", action="append", required=True, metavar="NAME=RUN")
    options = parser.parse_args()
    runs = dict(run.split("=", 1) for run in options.run)
    result: dict[str, Any] = {"machine": machine_facts(1), "runs": {}}
    with tempfile.TemporaryDirectory() as temporary:
        cut_windows(options.root, Path(temporary) / "middles", middle=True)
        cut_windows(options.root, Path(temporary) / "corners", middle=False)
        for name, run in runs.items():
            found = {"pictures": scores(Path(run), "test", options.root, "published")}
            for where in ("middles", "corners"):
                found[where] = scores(Path(run), "test", Path(temporary) / where, where)
            result["runs"][name] = {where: facts(said) for where, said in found.items()}
            print(name, result["runs"][name], flush=True)
    print(save("frame", result))


def facts(said: dict[str, Any]) -> dict[str, float]:
    """IoU, precision, recall on pictures with landslides, and false alarms on those without."""
    positive = said["with_foreground"]["foreground"]
    return {
        **{name: round(positive[name], 4) for name in ("iou", "precision", "recall")},
        "iou_all_images": round(said["foreground"]["iou"], 4),
        "false_alarms": said["without_foreground"]["images_with_false_alarm"],
        "empty_images": said["without_foreground"]["images"],
    }


if __name__ == "__main__":
    main()
