"""Ctrl-C and SIGTERM as a question that the loop asks at its own pace."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Inside this context the first Ctrl-C or SIGTERM sets `asked`; a second Ctrl-C interrupts at once.

    Signals reach only the main thread of a process; elsewhere the context does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._interrupts = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                raise KeyboardInterrupt
        self.asked = True
