"""Progress of long work: bars with the time left in a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function that takes (what is being done, items done, items in all) and shows it on standard error."""
    if sys.stderr.isatty():
        with _bars() as tell:
            yield tell
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f}/s")

    console = Console(stderr=True)
    stage_shown: str | None = None
    bar: Progress | None = None
    task = TaskID(0)

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal stage_shown, bar, task
        if bar is None or stage != stage_shown:
            close()
            bar = Progress(
                TextColumn("{task.description:<14}"),
                BarColumn(),
                MofNCompleteColumn(),
                Rate(),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=console,
            )
            stage_shown, task = stage, bar.add_task(stage, total=total)
            bar.start()
        bar.update(task, completed=done, total=total)
        if done >= total:
            close()

    def close() -> None:
        # Nothing is left drawing between two stages: other bars, of a training say, may come there.
        nonlocal bar
        if bar is not None:
            bar.stop()
            bar = None

    try:
        yield tell
    finally:
        close()


def _lines(seconds: float = 60.0) -> Callable[[str, int, int], None]:
    last = time.monotonic()
    begun: dict[str, tuple[float, int]] = {}

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        since, before = begun.setdefault(stage, (now, done))
        if now - last >= seconds:
            last = now
            rate = (done - before) / max(now - since, 1e-9)
            left = f", {rate:.1f}/s, {(total - done) / rate / 60:.1f} min left" if rate > 0 else ""
            print(f"{stage}: {done} of {total}{left}", file=sys.stderr, flush=True)

    return tell
