"""The command line: one thin file a command."""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["main"]


def main() -> None:
    """Entry point of `flexunet`: loads the commands and runs one; Ctrl-C ends either with exit code 130."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else somebody chose to ignore it, as `nohup` does
        signal.signal(signal.SIGINT, _leave)
    from .app import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends at once: while modules are loaded nothing is open, and an exception could be lost in them."""
    os.write(2, b"Interrupted.\n")
    os._exit(130)
