"""The same work on many things with all cores; results in order, memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

from .cores import available_cores
from .progress import Tell

Thing = TypeVar("Thing")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Thing], Result],
    things: Sequence[Thing],
    *,
    workers: int | None = None,
    ahead: int = 4,
    stage: str = "",
    progress: Tell | None = None,
) -> Iterator[Result]:
    """`work` of each thing, in order, by threads (decoding, warps and encoding let go of Python's lock).

    workers: threads; None: one for each core. ahead: results a worker may be ahead of whoever takes them.
    progress: told (`stage`, things done, all things).
    """
    workers = workers or available_cores()
    with one_thread_a_call(), ThreadPoolExecutor(workers, "flexunet") as pool:
        under_way: deque[Future[Result]] = deque()
        try:
            for submitted, thing in enumerate(things, 1):
                under_way.append(pool.submit(work, thing))
                while len(under_way) > (ahead * workers if submitted < len(things) else 0):
                    yield under_way.popleft().result()
                    if progress is not None:
                        progress(stage, submitted - len(under_way), len(things))
        finally:
            for future in under_way:
                future.cancel()


@contextmanager
def one_thread_a_call() -> Iterator[None]:
    """OpenCV on one thread a call: the pictures are what is done in parallel."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
