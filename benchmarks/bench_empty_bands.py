"""Claim: bands without information do not hurt a network that starts from ImageNet weights.

The same recipe, steps and seeds on the colours of a prepared Bijie, and on the colours with three bands that
say nothing: a constant, white noise, and clouds of noise some 30 pixels wide. Landslide IoU on the test
pictures, three seeds each; and that of the networks of six bands once the three are cut off from them, which
says whether the bands make a difference, or only the course of the training.

    python benchmarks/bench_empty_bands.py --root WORK/bijie --work WORK/empty-bands

Recorded in `benchmarks/results/empty_bands.json` after every run; what is recorded is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

import flexunet as fx
from flexunet.modelfile import load_model, save_model
from flexunet.nets import EncoderUNet
from flexunet.nets.efficientnet_lite import EfficientNetLite
from flexunet.raster.picture import read_picture
from machine import RESULTS, machine_facts, save

CONFIG = Path(__file__).resolve().parents[1] / "examples" / "bijie-pretrained.toml"
COLOURS = ("red", "green", "blue")
EMPTY = ("constant", "noise", "clouds")


def main() -> None:
    """Write the datasets, train what is missing, compare, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="dataset with train/valid/test folders")
    parser.add_argument("--work", type=Path, default=Path("WORK/empty-bands"))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    out, setting = RESULTS / "empty_bands.json", {"size": options.size, "epochs": options.epochs}
    record: dict[str, Any] = {"machine": machine_facts(1), "setting": setting, "runs": {}}
    if out.exists():
        record = json.loads(out.read_text(encoding="utf-8"))
        if record["setting"] != setting:
            raise SystemExit(f"{out} is of {record['setting']}; move it away to measure {setting}")
    bands = {"colours": COLOURS, "colours and empty bands": COLOURS + EMPTY}
    for seed in range(options.seeds):
        for arm, names in bands.items():
            if f"{arm}, seed {seed}" not in record["runs"]:
                found = one_run(options, names, seed)
                record["runs"][f"{arm}, seed {seed}"] = {"arm": arm, "seed": seed, **found}
                save("empty_bands", record)
    for row in record["runs"].values():
        if row["arm"] != "colours" and "test_iou_cut_off" not in row:
            row["test_iou_cut_off"] = cut_off(options, row["seed"])
            save("empty_bands", record)
    for arm in bands:
        scores = [row["test_iou"] for row in record["runs"].values() if row["arm"] == arm]
        print(f"{arm:<26} test IoU {statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f}")


def one_run(options: argparse.Namespace, names: tuple[str, ...], seed: int) -> dict[str, float]:
    """Landslide IoU on validation and test pictures that show one."""
    config = config_of(options, names, seed)
    result = fx.train(config, overwrite=True)
    return {f"{split}_iou": landslide_iou(result.model, config, split) for split in ("valid", "test")}


def cut_off(options: argparse.Namespace, seed: int) -> float:
    """Test IoU of a network of six bands whose first layer no longer sees the last three."""
    config = config_of(options, COLOURS + EMPTY, seed)
    model = load_model(config.output.dir / "model.safetensors")
    assert isinstance(model.network, EncoderUNet)
    assert isinstance(model.network.encoder, EfficientNetLite)
    model.network.encoder.stem.conv.weight.data[:, len(COLOURS) :] = 0
    path = config.output.dir / "cut_off.safetensors"
    save_model(path, model.network, model.record)
    return landslide_iou(path, config, "test")


def landslide_iou(model: Path, config: fx.Config, split: Literal["valid", "test"]) -> float:
    """Pooled over the pictures that show one."""
    found: float = fx.evaluate(model, config, split).scores["with_foreground"]["foreground"]["iou"]
    return found


def config_of(options: argparse.Namespace, names: tuple[str, ...], seed: int) -> fx.Config:
    """The recipe on the bands of that name."""
    work = options.work.resolve()
    return fx.load_config(
        CONFIG,
        [
            f"data.root={dataset(options.root, work, names)}", f"data.band_names={json.dumps(names)}",
            f"data.size=[{options.size},{options.size}]", f"train.epochs={options.epochs}",
            f"train.seed={seed}", "train.ema=0.99", "train.epoch_pictures=0",
            f"output.dir={work / f'run-{len(names)}-{seed}'}",
        ],
    )  # fmt: skip


def dataset(root: Path, work: Path, names: tuple[str, ...]) -> Path:
    """The dataset with the bands of that name, as arrays; made once."""
    out = work / f"data-{len(names)}"
    if out.exists():
        return out
    half_done = work / f"data-{len(names)}.part"
    shutil.rmtree(half_done, ignore_errors=True)
    for number, source in enumerate(sorted(root.glob("*/*/*.png"))):
        target = half_done / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent.name == "masks":
            shutil.copy(source, target)
        else:
            colours = np.moveaxis(read_picture(source).pixels, 0, -1)
            np.save(target.with_suffix(".npy"), with_empty(colours, number)[..., : len(names)])
    half_done.rename(out)
    return out


def with_empty(colours: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    """uint8 (H, W, 3) to (H, W, 6)."""
    draw = np.random.default_rng(seed)
    shape = colours.shape[:2]
    clouds = gaussian_filter(draw.normal(size=shape), 15)
    clouds = 128 + 50 * (clouds - clouds.mean()) / max(clouds.std(), 1e-9)
    empty = [np.full(shape, 100), draw.integers(0, 256, shape), clouds.clip(0, 255)]
    return np.dstack([colours, *(band.astype(np.uint8) for band in empty)])


if __name__ == "__main__":
    main()
