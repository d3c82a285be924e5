"""What the training loop costs over a bare PyTorch loop: same network, batches, loss, optimiser and average.

The bare loop does forward, loss, backward, clip, step and average. Ours adds Fabric, the running scores, the
check for a finite loss, seeds, progress, and whether to stop or save. Both run in turn, round by round, in
one process; compared is the least CPU time of each, which other programs on the machine disturb least.

    python benchmarks/bench_loop_overhead.py --size 128 --rounds 30
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from flexunet.classes import Classes
from flexunet.config import ResUNetConfig, TrainConfig
from flexunet.data import Batch
from flexunet.nets import build_network
from flexunet.training.hardware import build_fabric, choose_hardware, gradients_are_final
from flexunet.training.interrupts import StopRequest
from flexunet.training.loop import Run, train_epoch
from flexunet.training.losses import weighted_sum
from flexunet.training.optim import MovingAverage, OptimizerStep, build_optimizer, clip_gradients
from flexunet.training.reporter import Reporter
from flexunet.training.schedules import learning_rate
from flexunet.training.scored import Scored
from flexunet.training.state import Progress
from flexunet.training.teacher import objective
from machine import machine_facts

RESULT = Path(__file__).parent / "results" / "loop_overhead.json"


class InMemory:
    """The same batches every epoch."""

    def __init__(self, size: int, batch_size: int, steps: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.batches = [
            Batch(
                torch.randn(batch_size, 3, size, size, generator=generator),
                torch.randint(0, 2, (batch_size, size, size), generator=generator),
                tuple(f"s{step}-{index}" for index in range(batch_size)),
            )
            for step in range(steps)
        ]
        self.steps_per_epoch = steps

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """All batches from `first_step` on."""
        yield from self.batches[first_step:]


def build(train: TrainConfig) -> nn.Module:
    """The default network."""
    torch.manual_seed(train.seed)
    return build_network(ResUNetConfig(), 3, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def bare_loop(train: TrainConfig, batches: InMemory, bf16: bool) -> Callable[[], None]:
    """One epoch of the bare loop."""
    network = build(train)
    optimizer, average = build_optimizer(network, train), MovingAverage(network, train.ema)
    parameters, steps = list(network.parameters()), iter(range(10**9))

    def epoch() -> None:
        network.train()
        for batch in batches.epoch(0):
            step = next(steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(train, step, 10_000)
            images = batch.images.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(images)
            loss = weighted_sum(train.loss, Scored(logits, batch.labels))
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(parameters, train.clip_value, train.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update(step + 1)

    return epoch


def our_loop(train: TrainConfig, batches: InMemory) -> Callable[[], None]:
    """One epoch of the loop of `flexunet train`."""
    fabric = build_fabric(train, choose_hardware(train.accelerator, train.precision))
    network = build(train)
    optimizer, average = build_optimizer(network, train), MovingAverage(network, train.ema)
    wrapped, wrapped_optimizer = fabric.setup(network, optimizer)
    run = Run(
        train=train, classes=Classes(names=("a", "b"), colours=((0, 0, 0), (9, 9, 9))), fabric=fabric,
        raw=network, network=wrapped, optimizer=wrapped_optimizer,
        optimizer_step=OptimizerStep(wrapped_optimizer, train, gradients_final=gradients_are_final(fabric)),
        average=average, batches=batches, validation=None, weights=None,
        objective=objective(train, None, None), progress=Progress(), save_state=lambda: None,
        epoch_done=lambda run, best: None, enough=lambda: None, reporter=Reporter(show=False),
        stop=StopRequest(), how_to_resume="",
    )  # fmt: skip

    def epoch() -> None:
        run.progress.batch = 0
        train_epoch(run)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="auto", choices=("auto", "32", "bf16"))
    arguments = parser.parse_args()
    train = TrainConfig(precision=arguments.precision, accelerator="cpu", epochs=10_000)
    bf16 = choose_hardware("cpu", arguments.precision).precision == "bf16"
    batches = InMemory(arguments.size, arguments.batch_size, arguments.steps)
    loops = {"bare": bare_loop(train, batches, bf16), "ours": our_loop(train, batches)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(arguments.rounds + 1):
        for name, epoch in loops.items():
            started = time.process_time()
            epoch()
            if turn:  # the first round warms up
                times[name].append((time.process_time() - started) / arguments.steps)
    best = {name: min(values) for name, values in times.items()}
    result = {
        "cpu_seconds_a_step": best,
        "overhead": best["ours"] / best["bare"] - 1,
        "settings": vars(arguments),
        "machine": machine_facts(torch.get_num_threads()),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
