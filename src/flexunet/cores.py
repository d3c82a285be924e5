"""How many CPU cores there are for us."""

from __future__ import annotations

import os
import sys


def available_cores() -> int:
    """CPU cores that this process may use; those of the machine where the system does not say."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
