"""What machine a benchmark ran on, what it can do at most, and how results are saved."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine_facts(threads: int) -> dict[str, Any]:
    """Processor, memory, load and versions, for the head of a results file."""
    import torch

    info = _lines("/proc/cpuinfo")
    flags = info.get("flags", "").split()
    memory_kb = _lines("/proc/meminfo").get("MemTotal", "0 kB").split()[0]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": info.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": threads,
        "instructions": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags],
        "memory_gb": round(int(memory_kb) / 2**20, 1),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _lines(path: str) -> dict[str, str]:
    if not Path(path).exists():
        return {}
    pairs = (line.partition(":") for line in Path(path).read_text().splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def peak_gflops(threads: int, repeats: int = 5) -> dict[str, float]:
    """The best rate of a large convolution that stays in the caches, in GFLOP/s, in both precisions."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    best = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        x = torch.randn(1, 64, 256, 256).to(kind).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(64, 64, 9, 9).to(kind).contiguous(memory_format=torch.channels_last)
        operations = 2 * 256 * 256 * 64 * 64 * 81
        seconds = []
        with torch.inference_mode():
            for _ in range(repeats + 1):
                started = time.perf_counter()
                F.conv2d(x, weight, padding=4)
                seconds.append(time.perf_counter() - started)
        best[name] = round(operations / min(seconds[1:]) / 1e9, 1)
    return best


def spread(values: list[float]) -> dict[str, float]:
    """Smallest, median and largest."""
    return {
        "min": round(min(values), 4),
        "median": round(statistics.median(values), 4),
        "max": round(max(values), 4),
    }


def save(name: str, result: dict[str, Any]) -> Path:
    """Write results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path
