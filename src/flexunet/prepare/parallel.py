"""The same work on many things with all cores; results in order, memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

Progress = Callable[[str, int, int], None]
"""Told (what is being done, items done, items in all)."""

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_AHEAD = 2  # things under way a worker


def in_parallel(
    work: Callable[[Thing], Result],
    things: Sequence[Thing],
    workers: int,
    stage: str = "",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """`work` of each thing, in order, by threads (decoding, warps and encoding let go of Python's lock)."""
    with one_thread_a_call(), ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[Result]] = deque()
        done = 0
        rest = iter(things)
        try:
            for thing in rest:
                under_way.append(pool.submit(work, thing))
                if len(under_way) >= _AHEAD * workers:
                    yield under_way.popleft().result()
                    done += 1
                    if progress is not None:
                        progress(stage, done, len(things))
            while under_way:
                yield under_way.popleft().result()
                done += 1
                if progress is not None:
                    progress(stage, done, len(things))
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
