"""Reader, network and writer side by side: nothing is lost, nobody waits for ever."""

import threading
from collections.abc import Iterable, Iterator

import pytest

from flexunet.prediction.scenes.threads import Behind, read_ahead


def run(items: Iterable[int], most: int, *, at_once: int = 1, bad: int = -1, fails_at: int = -1) -> list[int]:
    """What a route writes whose network takes `at_once` items at a time; its writer has no room for `bad`,
    the network fails at `fails_at`.
    """
    written: list[int] = []

    def consume(item: int) -> None:
        if item == bad:
            raise OSError(f"no room for {item}")
        written.append(item)

    held: list[int] = []
    with read_ahead(items, most) as ahead, Behind(consume, most, nothing) as behind:
        for item in ahead:
            if item == fails_at:
                raise RuntimeError("network")
            held.append(item)
            if len(held) >= at_once:
                for done in held:
                    behind.give(done)
                held.clear()
        for done in held:
            behind.give(done)
    return written


def nothing() -> None:
    """Nothing to clear away."""


@pytest.mark.parametrize(
    ("count", "most", "at_once"), [(0, 1, 1), (1, 1, 1), (50, 1, 1), (50, 4, 9), (7, 16, 3)]
)
def test_every_item_comes_through_in_order(count: int, most: int, at_once: int) -> None:
    assert run(range(count), most, at_once=at_once) == list(range(count))


def test_a_fault_of_the_writer_reaches_the_network() -> None:
    with pytest.raises(OSError, match="no room for 3"):
        run(range(100), 2, bad=3)


def test_a_fault_of_the_reader_reaches_the_network() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("truncated")

    with pytest.raises(OSError, match="truncated"):
        run(broken(), 2)


def test_a_network_that_fails_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="network"):
        run(range(100), 2, fails_at=5)
    assert threading.active_count() == before
