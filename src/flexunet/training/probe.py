"""A short try before a run: what an epoch will take, how much memory and disk, and what holds it up.

The probe trains a network of its own on batches of the first epoch, which depend on nothing but the seed, and
throws it away: the run that follows is the same as without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from lightning_fabric import Fabric
from torch import nn

from ..config.schema import TrainConfig
from ..data import Batch
from ..progress import duration
from .hardware import gradients_are_final
from .optim import OptimizerStep, build_optimizer
from .scored import Scored
from .teacher import Objective
from .validation import Batches

PROBE_SECONDS = 5.0
MOST_STEPS = 12
SLOW_STEP_SECONDS = 4.0
"""A first step that takes this long is measured itself: warming up is nothing beside it."""
BUDGET_SHARE = 0.96
"""Part of a time budget that is planned with; the rest is for saving and for what the probe cannot see."""


@dataclass(frozen=True)
class Estimate:
    """What the probe measured, for one process; times in seconds."""

    network_step: float
    """Forward, backward and step on a batch that is already there."""
    data_step: float
    """Until the loader, alone, has the next batch ready."""
    whole_step: float
    """Both together, as in training."""
    validation_step: float
    epoch: float
    memory_bytes: int | None
    """Peak memory of the process (CPU) or of the device; None where the system does not tell."""
    disk_bytes: int

    @property
    def bottleneck(self) -> str:
        """What an epoch waits for."""
        return "data" if self.data_step > self.network_step else "network"

    def describe(self, epochs: int) -> str:
        """Two lines for the user."""
        memory = f"{self.memory_bytes / 2**30:.1f} GiB memory" if self.memory_bytes else "memory unknown"
        return (
            f"Expected: {duration(self.epoch)} an epoch, {duration(self.epoch * epochs)} for {epochs} "
            f"epochs, {memory}, {self.disk_bytes / 2**20:.0f} MiB disk.\n"
            f"A step takes {self.whole_step * 1e3:.0f} ms (network alone {self.network_step * 1e3:.0f}, "
            f"data alone {self.data_step * 1e3:.0f}); the bottleneck is the {self.bottleneck}."
        )

    def epochs_within(self, minutes: float) -> int:
        """Epochs that fit into a budget, at least one."""
        return max(1, int(60 * minutes * BUDGET_SHARE / self.epoch))


def measure(
    build: Callable[[], nn.Module],
    batches: Batches,
    validation: Batches | None,
    train: TrainConfig,
    objective: Objective,
    fabric: Fabric,
    *,
    predicted_images: int = 0,
) -> Estimate:
    """Try a few steps on a network of its own. `predicted_images`: epoch pictures, counted as
    validation images.
    """
    network = build().train()
    optimizer_step = OptimizerStep(
        build_optimizer(network, train), train, gradients_final=gradients_are_final(fabric)
    )

    def step(batch: Batch) -> None:
        images = batch.images.to(fabric.device, memory_format=torch.channels_last)
        with fabric.autocast():
            logits = network(images)
        scored = Scored(logits, batch.labels.to(fabric.device), local=True)
        loss = objective(scored, images)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer_step.finish()
        _wait(fabric)

    batch = next(iter(batches.epoch(0)))
    network_step = _time_of(step, batch)
    data_step = _time_of_stream(batches, lambda _: None)
    whole_step = _time_of_stream(batches, step) if network_step < SLOW_STEP_SECONDS else network_step
    whole_step = max(whole_step, network_step, data_step)

    @torch.no_grad()
    def predict(batch: Batch) -> None:
        with fabric.autocast():
            network(batch.images.to(fabric.device, memory_format=torch.channels_last))
        _wait(fabric)

    network.eval()
    validation_step = _time_of(predict, batch)
    steps = 0.0
    if validation is not None:
        steps = min(validation.steps_per_epoch, train.validation_steps or validation.steps_per_epoch)
    steps += predicted_images / len(batch.ids)
    epoch = batches.steps_per_epoch * whole_step + steps * max(validation_step, data_step)
    memory = _peak_memory(fabric)
    return Estimate(
        network_step, data_step, whole_step, validation_step, epoch, memory, _disk_bytes(network, train)
    )


def _time_of(work: Callable[[Batch], None], batch: Batch) -> float:
    """Seconds of the work on one batch, after a first round of warming up."""
    started = time.perf_counter()
    work(batch)
    first = time.perf_counter() - started
    if first > SLOW_STEP_SECONDS:
        return first
    times: list[float] = []
    while sum(times) < PROBE_SECONDS / 4 and len(times) < MOST_STEPS:
        started = time.perf_counter()
        work(batch)
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def _time_of_stream(batches: Batches, work: Callable[[Batch], None]) -> float:
    """Mean seconds a batch of the loader running, after its first batch."""
    started = time.perf_counter()
    stream = batches.epoch(0)
    try:
        work(next(stream))
        first = time.perf_counter() - started
        started, count = time.perf_counter(), 0
        for batch in islice(stream, MOST_STEPS):
            work(batch)
            count += 1
            if time.perf_counter() - started > PROBE_SECONDS / 2:
                break
        return (time.perf_counter() - started) / count if count else first
    finally:
        if hasattr(stream, "close"):
            stream.close()


def _wait(fabric: Fabric) -> None:
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)


def _disk_bytes(network: nn.Module, train: TrainConfig) -> int:
    """Two models, and two states of weights, average and moments (one more while it is being written)."""
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    moments = 1 if train.optimizer == "sgd" else 2
    return int(weights) * (2 + 3 * (1 + moments + (train.ema > 0)))


def _peak_memory(fabric: Fabric) -> int | None:
    if fabric.device.type == "cuda":
        return torch.cuda.max_memory_allocated(fabric.device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else peak * 1024
