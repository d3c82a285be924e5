"""Moments inside a run, for tests that interrupt or disturb it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def when_logged(text: str, act: Any) -> Iterator[None]:
    """Do `act()` once, when a log record that starts with `text` appears: a moment inside a run."""

    class Handler(logging.Handler):
        done = False

        def emit(self, record: logging.LogRecord) -> None:
            if not self.done and record.getMessage().startswith(text):
                self.done = True
                act()

    handler, logger = Handler(), logging.getLogger("flexunet")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
