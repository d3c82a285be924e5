"""Reading, computing and writing at the same time, each in its own thread and never far ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
_WAIT_S = 0.1


class _End:
    """Behind the last item."""


@contextmanager
def read_ahead(items: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """The same items, made in a thread, at most `most` ahead; what goes wrong there is raised here."""
    waiting: queue.Queue[T | _End | BaseException] = queue.Queue(most)
    stop = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                if not _put(waiting, item, stop):
                    return
            _put(waiting, _End(), stop)
        except BaseException as error:
            _put(waiting, error, stop)

    def consume() -> Iterator[T]:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=produce, name="scene reader", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stop.set()
        thread.join()


class Behind(Generic[T]):
    """A consumer that runs in a thread; a context manager. Leaving it waits for all that was given.

    What goes wrong in the thread is raised at the next `give` or on leaving. On an exception in the block
    nothing more is consumed, and `abandon` runs in the thread.
    """

    def __init__(self, consume: Callable[[T], None], most: int, abandon: Callable[[], None]) -> None:
        self._consume, self._abandon = consume, abandon
        self._waiting: queue.Queue[T | _End] = queue.Queue(most)
        self._stop = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="scene writer", daemon=True)

    def give(self, item: T) -> None:
        """Hand over an item; waits while too many are waiting."""
        if not _put(self._waiting, item, self._stop):
            self._raise()

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self._stop.set()
        else:
            _put(self._waiting, _End(), self._stop)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    item = self._waiting.get(timeout=_WAIT_S)
                except queue.Empty:
                    continue
                if isinstance(item, _End):
                    return
                self._consume(item)
        except BaseException as error:
            self._fault = error
            self._stop.set()
        self._abandon()


def _put(waiting: queue.Queue[T], item: T, stop: threading.Event) -> bool:
    """Whether the item could be handed over before `stop`."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_WAIT_S)
        except queue.Full:
            continue
        return True
    return False
