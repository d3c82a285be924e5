"""The folder that a dataset grows in beside its destination, with a journal of what is finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import OutputExistsError
from ..files import sha256_of

MANIFEST = "manifest.json"
_JOURNAL = "journal.jsonl"


class Journal:
    """What is finished in a work folder. A line is written after the files that it names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / _JOURNAL
        self._lock = Lock()
        self.done: dict[str, list[dict[str, Any]]] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                self._take(line)
            self._rewrite()

    def _take(self, line: str) -> None:
        """One line, if it is whole and its files are what it says: a killed run may have cut it."""
        try:
            key, entries = json.loads(line)
        except ValueError:
            return
        if all(self._intact(entry) for entry in entries):
            self.done[key] = entries

    def _intact(self, entry: dict[str, Any]) -> bool:
        parts = [entry[kind] for kind in ("image", "mask", "original_mask") if kind in entry]
        return all(
            (self.folder / part["file"]).is_file() and sha256_of(self.folder / part["file"]) == part["sha256"]
            for part in parts
        )

    def _rewrite(self) -> None:
        lines = (json.dumps([key, entries], ensure_ascii=False) for key, entries in self.done.items())
        self._path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")

    def add(self, key: str, entries: list[dict[str, Any]]) -> None:
        """Note that all files of `key` are written."""
        with self._lock:
            self.done[key] = entries
            with self._path.open("a", encoding="utf-8", newline="\n") as handle:
                handle.write(json.dumps([key, entries], ensure_ascii=False) + "\n")

    def close(self) -> None:
        """The journal goes; the folder is complete."""
        self._path.unlink(missing_ok=True)


@contextmanager
def growing_folder(dst: Path, fingerprint: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `dst` to fill; it takes the place of `dst` when the block ends well.

    Else it stays, to be gone on with by the same fingerprint. Work that another one left for the same
    destination goes with success.
    """
    dst.parent.mkdir(parents=True, exist_ok=True)
    beside = dst.with_name(f".{dst.name}.{fingerprint[:12]}.part")
    beside.mkdir(exist_ok=True)
    try:
        yield beside
        check_destination(dst, overwrite=overwrite)
        if dst.exists():
            old = dst.with_name(f".{dst.name}.{fingerprint[:12]}.old")
            shutil.rmtree(old, ignore_errors=True)
            dst.rename(old)
            beside.rename(dst)
            shutil.rmtree(old)
        else:
            beside.rename(dst)
    except OSError as error:  # a full disk, say: the user knows `dst`, not the folder beside it
        if error.errno is not None and str(error.filename or beside).startswith(str(beside)):
            error.filename = str(dst)
        raise
    for stale in dst.parent.glob(f".{dst.name}.*.part"):
        if (stale / _JOURNAL).is_file():
            shutil.rmtree(stale, ignore_errors=True)


def check_destination(dst: Path, *, overwrite: bool) -> None:
    """Raises OutputExistsError unless `dst` is free, or made by prepare and may be replaced."""
    if not dst.exists() or (dst.is_dir() and not any(dst.iterdir())):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{dst} is already there. Choose another folder, or allow it with --overwrite."
        )
    if not (dst / MANIFEST).is_file():
        raise OutputExistsError(
            f"{dst} was not made by prepare (it holds no {MANIFEST}): left alone. Choose another folder."
        )
