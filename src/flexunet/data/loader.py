"""Batches whose content depends on seed, epoch and position only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from .mixing import Drawn, Mixed, Mixer, stacked_others
from .pairs import Pair
from .sampler import Sampler

_MIXING = 0x0313
"""Sets a sample's generator for mixing apart from its own."""


@dataclass(frozen=True)
class Batch:
    """Samples of one step and process."""

    images: torch.Tensor
    """float32 (B, C, H, W), normalised."""
    labels: torch.Tensor
    """int64 (B, H, W) with IGNORE_INDEX."""
    ids: tuple[str, ...]
    others: torch.Tensor | None = None
    """int64 (B, H, W): labels of a second picture seen at the same time, where a sample has one."""
    shares: torch.Tensor | None = None
    """float32 (B,): what `labels` count for; `others` count for the rest."""


class Pictures(Protocol):
    """What a loader takes its samples from; see `Store`."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pair of each picture."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> NDArray[Any]:
        """Pixels (C, H, W)."""

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Labels uint8 (H, W) with IGNORE_INDEX."""

    def valid(self, index: int) -> NDArray[np.bool_]:
        """Which pixels hold data, bool (H, W)."""


class Loader:
    """Batches of a store, prepared ahead by threads.

    Sample k of epoch e is image order(seed, e)[k], drawn with a generator seeded by (seed, e, k). Step s of
    process `rank` takes the samples from (s `world_size` + rank) `batch_size` on, so all processes together
    take what one process would with the global batch. Neither the threads nor the number of processes change
    any sample. What a `mixer` makes of a sample and another one is drawn apart, from (seed, e, k) too, so
    that the samples it leaves alone are the same as without it.

    With `shuffle` (training) every step is full: samples that do not fill a last global batch sit out this
    epoch (each epoch has another order), and a split smaller than one global batch, or `steps_per_epoch`
    beyond it, goes on with a fresh order. Without (validation) each image comes once, in the store's order;
    the last batch may be smaller, and a process may get one batch less than another.
    """

    def __init__(
        self,
        store: Pictures,
        sampler: Sampler,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        steps_per_epoch: int | None = None,
        num_workers: int = 1,
        rank: int = 0,
        world_size: int = 1,
        mixer: Mixer | None = None,
    ) -> None:
        if not 0 <= rank < world_size or batch_size < 1:
            raise ValueError(f"rank {rank} of {world_size} with batches of {batch_size} makes no sense")
        self.store, self.sampler, self.mixer = store, sampler, mixer
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.num_workers, self.rank, self.world_size = num_workers, rank, world_size
        together = batch_size * world_size
        if shuffle:
            self.steps_per_epoch = steps_per_epoch or max(1, len(store) // together)
        else:
            every = -(-len(store) // together)
            self.steps_per_epoch = min(steps_per_epoch or every, every)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from `first_step` on; an exception in a thread appears here."""
        steps = (step for step in range(first_step, self.steps_per_epoch) if self._positions(step))
        if self.num_workers == 0:
            for step in steps:
                yield self._batch(epoch, step)
            return
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self.num_workers, "batches") as pool:
            try:
                for step in steps:
                    waiting.append(pool.submit(self._batch, epoch, step))
                    if len(waiting) > self.num_workers + 1:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _positions(self, step: int) -> range:
        """Positions k of the samples in this process's batch of a step."""
        first = (step * self.world_size + self.rank) * self.batch_size
        last = first + self.batch_size
        return range(first, last if self.shuffle else min(last, len(self.store)))

    def _batch(self, epoch: int, step: int) -> Batch:
        positions = self._positions(step)
        indices = [self._index(epoch, position) for position in positions]
        samples = [
            self._sample(epoch, position, index) for position, index in zip(positions, indices, strict=True)
        ]
        second = stacked_others(samples)
        return Batch(
            torch.from_numpy(np.stack([sample.image for sample in samples])),
            torch.from_numpy(np.stack([sample.labels for sample in samples])).long(),
            tuple(self.store.pairs[index].id for index in indices),
            None if second is None else torch.from_numpy(second[0]).long(),
            None if second is None else torch.from_numpy(second[1]),
        )

    def _sample(self, epoch: int, position: int, index: int) -> Mixed:
        image, labels = self._drawn(index, np.random.default_rng((self.seed, epoch, position)))
        if self.mixer is None:
            return Mixed(image, labels)
        generator = np.random.default_rng((self.seed, epoch, position, _MIXING))

        def other() -> Drawn:
            return self._drawn(int(generator.integers(len(self.store))), generator)

        return self.mixer(image, labels, other, generator)

    def _drawn(self, index: int, generator: np.random.Generator) -> Drawn:
        store = self.store
        return self.sampler(store.image(index), store.labels(index), store.valid(index), generator)

    def _index(self, epoch: int, position: int) -> int:
        if not self.shuffle:
            return position
        turn, place = divmod(position, len(self.store))
        return int(_order(self.seed, epoch, turn, len(self.store))[place])


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, turn: int, count: int) -> NDArray[Any]:
    """The order of `count` images in the given turn of an epoch; apart from every sample's own generator."""
    return np.random.default_rng((seed, epoch, turn, 0x0DE2)).permutation(count)
