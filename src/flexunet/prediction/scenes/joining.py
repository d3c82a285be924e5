"""The results of a scene, put together while the last of their parts are still being computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ...raster.cog import CogOfParts
from .journal import Workbench
from .layers import LayerName, part_files
from .options import Progress
from .threads import Behind

PartDone = Callable[[int], None]
"""Gets the index of each part whose files are whole."""


class Joiner:
    """Parts in, in any order; results out. `with joining(...)` makes one."""

    def __init__(self, bench: Workbench, cogs: dict[LayerName, CogOfParts]) -> None:
        self._bench, self._cogs = bench, cogs

    def take(self, index: int) -> None:
        """Part `index` is there: the rows that are complete now go into the results.

        Raises:
            RasterError: it cannot be read, or the disk is full.
        """
        for cog in self._cogs.values():
            cog.take(index)

    def finish(self, progress: Progress | None = None) -> None:
        """Let the results appear, the class map last.

        Raises:
            RasterError: a result cannot be written; the parts stay.
        """
        for done, (name, cog) in enumerate(self._cogs.items()):
            if progress is not None:
                progress("joining parts", done, len(self._cogs))
            # whoever is killed right behind the class map's appearance finds its note
            cog.finish(self._promise if name == "classes" else _nothing)
        if progress is not None:
            progress("joining parts", len(self._cogs), len(self._cogs))

    def _promise(self) -> None:
        paths = [cog.path for cog in self._cogs.values()]
        self._bench.promise(self._cogs["classes"].path, paths)


def _nothing() -> None:
    """Other results need no note."""


@contextmanager
def joining(bench: Workbench, files: dict[LayerName, Path]) -> Iterator[Joiner]:
    """A joiner of the parts of a bench to the results `files`.

    Raises:
        RasterError: nothing can be written beside the parts.
    """
    job = bench.job
    with ExitStack() as stack:
        cogs: dict[LayerName, CogOfParts] = {}
        for name in job.layers.names:
            parts = [
                (part_files(bench.folder, index, (name,))[name], part)
                for index, part in enumerate(job.plan.parts)
            ]
            cog = CogOfParts(files[name], job.layers.layer(name), parts, job.plan.shape, job.grid)
            cogs[name] = stack.enter_context(cog)
        yield Joiner(bench, cogs)


@contextmanager
def in_a_thread(joiner: Joiner) -> Iterator[PartDone]:
    """What hands parts to `joiner` in a thread of its own; leaving waits until all of them are taken."""
    with Behind(joiner.take, _MANY, lambda: None) as behind:
        yield behind.give


_MANY = 1_000_000
"""Indices that may wait: whoever computes parts never waits for their joining."""
