"""Tiles through the network: several at the same time on a CPU, in batches on a GPU."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..framing import Framing
from ..tta import ProbabilitiesOf
from .stream import Event, Tile

MOST_LANES = 4
"""More would wait for Python's lock, and each holds its activations."""


Through = Callable[[Iterable[Event], ProbabilitiesOf, Framing, int], Iterator[Event]]
"""Events, call, framing, tiles at a time: the same events in their order, tiles as probabilities."""


def through_network(device: torch.device) -> Through:
    """What suits the device."""
    return side_by_side if device.type == "cpu" else in_batches


def lanes_here() -> int:
    """How many tiles this process computes at the same time on its CPU."""
    threads = torch.get_num_threads()
    numbers = range(min(threads, 2), min(threads, MOST_LANES) + 1)
    # those that leave no thread idle, and of them the most
    return max(numbers, key=lambda lanes: (threads // lanes * lanes, lanes))


def side_by_side(
    events: Iterable[Event], call: ProbabilitiesOf, framing: Framing, lanes: int
) -> Iterator[Event]:
    """The same events in their order, tiles as probabilities at their own size; `lanes` tiles at a time, or
    as many as this process has.

    All threads on one tile wait for the slowest of them after every operation of the network, and for
    whatever else takes a core; a tile to each thread does not (`benchmarks/results/scene_share.json`).
    A tile always has the same number of threads, however many lanes there are: in float32 the last bit of a
    1 x 1 convolution depends on it.
    """
    leave = _to_results(framing)

    def compute(tile: Tile) -> Tile:
        return leave(tile, call(torch.from_numpy(tile.content)[None])[0])

    here = lanes_here()  # a worker of a cluster has other threads than the machine that planned
    lanes = min(lanes, here)
    crew = _crew(lanes, torch.get_num_threads() // here)
    held: deque[Event | Future[Tile]] = deque()
    flying = 0
    try:
        for event in events:
            held.append(crew.submit(compute, event) if isinstance(event, Tile) else event)
            flying += isinstance(event, Tile)
            while held:
                first = held[0]
                if isinstance(first, Future):
                    if flying <= 2 * lanes and not first.done():
                        break  # one for each lane, and one that waits for it
                    flying -= 1
                    yield first.result()
                else:
                    yield first
                held.popleft()
        for first in held:
            yield first.result() if isinstance(first, Future) else first
    finally:
        for first in held:
            if isinstance(first, Future):
                first.cancel()


def in_batches(
    events: Iterable[Event], call: ProbabilitiesOf, framing: Framing, batch_size: int
) -> Iterator[Event]:
    """The same events in their order, tiles as probabilities at their own size; batches of `batch_size`."""
    leave = _to_results(framing)
    held: list[Event] = []
    images: list[NDArray[np.float32]] = []

    def flushed() -> Iterator[Event]:
        outputs = iter(call(torch.from_numpy(np.stack(images))) if images else ())
        for event in held:
            yield leave(event, next(outputs)) if isinstance(event, Tile) else event
        held.clear()
        images.clear()

    for event in events:
        held.append(event)
        if isinstance(event, Tile):
            images.append(event.content)
            if len(images) == batch_size:
                yield from flushed()
        elif not images:
            yield from flushed()
    yield from flushed()


def _to_results(framing: Framing) -> Callable[[Tile, Any], Tile]:
    """What makes a tile's result of what the network says of it."""

    def leave(tile: Tile, planes: torch.Tensor) -> Tile:
        size = framing.grid.rows[tile.row].length, framing.grid.cols[tile.col].length
        return Tile(tile.row, tile.col, framing.leave(planes, size))

    return leave


@cache
def _crew(size: int, threads: int) -> ThreadPoolExecutor:
    """Threads that last, each of which PyTorch gives so many threads of its own."""
    started = threading.Barrier(size + 1)
    own = torch.get_num_threads()

    def begin() -> None:
        # PyTorch keeps this number by thread, from the first time that a thread asks for it
        torch.set_num_threads(threads)
        torch.get_num_threads()
        started.wait()

    crew = ThreadPoolExecutor(size, "network")
    for _ in range(size):
        crew.submit(begin)
    started.wait()
    torch.set_num_threads(own)
    return crew
