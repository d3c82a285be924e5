"""Where and in which precision to compute: the choice and its reason, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning_fabric import Fabric

from ..config.schema import TrainConfig
from ..cores import available_cores
from ..errors import ConfigError, Problem

Precision = Literal["32", "bf16", "fp16"]
_FABRIC_PRECISION: dict[Precision, Any] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Hardware:
    """A device kind, a precision, and why."""

    accelerator: Literal["cpu", "cuda", "mps"]
    precision: Precision
    reason: str

    def __str__(self) -> str:
        return f"{self.accelerator}, {self.precision} ({self.reason})"


def choose_hardware(accelerator: str, precision: str) -> Hardware:
    """The device and precision that `auto` stands for here, with the reason in words.

    bf16 is taken where the hardware computes in it: GPUs from compute capability 8.0, CPUs with AVX512-BF16
    or AMX.

    Raises:
        ConfigError: the device is not here, or cannot compute in the asked precision.
    """
    if accelerator == "auto":
        accelerator = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here[accelerator]:
        raise _refuse(
            "train.accelerator", f"{accelerator!r} is not available on this machine.", 'Use "auto" or "cpu".'
        )
    if accelerator == "cuda":
        return _on_cuda(precision)
    if accelerator == "mps":
        return (
            Hardware("mps", "32", "MPS trains in 32 bits") if precision in ("auto", "32") else _no_mixed_mps()
        )
    return _on_cpu(precision)


def _on_cpu(precision: str) -> Hardware:
    instructions = bf16_instructions()
    if precision == "fp16":
        raise _refuse("train.precision", "fp16 is for GPUs.", 'Use "auto", "bf16" or "32" on a CPU.')
    if precision == "auto":
        if instructions:
            return Hardware("cpu", "bf16", f"the CPU has {instructions}")
        return Hardware("cpu", "32", "the CPU has no bf16 instructions")
    if precision == "bf16" and not instructions:
        return Hardware("cpu", "bf16", "as asked; the CPU has no bf16 instructions, 32 would be faster")
    return Hardware("cpu", "bf16" if precision == "bf16" else "32", "as asked")


def _on_cuda(precision: str) -> Hardware:
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if precision == "auto":
        if capability >= (8, 0):
            return Hardware("cuda", "bf16", f"{name} has bf16")
        if capability >= (7, 0):
            return Hardware("cuda", "fp16", f"{name} has fp16 tensor cores but no bf16")
        return Hardware("cuda", "32", f"{name} has no tensor cores")
    asked: dict[str, Precision] = {"32": "32", "bf16": "bf16", "fp16": "fp16"}
    return Hardware("cuda", asked[precision], f"as asked, on {name}")


def _no_mixed_mps() -> Hardware:
    raise _refuse("train.precision", "mixed precision is not supported on mps.", 'Use "auto" or "32".')


def _refuse(where: str, what: str, cure: str) -> ConfigError:
    return ConfigError("The hardware cannot do this:", [Problem(what, where=where, cure=cure)])


def bf16_instructions() -> str | None:
    """Name of the instructions with which this CPU multiplies bf16 matrices, or None."""
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        if torch.cpu._is_amx_tile_supported():
            return "AMX"
        if torch.cpu._is_avx512_bf16_supported():
            return "AVX512-BF16"
    return None


def launched_outside() -> bool:
    """Whether torchrun or SLURM started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ or (
        "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive", None)
    )


def build_fabric(train: TrainConfig, hardware: Hardware) -> Fabric:
    """The Fabric of a run: one device, several by DDP in processes it starts, or its share of a
    torchrun/SLURM job.
    """
    devices: int | str = train.devices
    if devices == "auto":
        devices = torch.cuda.device_count() if hardware.accelerator == "cuda" else 1
    assert isinstance(devices, int)
    several = devices * train.num_nodes > 1
    if hardware.accelerator == "cuda" and devices > torch.cuda.device_count():
        raise _refuse(
            "train.devices", f"{devices} GPUs asked, {torch.cuda.device_count()} found.", "Lower it."
        )
    if train.num_nodes > 1 and not launched_outside():
        raise _refuse(
            "train.num_nodes", "several machines need torchrun or SLURM.", "Start `torchrun ... flexunet`."
        )
    strategy = "auto" if not several else "ddp" if launched_outside() else "ddp_spawn"
    return Fabric(
        accelerator=hardware.accelerator,
        devices=devices,
        num_nodes=train.num_nodes,
        strategy=strategy,
        precision=_FABRIC_PRECISION[hardware.precision],
    )


def set_threads(train: TrainConfig, processes_here: int, accelerator: str) -> int:
    """Give PyTorch its CPU threads: as configured, or an equal share of the cores; returns the number."""
    if train.threads is not None:
        torch.set_num_threads(train.threads)
    elif processes_here > 1 and accelerator == "cpu":
        torch.set_num_threads(max(1, available_cores() // processes_here))
    return torch.get_num_threads()


def gradients_are_final(fabric: Fabric) -> bool:
    """Whether what the backward pass leaves needs neither unscaling nor the gradients of other processes."""
    return fabric.world_size == 1 and fabric.strategy.precision.precision != _FABRIC_PRECISION["fp16"]
