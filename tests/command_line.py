"""The program as a user starts it: a process with arguments, an exit code and words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def flexunet(*arguments: str | Path, cwd: Path, code: int) -> subprocess.CompletedProcess[str]:
    """Run the command in the folder `cwd`; it must end with exit code `code` and without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "flexunet", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done
