"""Trials one after the other in this process, or several at once in others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from ..errors import TrainingError
from .trial import Outcome, Tell, TrialJob, run_trial

POLL_SECONDS = 2.0
STOP_SECONDS = 120.0
"""Longest that stopped workers are waited for; each saves within one training step."""


def run_jobs(
    jobs: Iterator[TrialJob],
    workers: int,
    tell: Tell,
    done: Callable[[TrialJob, Outcome], None],
) -> None:
    """Run every job that `jobs` gives; the next one is taken when a worker is free.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; every trial under way is saved.
        TrainingError: a worker died.
        Others as `run_trial`.
    """
    if workers == 1:
        for only in jobs:
            outcome = run_trial(only, tell)
            done(only, outcome)
            if outcome.stop_asked:
                raise KeyboardInterrupt
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin) as pool:
        running: dict[Future[Outcome], TrialJob] = {}
        try:
            while True:
                while len(running) < workers and (job := next(jobs, None)) is not None:
                    running[pool.submit(run_trial, job)] = job
                if not running:
                    return
                finished, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    done(running[future], future.result())
                    del running[future]
                tell(f"trials {', '.join(str(job.number + 1) for job in running.values())}")
        except BrokenProcessPool as error:
            raise TrainingError(
                "A worker was lost, killed by somebody or for want of memory. What it had saved is intact: "
                "give the same command again, with fewer --workers if memory is short."
            ) from error
        except BaseException:
            _stop_workers(running)
            raise


def _stop_workers(running: dict[Future[Outcome], TrialJob]) -> None:
    """Ask every worker to save and stop."""
    for child in multiprocessing.active_children():
        child.terminate()
    for future in running:
        future.cancel()
    wait(running, STOP_SECONDS)


def _begin() -> None:
    """A worker leaves Ctrl-C to the process that started it, and ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)  # everything of worth is on the disk; the next command goes on from there
