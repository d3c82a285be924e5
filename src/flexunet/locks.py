"""A lock of the operating system on a file: it ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import node

from .errors import InUseError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _BEHIND_THE_TEXT, os.SEEK_SET)  # who waits could not read what is locked
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_BEHIND_THE_TEXT = 1 << 20
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the file `path` for this process alone; it is made, with its folder, and removed at the end.

    Yields whether that can be relied on: some file systems of networks know no locks, and then nobody is
    kept out. What a killed process left is no hindrance. Not for one process twice.

    Raises:
        InUseError: another process holds it; the message is which and since when, as far as is known.
        OSError: the file cannot be made.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    file, certain = _taken(path)
    try:
        with suppress(OSError):  # on a full disk only the words are missing
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(
                file, f"process {os.getpid()} on {node()} since {time.strftime('%H:%M, %d %b')}".encode()
            )
        yield certain
    finally:
        _let_go(path, file)
        for folder in made:
            with suppress(OSError):  # results are in it
                folder.rmdir()


def check_unlocked(path: Path) -> None:
    """Check that no other process holds the file `path`; one that is not there is not made.

    Raises:
        InUseError: see `locked`.
    """
    if path.exists():
        with locked(path):
            pass


def _taken(path: Path) -> tuple[int, bool]:
    """The open file with its lock, and whether there is one."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            certain = _try_lock(file)
            # who let go of it may have removed it meanwhile: then the next one locks another file
            if sys.platform == "win32" or _is_still(file, path):
                return file, certain
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        _lock(file)
    except OSError as error:
        if error.errno not in _TAKEN:
            return False
        raise InUseError(_holder(file)) from error
    return True


def _holder(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 1000).decode(errors="replace") or "which one is not known"


def _is_still(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _let_go(path: Path, file: int) -> None:
    """Remove the file while it is still held, where the system allows it."""
    if sys.platform != "win32":
        path.unlink(missing_ok=True)
        os.close(file)
        return
    os.close(file)
    with suppress(OSError):  # the next one has it open already
        path.unlink(missing_ok=True)
