"""The network and the threads beside it in turns, where side by side they would slow each other down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch

from ...cores import available_cores

MOST_CORES = 2
"""With more cores than this one of them is a small part of what the network has."""
_LOOK_S = 0.0005


class Turns:
    """Who may compute: the network, or the others, which feed it and take its results away.

    An operation of the network ends when the slowest of its threads does. Whoever takes a core for a while
    holds up the others, too, which wait busily: side by side on two threads the network lost three times what
    the others took (`benchmarks/results/scene_share.json`). So the others fill its queue and empty theirs in
    one go, on all cores, and rest while it computes.

    That is only worth it as long as the others compute: when they turn out to wait for a disk or for the net,
    everything runs side by side from then on.
    """

    def __init__(self, taken: bool) -> None:
        """`taken`: whether there are turns at all."""
        self._taken = taken
        self._rested: list[Callable[[], bool]] = []
        self._others = threading.Event()
        if not taken:
            self._others.set()

    @classmethod
    def on(cls, device: torch.device) -> Turns:
        """Turns where the network computes on all of few cores."""
        cores = available_cores()
        return cls(device.type == "cpu" and cores <= MOST_CORES and torch.get_num_threads() >= cores)

    def join(self, rested: Callable[[], bool]) -> None:
        """Another thread takes part; `rested` tells whether it has nothing more to do."""
        self._rested.append(rested)

    def wait(self) -> None:
        """Of the others: wait until they may compute."""
        self._others.wait()

    def give_way(self) -> None:
        """Of the network: let the others compute until they all rest."""
        if not self._taken:
            return
        began, busy = time.perf_counter(), time.process_time()
        self._others.set()
        while not all(rested() for rested in self._rested):
            time.sleep(_LOOK_S)
        self._others.clear()
        waited = time.perf_counter() - began
        if waited > _TELLING_S and time.process_time() - busy < waited / 2:
            self.end()

    def end(self) -> None:
        """No more turns: nobody waits any longer."""
        self._taken = False
        self._others.set()


_TELLING_S = 0.05
"""Shorter waits tell nothing about what the others wait for."""
