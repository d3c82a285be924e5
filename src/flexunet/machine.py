"""What the computer is, and how much of its memory this process took; freed memory given back."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from pathlib import Path


def processor() -> str:
    """Name of the processor, as far as the system says it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float | None:
    """Most memory that this process has held so far; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 1024), 1)


def give_back_memory() -> None:
    """Return what was freed to the system, between one large piece of work and the next.

    The C library of Linux keeps much of it, as far as it was handed out in small pieces; others give it back
    by themselves.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
