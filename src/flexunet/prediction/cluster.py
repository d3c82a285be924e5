"""Work as tasks on a Dask cluster, here or elsewhere, whose workers may come, fail and die."""

from __future__ import annotations

import logging
import queue
import re
import signal
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..cores import available_cores
from ..errors import ClusterError, ConfigError, DataError, MissingExtraError, ModelFileError
from ..quiet import quiet

LOCAL = re.compile(r"local(?::([1-9]\d*))?")
"""`local` or `local:N`."""
DEFAULT_WORKERS = 2
TRIES = 3
"""How often a task may fail before its fault is everybody's."""
POLL_S = 1.0
"""How often new workers are looked for."""

HOPELESS = (ConfigError, DataError, ModelFileError, MissingExtraError)
"""What no other worker would do better."""


class Crew:
    """The workers of a cluster; see `connect`."""

    def __init__(self, client: Any, address: str, threads: int | None) -> None:
        self._client, self._address, self._threads = client, address, threads

    def workers(self) -> dict[str, int]:
        """The workers that are there: threads by address."""
        self._refuse_lost()
        try:
            return dict(self._client.nthreads())
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def threads(self) -> dict[str, int]:
        """How many CPU threads a task may use, worker by worker."""
        return {address: self._threads or threads for address, threads in self.workers().items()}

    def results(
        self,
        task: Callable[..., Any],
        arguments: Sequence[tuple[Any, ...]],
        tell: Callable[[str], None] = lambda note: None,
    ) -> Iterator[tuple[int, Any]]:
        """(index, `task(*arguments[index], threads=n)`) in the order in which they are finished.

        Every worker gets one task at a time and the number of CPU threads it may use. The task of a worker
        that dies goes to another one; one that raises is tried on others, `TRIES` times in all. `tell` gets
        notes on such events. Leaving the iterator early cancels what is still running. Memory: the results
        that were not taken yet, at most one a worker.

        Raises:
            ClusterError: the cluster is lost, or a task kills every worker that takes it.
            Exception: what a task raised.
        """
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        waiting = deque(range(len(arguments)))
        tries: Counter[int] = Counter()
        running: dict[Any, tuple[int, str]] = {}
        lonely = False
        try:
            while waiting or running:
                workers = self.threads()
                if not workers and not lonely:
                    tell("the cluster has no workers at present: waiting for some")
                lonely = not workers
                busy = {address for _, address in running.values()}
                for address in [address for address in workers if address not in busy]:
                    if not waiting:
                        break
                    index = waiting.popleft()
                    future = self._submit(task, arguments[index], address, workers[address])
                    running[future] = index, address
                    future.add_done_callback(done.put)
                for future in _taken(done):
                    index, address = running.pop(future)
                    fault = self._fault(future)
                    if fault is None:
                        yield index, future.result()
                        continue
                    tries[index] += 1
                    if isinstance(fault, HOPELESS) or tries[index] >= TRIES:
                        raise fault
                    tell(f"part {index + 1} failed on {address} and is tried again: {fault}")
                    waiting.appendleft(index)
        finally:
            for future in running:
                future.release()

    def _submit(
        self, task: Callable[..., Any], arguments: tuple[Any, ...], address: str, threads: int
    ) -> Any:
        # Other workers are allowed, so that the task outlives this one.
        return self._client.submit(
            task, *arguments, threads=threads, workers=[address], allow_other_workers=True,
            pure=False, retries=0,
        )  # fmt: skip

    def _fault(self, future: Any) -> BaseException | None:
        """What a finished task raised, in our words where the cluster is to blame."""
        if future.status == "finished":
            return None
        self._refuse_lost()
        if future.status in ("cancelled", "lost"):
            return ClusterError(f"{self._address}: the cluster forgot the task.")
        fault = future.exception()
        assert isinstance(fault, BaseException)
        if isinstance(fault, ModuleNotFoundError):
            return ClusterError(
                f"{self._address}: a worker has no module {fault.name}. Install the same flexunet there "
                'with: pip install "flexunet[cluster]"'
            )
        if type(fault).__name__ == "KilledWorker":
            return ClusterError(
                f"{self._address}: one part was the end of several workers in turn. They may lack memory: "
                "give them more, or ask for smaller parts with --max-memory."
            )
        return fault

    def _refuse_lost(self) -> None:
        if self._client.status != "running":
            raise self._lost()

    def _lost(self) -> ClusterError:
        return ClusterError(
            f"{self._address}: the connection to the cluster is lost. What is done is kept: start the same "
            "command again to go on."
        )


