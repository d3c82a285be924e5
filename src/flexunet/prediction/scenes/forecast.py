"""What a scene will take, said before it begins."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..predictor import Predictor
from .job import SceneJob
from .lanes import lanes_here, through_network
from .plan import ScenePlan
from .stream import Tile

WORTH_MEASURING = 24
"""A scene of fewer tiles is done before a measurement would be."""


@dataclass(frozen=True)
class Forecast:
    """Tiles, size, time, memory and disk of a job."""

    tiles: int
    megapixels: float
    seconds: float | None
    """Of the network alone, on tiles that all hold data; None where it was not worth measuring."""
    memory_bytes: int
    """Of each process that computes."""
    disk_bytes: int
    """Uncompressed, all that lies there at once: class maps usually take a tenth of it."""
    free_bytes: int
    workers: int | None = None
    """Of a cluster; None without one."""

    def __str__(self) -> str:
        took = f"about {duration(self.seconds)}, " if self.seconds is not None else ""
        each = ""
        if self.workers is not None:
            crew = "1 worker" if self.workers == 1 else f"{self.workers} workers"
            took = f"about {duration(self.seconds)} on {crew}, " if self.seconds is not None else f"{crew}, "
            each = " each"
        text = (
            f"{self.megapixels:.1f} Mpx in {self.tiles} {'tile' if self.tiles == 1 else 'tiles'}: {took}"
            f"{size(self.memory_bytes)} of memory{each}, at most {size(self.disk_bytes)} on disk"
        )
        if self.disk_bytes > self.free_bytes:
            text += f" ({size(self.free_bytes)} are free)"
        return text


def forecast(
    job: SceneJob, predictor: Predictor, out: Path, workers: Mapping[str, int] | None = None
) -> Forecast:
    """The forecast of a job whose results go to `out`; the network runs twice on empty tiles.

    `workers`: those of a cluster, CPU threads by name. Each of their threads is taken to be as fast as one
    here, and every part to be computed alone.
    """
    tiles = tiles_of(job.plan) if workers is None else sum(map(job.plan.tiles, job.plan.parts))
    seconds = None
    if tiles >= WORTH_MEASURING and (workers is None or workers):
        seconds = _seconds_per_tile(job, predictor) * tiles
        if workers is not None:
            seconds *= torch.get_num_threads() / sum(workers.values())
    place = next(folder for folder in (out.parent, *out.absolute().parents) if folder.exists())
    return Forecast(
        tiles,
        job.megapixels,
        seconds,
        job.expected_bytes,
        job.disk_bytes,
        shutil.disk_usage(place).free,
        None if workers is None else len(workers),
    )


def tiles_of(plan: ScenePlan) -> int:
    """How many tiles are computed when all is done in one go."""
    panels = {part.col: part for part in plan.parts}
    return sum(len(plan.tile_cols(part)) for part in panels.values()) * len(plan.grid.rows)


def size(count: int) -> str:
    """`3.2 GB`, `47 MB` or `0.2 MB`."""
    if count >= 999_500_000:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 9_950_000 else f"{count / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h` or `2.1 days`."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{1 if name == 'h' else 0}f} {name}"
    return f"{seconds / 86400:.1f} days"


def _seconds_per_tile(job: SceneJob, predictor: Predictor) -> float:
    """Of the second of two passes, as many tiles at a time as will be."""
    grid, squeezed = job.framing.grid, job.framing.squeezed
    size = squeezed[0] if squeezed else (grid.rows[0].length, grid.cols[0].length)
    empty = np.zeros((sum(len(bands) for bands in job.framing.inputs), *size), np.float32)
    device = predictor.compute.device
    at_a_time = min(job.batch_size, lanes_here()) if device.type == "cpu" else job.batch_size
    tiles = [Tile(0, 0, empty)] * at_a_time
    call, through = predictor.probabilities_of(job.tta), through_network(device)
    for _ in range(2):
        started = time.perf_counter()
        deque(through(tiles, call, job.framing, job.batch_size), maxlen=0)
    return (time.perf_counter() - started) / len(tiles)
