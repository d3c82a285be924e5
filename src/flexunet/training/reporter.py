"""What the person at the keyboard sees of a run: progress, and a line where there is something to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..progress import Progress

log = logging.getLogger("flexunet")


class Reporter:
    """Shows the progress of a run. `show` False: nothing but log records, for Python users. `speaks` False:
    nothing at all; of several processes one speaks.
    """

    def __init__(self, *, show: bool, speaks: bool = True) -> None:
        self._progress = Progress() if show and speaks else None
        self._speaks = speaks
        self._total = 0

    @contextmanager
    def started(self, total: int, done: int) -> Iterator[None]:
        """Show progress inside this context: `done` of `total` batches are over already."""
        self._total = total
        if self._progress is None:
            yield
            return
        self._progress.update("training", done, total)
        try:
            yield
        finally:
            self._progress.close()

    def step(self, epoch: int, epochs: int, done: int, loss: float, images_per_second: float) -> None:
        """A batch is done: `done` of all batches of the run, the epoch's mean loss so far."""
        if self._progress is not None:
            note = f"epoch {epoch}/{epochs}, loss {loss:.4f}"
            self._progress.update(
                "training", done, self._total, rate=images_per_second, unit="images", note=note
            )

    def line(self, text: str) -> None:
        """One line for the user, above the bar."""
        if not self._speaks:
            return
        log.info("%s", text)
        if self._progress is not None:
            self._progress.line(text)

    def warn(self, text: str) -> None:
        """One line the user should not miss."""
        if not self._speaks:
            return
        if self._progress is not None:
            self._progress.line(f"Warning: {text}")
        else:
            log.warning("%s", text)
