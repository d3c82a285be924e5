"""Progress of long work, shown one way everywhere: a bar with the time left in a terminal, one line a minute
elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LINE_EVERY_SECONDS = 60.0

Tell = Callable[[str, int, int], None]
"""Takes what is being done, items done and items in all."""


class Progress:
    """Shows one stage of work after the other on standard error; to be closed at the end.

    Nothing is left drawing between two stages: other output may come there.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._console: Any = None
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage: str | None = None
        self._begun = self._last_line = time.monotonic()
        self._first = 0

    def update(
        self, stage: str, done: int, total: int, *, rate: float | None = None, unit: str = "", note: str = ""
    ) -> None:
        """`done` of `total` items of `stage` are over.

        `rate` and `unit` (such as images) stand for items a second where those say little; `note` is shown
        at the end.
        """
        if stage != self._stage:
            self.close()
            self._stage, self._first, self._begun = stage, done, time.monotonic()
        elapsed = time.monotonic() - self._begun
        speed = (done - self._first) / elapsed if elapsed > 0 else 0.0
        shown_rate = _per_time(speed if rate is None else rate, unit)
        if self._terminal:
            self._draw(stage, done, total, shown_rate if speed > 0 else "", note)
        elif time.monotonic() - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            parts = [f"{stage}: {done} of {total}", note]
            if speed > 0:
                parts += [shown_rate, f"{duration((total - done) / speed)} left"]
            self.line(", ".join(part for part in parts if part))
        if done >= total:
            self.close()

    def line(self, text: str) -> None:
        """One line for the user, above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Let go of the terminal; the bar stays where it is."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._stage = None

    def _draw(self, stage: str, done: int, total: int, rate: str, note: str) -> None:
        if self._bar is None:
            self._bar, self._task = self._new_bar(stage, done, total)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, rate=rate, note=note)

    def _new_bar(self, stage: str, done: int, total: int) -> tuple[Bar, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._console = self._console or Console(stderr=True)
        bar = RichProgress(
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
        )
        task = bar.add_task(stage, total=total, completed=done, rate="", note="")
        bar.start()
        return bar, task


def _per_time(rate: float, unit: str) -> str:
    """`12.5 images/s`; what takes longer, by the minute."""
    number, time_unit = (rate, "s") if rate >= 0.5 or rate <= 0 else (60 * rate, "min")
    return f"{number:.1f}{' ' + unit if unit else ''}/{time_unit}"


@contextmanager
def show_progress() -> Iterator[Tell]:
    """A function that shows progress on standard error inside the context."""
    progress = Progress()
    try:
        yield progress.update
    finally:
        progress.close()


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
