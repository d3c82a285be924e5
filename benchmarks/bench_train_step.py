"""Claim: a training step and a prediction of the reference's published network are faster here than there.

512 x 512 x 3, 16 base filters, 11 x 11 kernels, 8 layers, batch 2, Adam 7e-5, clip by value 0.5, categorical
cross-entropy. Keras in TensorFlow's own Python against flexunet: the same number of threads, all processes
alive at once and taking turns, one step a turn, with pauses; a round's ratio is Keras' time through ours.

    python benchmarks/bench_train_step.py --tensorflow-python ~/tf210/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from machine import machine_facts, peak_gflops, save, spread

HERE = Path(__file__).parent
FORWARD_GFLOP = 182.0
"""Arithmetic of one 512 x 512 image's forward pass by direct convolution; training costs three times that."""


class Worker:
    """A process that built its network and works when told to."""

    def __init__(self, name: str, command: list[str], setting: dict[str, Any]) -> None:
        self.name = name
        threads = str(setting["threads"])
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}
        source = str(HERE.parent / "src")
        if command[0] == sys.executable:
            environment["PYTHONPATH"] = source
        self.process = subprocess.Popen(
            [*command, json.dumps(setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.hello = self._answer()
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        self.peak_mb = 0.0

    def work(self, repeats: int) -> float:
        """Seconds of the fastest of `repeats`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{repeats}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.seconds.append(min(answer["seconds"]))
        self.cpu_seconds.append(min(answer["cpu_seconds"]))
        self.peak_mb = answer["peak_mb"]
        return self.seconds[-1]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit(f"{self.name} ended with status {self.process.wait()} before it answered.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(job: str, batch: int, options: argparse.Namespace, rounds: int, repeats: int) -> dict[str, Any]:
    """Keras, ours in float32 and ours in bf16, in turns."""
    setting = {
        "job": job,
        "batch": batch,
        "threads": options.threads,
        "size": 128 if options.quick else 512,
        "filters": 16,
        "kernel": 11,
        "levels": 5 if options.quick else 8,
    }
    keras = [options.tensorflow_python, str(HERE / "keras_worker.py")]
    ours = [sys.executable, str(HERE / "torch_worker.py")]
    with (
        Worker("keras", keras, setting) as theirs,
        Worker("fp32", ours, {**setting, "precision": "fp32"}) as fp32,
        Worker("bf16", ours, {**setting, "precision": "bf16"}) as bf16,
    ):
        workers = (theirs, fp32, bf16)
        assert len({worker.hello["parameters"] for worker in workers}) == 1, "the networks differ"
        for _ in range(rounds):
            for worker in workers:
                time.sleep(options.pause)
                worker.work(repeats)
        print(f"{job}, batch {batch}: {theirs.hello['ready']} against {fp32.hello['ready']}")
        rows = {worker.name: row(worker, theirs, job, batch) for worker in workers}
        for name, entry in rows.items():
            show(name, entry)
        return {"setting": setting, "keras": theirs.hello["ready"], "rounds": rounds, "rows": rows}


def row(worker: Worker, theirs: Worker, job: str, batch: int) -> dict[str, Any]:
    """One worker's times, and how it stands to Keras round by round."""
    ratios = [their / our for their, our in zip(theirs.seconds, worker.seconds, strict=True)]
    cpu_ratios = [their / our for their, our in zip(theirs.cpu_seconds, worker.cpu_seconds, strict=True)]
    operations = FORWARD_GFLOP * batch * (3 if job == "train" else 1)
    entry = {
        "seconds": spread(worker.seconds),
        "times_keras": spread(ratios),
        "times_keras_cpu_seconds": spread(cpu_ratios),
        "peak_mb": round(worker.peak_mb),
        "memory_of_keras": round(worker.peak_mb / theirs.peak_mb, 3),
    }
    return {**entry, "direct_gflops": round(operations / min(worker.seconds), 1)}


def show(name: str, entry: dict[str, Any]) -> None:
    """One line of the table."""
    seconds, ratio = entry["seconds"], entry["times_keras"]
    print(
        f"  {name:6} {seconds['median']:7.2f} s   {ratio['median']:5.2f} x Keras ({ratio['min']:.2f} to "
        f"{ratio['max']:.2f})   {entry['peak_mb']:6} MB ({entry['memory_of_keras']:.2f} x)",
        flush=True,
    )


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tensorflow-python", required=True, help="interpreter that imports tensorflow")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of rest before each turn")
    parser.add_argument("--quick", action="store_true", help="small network, three rounds, nothing saved")
    parser.add_argument("--name", default="train_step", help="results/NAME.json")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    result: dict[str, Any] = {"machine": machine_facts(options.threads)}
    result["peak_gflops"] = peak_gflops(options.threads)
    print(f"direct convolution at best: {result['peak_gflops']} GFLOP/s on {options.threads} threads")
    result["train_step"] = compare("train", 2, options, rounds, 1)
    result["predict_one"] = compare("predict", 1, options, rounds, 3)
    result["predict_two"] = compare("predict", 2, options, rounds, 2)
    result["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    if not options.quick:
        print(save(options.name, result))


if __name__ == "__main__":
    main()
