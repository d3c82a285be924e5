"""Reader, network and writer in turns: nothing is lost, nobody waits for ever."""

import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from flexunet.prediction.scenes.threads import Behind, read_ahead
from flexunet.prediction.scenes.turns import Turns


def run(
    items: Iterable[int], most: int, turns: Turns, *, at_once: int = 1, bad: int = -1, fails_at: int = -1
) -> list[int]:
    """What a route writes whose network takes `at_once` items at a time; its writer has no room for `bad`,
    the network fails at `fails_at`.
    """
    written: list[int] = []

    def consume(item: int) -> None:
        if item == bad:
            raise OSError(f"no room for {item}")
        written.append(item)

    held: list[int] = []
    with read_ahead(items, most, turns) as ahead, Behind(consume, most, nothing, turns) as behind:
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


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize(
    ("count", "most", "at_once"), [(0, 1, 1), (1, 1, 1), (50, 1, 1), (50, 4, 9), (7, 16, 3)]
)
def test_every_item_comes_through_in_order(taken: bool, count: int, most: int, at_once: int) -> None:
    assert run(range(count), most, Turns(taken), at_once=at_once) == list(range(count))


def test_the_others_rest_while_the_network_computes() -> None:
    computing = threading.Event()
    disturbed: list[str] = []

    def busily() -> None:
        if computing.is_set():
            disturbed.append(threading.current_thread().name)
        end = time.thread_time() + 0.0005
        while time.thread_time() < end:
            pass

    def made() -> Iterator[int]:
        for item in range(40):
            busily()
            yield item

    def write(item: int) -> None:
        busily()

    turns = Turns(taken=True)
    seen = []
    with (
        read_ahead(made(), 4, turns) as items,
        Behind(write, 4, nothing, turns) as behind,
    ):
        for item in items:
            computing.set()
            time.sleep(0.002)
            computing.clear()
            seen.append(item)
            behind.give(item)
    assert seen == list(range(40))
    assert len(disturbed) <= 40 // 4  # the item that a full queue has no room for may overlap, once a turn


def test_a_reader_that_waits_for_its_disk_ends_the_turns() -> None:
    def slowly() -> Iterator[int]:
        for item in range(6):
            time.sleep(0.04)
            yield item

    turns = Turns(taken=True)
    overlapped = False
    with read_ahead(slowly(), 2, turns) as items:
        assert next(items) == 0
        turns.wait()  # nobody has to: it runs side by side from here on
        for _ in items:
            overlapped = True
    assert overlapped


@pytest.mark.parametrize("taken", [True, False])
def test_a_fault_of_the_writer_reaches_the_network(taken: bool) -> None:
    with pytest.raises(OSError, match="no room for 3"):
        run(range(100), 2, Turns(taken), bad=3)


@pytest.mark.parametrize("taken", [True, False])
def test_a_fault_of_the_reader_reaches_the_network(taken: bool) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("truncated")

    with pytest.raises(OSError, match="truncated"):
        run(broken(), 2, Turns(taken))


@pytest.mark.parametrize("taken", [True, False])
def test_a_network_that_fails_leaves_no_thread_behind(taken: bool) -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="network"):
        run(range(100), 2, Turns(taken), fails_at=5)
    assert threading.active_count() == before
