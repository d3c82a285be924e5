"""One side of `bench_scene.py`, a process of its own: one JSON line on standard output.

scene_worker.py predict SCENE OUT --model MODEL|cheap    the scene route: seconds, tiles
scene_worker.py share SCENE OUT --model MODEL            the same, halted at times to time the network alone
scene_worker.py export MODEL FILE                        the network as TorchScript, for the peer, and a
                                                        model file of it without a threshold, for ours
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # both as the flexunet command does
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch
from torch import Tensor, nn

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import PredictConfig, ResUNetConfig
from flexunet.modelfile import InputRecord, ModelRecord, load_model, save_model
from flexunet.prediction import Predictor
from flexunet.prediction.compute import Precision
from flexunet.prediction.framing import Framing
from flexunet.prediction.scenes import SceneOptions, lanes, plan_scene, predict_scene, run
from flexunet.prediction.scenes.memory import parse_bytes
from flexunet.prediction.scenes.stream import Event, Tile
from flexunet.prediction.tta import ProbabilitiesOf

TILE_PX = 256


class Cheap(nn.Module):
    """Two classes by the brightness of 8 x 8 pixels: hardly any arithmetic, and areas as a map has them."""

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, 2, H, W)."""
        grey = nn.functional.avg_pool2d(images[:, 1:2], 8, ceil_mode=True)
        coarse = torch.cat([-grey, grey], 1)
        return nn.functional.interpolate(coarse, scale_factor=8.0)[..., : images.shape[2], : images.shape[3]]


def main() -> None:
    """Do the job that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=("predict", "share", "export"))
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--model", default="cheap")
    parser.add_argument("--precision", default="auto", choices=("auto", "32", "bf16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.job == "export":
        export(*options.paths)
        return
    predictor, halts = predictor_of(options.model, options.precision), Halts()
    if options.job == "share":
        run.through_network = halts.through_network
    result = predict(predictor, options)
    print(json.dumps(result | halts.facts() if options.job == "share" else result))


class Halts:
    """Times the network alone every few tiles, while the scene route around it is held up.

    Seconds apart, so that both sides meet the same machine, whatever else runs on it. The tiles on their way
    are finished first and the route's threads come to rest (the reader's queue is full, the writer's empty),
    which counts as the route's time.
    """

    EVERY, ALONE = 192, 48
    """Tiles between two halts, and those computed in each."""

    def __init__(self) -> None:
        self._tiles = 0
        self._seconds = self._away = 0.0

    def through_network(self, device: torch.device) -> lanes.Through:
        """The route's own way through the network, halted now and then."""
        through = lanes.through_network(device)

        def watched(
            events: Iterable[Event], call: ProbabilitiesOf, framing: Framing, count: int
        ) -> Iterator[Event]:
            def halting() -> Iterator[Event]:
                tiles = 0
                for event in events:
                    tiles += isinstance(event, Tile)
                    if isinstance(event, Tile) and tiles % self.EVERY == 0:
                        self._halt(lambda some: deque(through(some, call, framing, count), 0), event)
                    yield event

            return through(halting(), call, framing, count)

        return watched

    def facts(self) -> dict[str, float]:
        """Tiles of the network alone and the seconds they took, and how long the route stood still for it."""
        return {"alone_tiles": self._tiles, "alone_seconds": self._seconds, "halted_seconds": self._away}

    def _halt(self, compute: Callable[[list[Event]], object], tile: Tile) -> None:
        busy = 1.0
        while busy > 0.1:
            before = time.process_time()
            time.sleep(0.005)
            busy = (time.process_time() - before) / 0.005
        halted = time.perf_counter()
        compute([tile] * 4)  # the cores wake up
        started = time.perf_counter()
        compute([tile] * self.ALONE)
        ended = time.perf_counter()
        self._tiles += self.ALONE
        self._seconds += ended - started
        self._away += ended - halted


def predictor_of(model: str, precision: Precision) -> Predictor:
    """The model of a file, or the cheap one; tiles of one size in both."""
    settings = PredictConfig(tiling="tiled")
    if model != "cheap":
        loaded = load_model(Path(model))
        return Predictor(
            loaded.network, loaded.record, device="cpu", precision=precision, settings=settings, own=True
        )
    record = ModelRecord(
        model=ResUNetConfig(),
        classes=Classes(names=("dark", "bright"), colours=((0, 0, 0), (255, 255, 0))),
        bands=Bands(names=("red", "green", "blue"), dtype="uint8", mean=(90.0,) * 3, std=(50.0,) * 3),
        data=InputRecord(size=(TILE_PX, TILE_PX), sizing="crop"),
    )
    return Predictor(Cheap(), record, device="cpu", precision="32", settings=settings, own=True)


def predict(predictor: Predictor, options: argparse.Namespace) -> dict[str, float | str]:
    """Seconds from the first read to the last file, and the tiles of the scene."""
    scene, out = options.paths
    limit = parse_bytes(options.max_memory) if options.max_memory else None
    wishes = SceneOptions(overwrite=True, max_memory=limit)
    job = plan_scene(predictor, scene, wishes)
    result = predict_scene(predictor, scene, out, wishes, job=job)
    return {
        "seconds": result.seconds,
        "mpx": result.megapixels,
        "tiles": len(job.plan.grid),
        "arithmetic": str(predictor.compute),
    }


def export(model: Path, out: Path) -> None:
    """The network with its normalisation beside it, for an environment without this package; and as a model
    file whose classes are the most probable ones, as the peer's are.
    """
    loaded = load_model(model)
    bands, (height, width) = loaded.record.bands, loaded.record.data.size
    with torch.inference_mode():
        traced = torch.jit.trace(loaded.network, torch.zeros(1, len(bands), height, width))
    traced.save(str(out))
    facts = {"mean": bands.mean, "std": bands.std, "size": [height, width]}
    out.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    plain = loaded.record.model_copy(update={"calibration": None})
    save_model(out.with_suffix(".safetensors"), loaded.network, plain)


if __name__ == "__main__":
    main()
