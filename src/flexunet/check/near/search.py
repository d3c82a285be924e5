"""All pairs of copies in a set of pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ...cores import available_cores
from .candidates import Candidate, propose
from .features import Features
from .verify import Match, verify

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")
_R = TypeVar("_R")


def find_copies(features: Sequence[Features], *, progress: Progress | None = None) -> list[Match]:
    """Every pair of pictures that show the same ground, sorted; each pair once, by its best map.

    Time: one look at each picture's features and a proof for each candidate; memory: about 0.1 MB a picture.
    """
    if len(features) < 2:
        return []
    candidates = propose(features)
    best: dict[tuple[int, int], Match] = {}

    def prove(candidate: Candidate) -> Match | None:
        return verify(candidate, features[candidate.first], features[candidate.second])

    for done, match in enumerate(in_threads(prove, candidates), 1):
        if match is not None:
            known = best.get((match.first, match.second))
            if known is None or match.score > known.score:
                best[match.first, match.second] = match
        if progress is not None:
            progress("comparing", done, len(candidates))
    return [best[key] for key in sorted(best)]


def in_threads(work: Callable[[_T], _R], items: Iterable[_T], ahead: int = 8) -> Iterator[_R]:
    """Results in the order of the items, computed by all cores, few of them in memory."""
    workers = available_cores()
    waiting: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(workers, "check") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
