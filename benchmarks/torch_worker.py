"""flexunet's side of `bench_train_step.py`: the training step and the prediction, by the product's own parts.

Speaks the same lines as `keras_worker.py`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the flexunet command does

import torch
from torch import nn

from flexunet.config.schema import FlexUNetConfig, LossTerm, TrainConfig
from flexunet.nets import build_network
from flexunet.prediction.compute import choose_compute
from flexunet.prediction.network_call import NetworkCall
from flexunet.training.losses import weighted_sum
from flexunet.training.optim import OptimizerStep, build_optimizer
from flexunet.training.scored import Scored


class TrainingStep:
    """Forward, categorical cross-entropy, backward, clip by value, Adam."""

    def __init__(self, network: nn.Module, setting: dict[str, int], bf16: bool) -> None:
        self.train = TrainConfig(
            optimizer="adam",
            learning_rate=7e-5,
            epsilon=1e-7,
            clip_value=0.5,
            clip_norm=None,
            loss=(LossTerm(name="categorical_crossentropy"),),
        )
        self.bf16 = bf16
        self.network = network.train()
        self.optimizer_step = OptimizerStep(
            build_optimizer(network, self.train), self.train, gradients_final=True
        )
        self.images = random_images(setting)
        self.labels = torch.randint(0, 2, (setting["batch"], setting["size"], setting["size"]))

    def __call__(self) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            scored = Scored(self.network(self.images), self.labels)
        loss = weighted_sum(self.train.loss, scored, None)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer_step.finish()
        return float(loss.detach())


class Prediction:
    """Images to class probabilities."""

    def __init__(self, network: nn.Module, setting: dict[str, int], bf16: bool) -> None:
        self.call = NetworkCall(network, choose_compute("cpu", "bf16" if bf16 else "32"), own=True)
        self.images = random_images(setting)

    def __call__(self) -> float:
        return float(self.call(self.images).mean())


def random_images(setting: dict[str, int]) -> torch.Tensor:
    """float32 (B, 3, size, size), 0 to 1."""
    images = torch.randint(0, 256, (setting["batch"], 3, setting["size"], setting["size"])).float() / 255
    return images.contiguous(memory_format=torch.channels_last)


def main() -> None:
    """Arguments: a JSON object; then one line with a number of repeats for each answer."""
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    torch.manual_seed(0)
    config = FlexUNetConfig(
        base_filters=setting["filters"],
        base_kernels=(setting["kernel"], setting["kernel"]),
        num_layers=setting["levels"],
        dropout_rate=0.04,
    )
    network = build_network(config, 3, 2)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    kind = TrainingStep if setting["job"] == "train" else Prediction
    work = kind(network, setting, setting["precision"] == "bf16")
    first = work()
    say({"ready": f"PyTorch {torch.__version__}", "parameters": parameters, "first": first})
    for line in sys.stdin:
        seconds, busy = [], []
        for _ in range(int(line)):
            started, used = time.perf_counter(), time.process_time()
            work()
            seconds.append(time.perf_counter() - started)
            busy.append(time.process_time() - used)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say({"seconds": seconds, "cpu_seconds": busy, "peak_mb": peak})


def say(answer: dict[str, object]) -> None:
    """One line of JSON."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
