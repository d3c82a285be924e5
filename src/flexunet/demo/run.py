"""The whole chain on the procedural landscape: make, train, evaluate, predict, and show it in one picture."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import AugmentConfig, ClassConfig, Config, DataConfig, OutputConfig, ResUNetConfig, TrainConfig
from ..errors import OutputExistsError
from ..evaluation import Evaluation, evaluate
from ..files import write_text
from ..prediction import Predictor
from ..raster import open_raster, read_mask_picture, read_picture, write_labels_png, write_raster
from ..training import train
from ..views import Card, gallery
from .dataset import CLASSES, Counts, write_dataset
from .threshold import BestThreshold, best_threshold

SUMMARY = "demo.json"
SEED = 2024
SIZE_PX = 256


@dataclass(frozen=True)
class Demo:
    """What the demo leaves, and what came out."""

    dir: Path
    picture: Path
    model: Path
    iou: float
    f1: float
    threshold: BestThreshold
    seconds: dict[str, float]


def demo_config(folder: Path, *, epochs: int, size: int = SIZE_PX) -> Config:
    """A small network and a fixed number of epochs, so that two demos on one machine are the same.

    No flips and turns, neither in training nor at test: the light comes from the south-east in all scenes,
    and whether a form is a hollow or a mound shows by its shadow.
    """
    return Config(
        data=DataConfig(
            root=folder / "dataset",
            classes=tuple(
                ClassConfig(name=name, colour=colour)
                for name, colour in zip(CLASSES.names, CLASSES.colours, strict=True)
            ),
            size=(size, size),
        ),
        model=ResUNetConfig(widths=(16, 24, 48, 96, 128), depths=(1, 1, 2, 1)),
        train=TrainConfig(
            epochs=epochs, batch_size=4, learning_rate=4e-3, ema=0.99, seed=SEED, epoch_pictures=3
        ),
        augment=AugmentConfig(hflip=0, vflip=0, turns=False, rotation=20, scale=(0.8, 1.25), brightness=0.1),
        output=OutputConfig(dir=folder / "run"),
    )


def run_demo(
    out: Path,
    *,
    overwrite: bool = False,
    counts: Counts | None = None,
    epochs: int = 44,
    size: int = SIZE_PX,
    processes: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[str, int, int], None] | None = None,
    show: bool = False,
) -> Demo:
    """Makes the dataset, trains, evaluates, predicts; leaves all of it in `out`.

    Leaves `dataset/`, `run/` (model, log, curves), `evaluation/` (scores, confusion matrix, worst and best),
    `predictions/` (class PNGs, and class GeoTIFFs in the scenes' own grid), `demo.png` and `demo.json`.

    processes: makers of scenes side by side, as many as there are cores if left out. say: told what happens,
    in sentences. progress: told (stage, done, total). show: a progress bar while
    training.

    Raises:
        OutputExistsError: `out` is there, and `overwrite` is off or it is no demo's folder.
    """
    out = out.resolve()
    _claim(out, overwrite)
    seconds: dict[str, float] = {}

    with _timed(seconds, "making scenes"):
        counts = counts or Counts()
        say(f"Making {counts.total} scenes of {size}x{size} pixels.")
        write_dataset(
            out / "dataset", counts=counts, seed=SEED, size=size, processes=processes, progress=progress
        )
        test = out / "dataset" / "test"
        threshold = best_threshold(_read_scenes(test))

    with _timed(seconds, "training"):
        config = demo_config(out, epochs=epochs, size=size)
        say(f"Training a small network for {epochs} epochs on {counts.train} of them.")
        run = train(config, show=show)

    with _timed(seconds, "evaluating"):
        say(f"Evaluating and predicting the {counts.test} scenes that it has never seen.")
        predictor = Predictor.from_file(run.model)
        found = evaluate(predictor, config, "test", out / "evaluation")
        _predict(predictor, test, out / "predictions")
        landslide = found.scores["classes"][1]
        iou, f1 = (float(landslide[name] or 0) for name in ("iou", "f1"))
        title = (
            f"Held-out scenes: landslide IoU {iou:.2f}, best threshold {threshold.iou:.2f} "
            f"({threshold.feature}), brightness alone {threshold.brightness_iou:.2f}"
        )
        _draw(found, test, out / "predictions", out / "demo.png", title)

    demo = Demo(out, out / "demo.png", run.model, iou, f1, threshold, seconds)
    _write_summary(demo, counts, epochs)
    return demo


def _claim(out: Path, overwrite: bool) -> None:
    """Makes the folder and marks it as a demo's; nothing else is ever deleted."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not overwrite:
            raise OutputExistsError(
                f"{out} is already there. Choose another folder with --out, or allow it with --overwrite."
            )
        if not (out / SUMMARY).is_file():
            raise OutputExistsError(
                f"{out} was not made by the demo (it holds no {SUMMARY}): left alone. Choose another folder."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / SUMMARY, json.dumps({"finished": False}) + "\n")


class _timed:
    """Notes how long a block took."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] = round(time.perf_counter() - self._start, 1)


# ------------------------------------------------------------------------------------- scenes and predictions


def _names(split: Path) -> list[str]:
    return sorted(path.stem for path in (split / "images").glob("*.png"))


def _read_scene(split: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """RGB (H, W, 3) and labels (H, W) of a scene."""
    rgb = np.moveaxis(read_picture(split / "images" / f"{name}.png").pixels, 0, -1)
    labels = read_mask_picture(split / "masks" / f"{name}.png").bands[0]
    return rgb.astype(np.uint8), labels.astype(np.uint8)


def _read_scenes(split: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    for name in _names(split):
        yield _read_scene(split, name)


def _predict(predictor: Predictor, split: Path, folder: Path) -> None:
    """Class PNGs beside class GeoTIFFs that lie where their scene lies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _names(split):
        labels = predictor(split / "images" / f"{name}.png")
        write_labels_png(folder / f"{name}.png", labels, CLASSES.colours)
        with open_raster(split / "geotiff" / f"{name}.tif") as scene:
            write_raster(folder / f"{name}.tif", labels, scene.grid, colours=CLASSES.colours)


def _draw(found: Evaluation, split: Path, predictions: Path, path: Path, title: str) -> None:
    """Six scenes from good to bad, evenly spaced by their IoU, so that the picture flatters nobody."""
    scored = [(score, image.id) for image in found.per_image if (score := image.score(CLASSES)) is not None]
    ranked = sorted(scored, reverse=True)
    wanted = np.linspace(0.05, 0.85, 6) * (len(ranked) - 1)
    cards = []
    for score, name in (ranked[index] for index in sorted({round(place) for place in wanted})):
        rgb, truth = _read_scene(split, name)
        predicted = read_mask_picture(predictions / f"{name}.png").bands[0].astype(np.uint8)
        cards.append(Card(rgb, truth, predicted, f"{name}, IoU {score:.2f}"))
    gallery(cards, CLASSES, path, title=title, columns=2, panel_px=SIZE_PX)


def _write_summary(demo: Demo, counts: Counts, epochs: int) -> None:
    summary: dict[str, Any] = {
        "finished": True,
        "landslide": {"iou": demo.iou, "f1": demo.f1},
        "best_threshold": asdict(demo.threshold),
        "scenes": asdict(counts),
        "epochs": epochs,
        "seed": SEED,
        "seconds": demo.seconds,
        "versions": {"flexunet": version("flexunet"), "python": platform.python_version()},
        "machine": {"processor": platform.processor() or platform.machine(), "system": platform.system()},
    }
    write_text(demo.dir / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
