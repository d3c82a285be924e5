"""What the person at the keyboard sees of a run: a bar in a terminal, one line a minute elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_EVERY_SECONDS = 60.0
log = logging.getLogger("flexunet")


class Reporter:
    """Shows the progress of a run. `show` False: nothing but log records (for Python users and other
    processes).
    """

    def __init__(self, *, show: bool) -> None:
        self._show = show
        self._console = Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total = self._first = 0
        self._started = self._last_line = time.monotonic()
        if show and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[rate]:.1f} images/s"), TextColumn("loss {task.fields[loss]:.4f}"),
                console=self._console,
            )  # fmt: skip

    @contextmanager
    def started(self, total: int, done: int) -> Iterator[None]:
        """Show progress inside this context: `done` of `total` batches are over already."""
        self._total, self._first = total, done
        self._started = self._last_line = time.monotonic()
        if self._bar is None:
            yield
            return
        with self._bar:
            self._task = self._bar.add_task(
                "training", total=total, completed=done, rate=0.0, loss=float("nan")
            )
            yield

    def step(self, epoch: int, epochs: int, done: int, loss: float, images_per_second: float) -> None:
        """A batch is done: `done` of all batches of the run, the epoch's mean loss so far."""
        if self._bar is not None:
            text = f"epoch {epoch}/{epochs}"
            self._bar.update(self._task, completed=done, description=text, rate=images_per_second, loss=loss)
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            left = (now - self._started) / max(done - self._first, 1) * (self._total - done)
            self.line(
                f"epoch {epoch}/{epochs}, batch {done}/{self._total}, loss {loss:.4f}, "
                f"{images_per_second:.1f} images/s, {duration(left)} left"
            )

    def line(self, text: str) -> None:
        """One line for the user, above the bar."""
        log.info("%s", text)
        if self._show:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line the user should not miss."""
        if self._show:
            self._console.print(f"Warning: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            log.warning("%s", text)


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
