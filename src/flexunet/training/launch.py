"""Starting the processes of a run, and bringing their outcome back."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from ..errors import FlexunetError, Interrupted, TrainingError
from ..files import whole_file

# Fabric announces its choices at INFO on stderr, in every process; the run says itself what was chosen
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

PATIENCE_SECONDS = 5.0
"""How long a process with a fault waits for the others to report theirs before it leaves."""


def launch(fabric: Fabric, work: Callable[[Fabric, JobT], ResultT], job: JobT) -> ResultT:
    """The result of `work(fabric, job)` of the first process, run in every process of the Fabric.

    A known fault in any process comes back as the same error here; Ctrl-C and SIGTERM are passed on to the
    processes.

    Raises:
        TrainingError: a process died.
    """
    if not isinstance(fabric.strategy.launcher, _MultiProcessingLauncher):
        fabric.launch()
        return work(fabric, job)
    with tempfile.TemporaryDirectory(prefix="flexunet-") as folder:
        faults = Path(folder)
        try:
            with _signals_go_to_children():
                outcome = fabric.launch(partial(_guarded, work=work, job=job, faults=faults))
        except (ProcessExitedException, ProcessRaisedException) as error:
            # a process whose peer has left can end in any way: what was reported before says more
            if reported := _reported(faults):
                raise reported from None
            reason = str(error).strip().splitlines()[-1]
            raise TrainingError(
                f"A training process was lost ({reason}). What was saved is intact: continue with --resume, "
                f"or see more with --debug."
            ) from error
    return outcome.value  # type: ignore[no-any-return]


def first_process(fabric: Fabric, work: Callable[[], object]) -> None:
    """Do `work` in the first process; a known fault there is raised in all, so that none waits for it."""
    fault: FlexunetError | None = None
    if fabric.is_global_zero:
        try:
            work()
        except FlexunetError as error:
            fault = error
    if fabric.world_size > 1:
        fault = fabric.broadcast(fault and _portable(fault))
    if fault is not None:
        raise fault


class _Outcome:
    """A result on its way between processes; opaque to Fabric, which takes collections apart."""

    def __init__(self, value: object) -> None:
        self.value = value


def _guarded(fabric: Fabric, work: Callable[[Fabric, JobT], object], job: JobT, faults: Path) -> _Outcome:
    """The result of a process; a known fault goes to a file, as an exception would arrive as a traceback."""
    try:
        outcome = _Outcome(work(fabric, job))
    except FlexunetError as error:
        _leave(_portable(error), fabric, faults)
    except KeyboardInterrupt:
        _leave(Interrupted("Interrupted."), fabric, faults)
    # a group whose other half is gone when the process ends can abort it, with the work done
    fabric.barrier()
    torch.distributed.destroy_process_group()
    return outcome


def _leave(fault: FlexunetError, fabric: Fabric, faults: Path) -> NoReturn:
    """Report a fault and end the process."""
    with whole_file(faults / f"{fabric.global_rank}.fault") as beside:
        beside.write_bytes(pickle.dumps(fault))
    # the first to leave has the others terminated, who may be about to say the same
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(list(faults.glob("[0-9]*.fault"))) < fabric.world_size and time.monotonic() < deadline:
        time.sleep(0.02)
    sys.stdout.flush()
    sys.stderr.flush()
    # not by way of the interpreter's end: a half-closed process group can hang there, or abort
    os._exit(1)


def _reported(faults: Path) -> FlexunetError | None:
    """What the processes reported; who was only asked to stop says less than who failed."""
    found = [pickle.loads(path.read_bytes()) for path in sorted(faults.glob("[0-9]*.fault"))]
    found.sort(key=lambda fault: isinstance(fault, Interrupted))
    return found[0] if found else None


def _portable(error: FlexunetError) -> FlexunetError:
    """The same kind of error with its message as only argument, so that it can be pickled."""
    copy = type(error).__new__(type(error))
    copy.args = (str(error),)
    return copy


@contextmanager
def _signals_go_to_children() -> Iterator[None]:
    def forward(number: int, frame: FrameType | None) -> None:
        if sys.platform == "win32":
            return  # a signal would end the children at once; Ctrl-C reaches them by the console
        for child in multiprocessing.active_children():
            # a terminal's Ctrl-C reaches the children by itself; asked twice to terminate is asked once
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)

    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT) if here}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
