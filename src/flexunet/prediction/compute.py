"""Where and in which precision to predict, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from ..errors import ConfigError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32", "bf16"]


@dataclass(frozen=True)
class Compute:
    """A device, the type of the convolutions, and why."""

    device: torch.device
    dtype: torch.dtype
    reason: str

    def __str__(self) -> str:
        name = "bf16" if self.dtype == torch.bfloat16 else "float32"
        return f"{self.device.type}, {name} ({self.reason})"


def choose_compute(
    device: str = "auto", precision: Precision = "auto", trained_in: str | None = None
) -> Compute:
    """The device and precision that `auto` stands for on this machine.

    `auto` takes CUDA, then MPS, then the CPU; and bf16 where the hardware multiplies in it (CUDA from compute
    capability 8.0, CPUs with AVX512-BF16 or AMX), float32 elsewhere and for models that were trained in 32
    bits (`trained_in` "32"). Both are deterministic on a CPU.

    Raises:
        ConfigError: the device is not here, or the words mean nothing.
    """
    if precision not in ("auto", "32", "bf16"):
        raise ConfigError(f"precision {precision!r}: auto, 32 or bf16 are possible.")
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    kind = device.split(":")[0]
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in here:
        raise ConfigError(f"device {device!r}: auto, cpu, cuda or mps are possible.")
    if not here[kind]:
        raise ConfigError(f"device {device!r} is not available on this machine. Use auto or cpu.")
    if precision != "auto":
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        return Compute(torch.device(device), dtype, "as asked")
    if trained_in == "32":
        return Compute(torch.device(device), torch.float32, "as it was trained")
    instructions = _bf16_instructions(kind)
    if instructions is None:
        return Compute(torch.device(device), torch.float32, f"no bf16 on this {kind}")
    return Compute(torch.device(device), torch.bfloat16, f"it has {instructions}")


def _bf16_instructions(kind: str) -> str | None:
    """Name of what multiplies bf16 in hardware here, or None."""
    if kind == "cuda" and torch.cuda.get_device_capability() >= (8, 0):
        return f"bf16: {torch.cuda.get_device_name()}"
    if kind == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        if torch.cpu._is_amx_tile_supported():
            return "AMX"
        if torch.cpu._is_avx512_bf16_supported():
            return "AVX512-BF16"
    return None