def _taken(done: queue.SimpleQueue[Any]) -> Iterator[Any]:
    """What has been finished, waiting for it a moment."""
    try:
        yield done.get(timeout=POLL_S)
        while True:
            yield done.get_nowait()
    except queue.Empty:
        return


@contextmanager
def connect(where: str, *, threads: int | None = None, timeout_s: float = 10.0) -> Iterator[Crew]:
    """The workers of the cluster `where`.

    Args:
        where: `local` or `local:N`: N worker processes on this machine, which share its cores and end with
            the block; else the address of a scheduler (`tcp://host:8786`, `host:8786`, or its
            `--scheduler-file`), whose workers have the same flexunet and see the same files.
        threads: CPU threads a task; left out: the cores of this machine over N, or the threads of the worker.
        timeout_s: how long a scheduler may take to answer.

    Raises:
        MissingExtraError: without dask.distributed.
        ConfigError: `where` is no address.
        ClusterError: the scheduler does not answer.
    """
    try:
        dask: Any = import_module("dask")
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise MissingExtraError(
            '--dask needs dask.distributed. Install it with: pip install "flexunet[cluster]"'
        ) from error
    with ExitStack() as stack:
        stack.enter_context(quiet("distributed", logging.CRITICAL))  # what matters is told in words
        local = LOCAL.fullmatch(where)
        if local is not None:
            workers = int(local[1] or DEFAULT_WORKERS)
            threads = threads or max(1, available_cores() // workers)
            one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
            stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ": one}))
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="flexunet-", ignore_cleanup_errors=True)
            )
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, processes=True, memory_limit=None,
                    dashboard_address="127.0.0.1:0", local_directory=folder, silence_logs=logging.CRITICAL,
                )
            )  # fmt: skip
            client = stack.enter_context(distributed.Client(cluster))
            client.register_plugin(_deaf_plugin(distributed))
        else:
            client = stack.enter_context(_reach(distributed, where, timeout_s))
        yield Crew(client, where, threads)


def _reach(distributed: Any, where: str, timeout_s: float) -> Any:
    """A client of the scheduler at an address or of a scheduler file."""
    file = Path(where)
    if file.suffix == ".json" and not file.is_file():
        raise ConfigError(f"--dask {where}: there is no such scheduler file.")
    named_host = re.fullmatch(r"(\w+://)?[^\s:/]+:\d+", where) and not where.startswith("local:")
    if file.suffix != ".json" and not named_host:
        raise ConfigError(
            f"--dask {where}: is no address. Possible are local, local:4 (worker processes on this machine), "
            "tcp://host:8786, or the .json file of a scheduler."
        )
    named = {"scheduler_file": where} if file.suffix == ".json" else {"address": where}
    try:
        return distributed.Client(**named, timeout=timeout_s)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"--dask {where}: no scheduler answers within {timeout_s:.0f} s ({error}). Start one with: "
            "dask scheduler (and workers with: dask worker ADDRESS)"
        ) from error


def _deaf_plugin(distributed: Any) -> Any:
    """Ctrl-C in a terminal reaches every process of it; only the first one shall answer."""

    class Deaf(distributed.WorkerPlugin):  # type: ignore[misc]
        name = "deaf to Ctrl-C"

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()
