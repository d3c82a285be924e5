"""One side of `bench_scene.py`, a process of its own: one JSON line on standard output.

scene_worker.py predict SCENE OUT --model MODEL|cheap    the scene route: seconds, tiles
scene_worker.py network --model MODEL|cheap              the network alone: tiles a second
scene_worker.py export MODEL FILE                        the network as TorchScript, for the peer
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch
from torch import Tensor, nn

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import PredictConfig, ResUNetConfig
from flexunet.modelfile import InputRecord, ModelRecord, load_model
from flexunet.prediction import Predictor
from flexunet.prediction.compute import Precision
from flexunet.prediction.scenes import SceneOptions, plan_scene, predict_scene
from flexunet.prediction.scenes.memory import parse_bytes

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
    parser.add_argument("job", choices=("predict", "network", "export"))
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--model", default="cheap")
    parser.add_argument("--precision", default="auto", choices=("auto", "32", "bf16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--max-memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.job == "export":
        export(*options.paths)
        return
    predictor = predictor_of(options.model, options.precision)
    result = predict(predictor, options) if options.job == "predict" else network(predictor, options.seconds)
    print(json.dumps(result))


def predictor_of(model: str, precision: Precision) -> Predictor:
    """The model of a file, or the cheap one; tiles of one size in both."""
    settings = PredictConfig(tiling="tiled")
    if model != "cheap":
        return Predictor.from_file(Path(model), device="cpu", precision=precision, settings=settings)
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


def network(predictor: Predictor, seconds: float) -> dict[str, float | str]:
    """How fast the network alone is on batches that are ready in memory."""
    batch = predictor.settings.batch_size
    height, width = predictor.record.data.size
    images = torch.randn(batch, len(predictor.record.bands), height, width)
    call = predictor.network_probabilities
    call(images)
    tiles, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        tiles += len(call(images))
    return {"tiles_per_s": tiles / (time.perf_counter() - started), "arithmetic": str(predictor.compute)}


def export(model: Path, out: Path) -> None:
    """The network with its normalisation beside it, for an environment without this package."""
    loaded = load_model(model)
    bands, (height, width) = loaded.record.bands, loaded.record.data.size
    with torch.inference_mode():
        traced = torch.jit.trace(loaded.network, torch.zeros(1, len(bands), height, width))
    traced.save(str(out))
    facts = {"mean": bands.mean, "std": bands.std, "size": [height, width]}
    out.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
