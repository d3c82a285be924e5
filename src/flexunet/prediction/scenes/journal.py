"""The work folder beside a result: finished parts, and what they are parts of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import FlexunetError, InUseError, OutputExistsError
from ...files import write_text
from ...locks import check_unlocked, locked
from ...raster import Window, open_raster
from .differences import differences
from .job import SceneJob
from .layers import part_files

_JOURNAL = "journal.json"


@dataclass(frozen=True)
class Workbench:
    """The folder in which the parts of a job are gathered. What is in it survives a kill or a full disk."""

    folder: Path
    job: SceneJob
    resumed: bool
    """Whether parts of an earlier attempt at the same job are in it."""
    joined: bool = False
    """Whether that attempt came as far as the results, and only its products are missing."""
    notes: tuple[str, ...] = ()
    """What became of parts that were there and are of no use."""

    def missing(self) -> list[int]:
        """The parts that are not there yet."""
        return [index for index in range(len(self.job.plan.parts)) if not self._is_there(index)]

    def clear(self) -> None:
        """Remove the folder with all parts."""
        shutil.rmtree(self.folder)

    def promise(self, class_map: Path, results: Iterable[Path]) -> None:
        """Note that the files `results` are those of this job once one of them, the class map, appears."""
        _write_journal(self.folder, self.job, [path.name for path in results], _state_of(class_map))

    def drop_parts(self) -> None:
        """Remove the parts, but keep the note on the results."""
        for path in self.folder.iterdir():
            if path.name != _JOURNAL:
                path.unlink()

    def _is_there(self, index: int) -> bool:
        part = self.job.plan.parts[index]
        try:
            for path in part_files(self.folder, index, self.job.layers.names).values():
                if not path.exists():
                    return False
                with open_raster(path) as raster:
                    if raster.shape[1:] != part.shape:
                        return False
        except FlexunetError:
            return False
        return True


@contextmanager
def alone_at(result: Path) -> Iterator[tuple[str, ...]]:
    """Keep all other commands from the class map `result` and what belongs to it; gives notes.

    It ends with the process, also by kill -9. Others may compute parts for the command that holds it.

    Raises:
        InUseError: another command is working on it.
    """
    with ExitStack() as stack:
        try:
            certain = stack.enter_context(locked(_lock_file(result)))
        except InUseError as error:
            raise _in_use(result, error) from error
        yield () if certain else (f"{result.parent} knows no locks: start no second command there",)


def refuse_in_use(result: Path) -> None:
    """Check that no command is working on the class map `result` now.

    Raises:
        InUseError: one is.
    """
    try:
        check_unlocked(_lock_file(result))
    except InUseError as error:
        raise _in_use(result, error) from error


def _in_use(result: Path, error: InUseError) -> InUseError:
    return InUseError(
        f"{result}: another command is working on it ({error}). Wait until it is done; or stop it and give "
        "this command again, which goes on from what is finished."
    )


def open_workbench(job: SceneJob, result: Path) -> Workbench:
    """The work folder of `result`; parts of an earlier attempt stay if they are of the same job.

    The parts are then cut as they were. Whoever writes to it holds `alone_at(result)`.

    Raises:
        OutputExistsError: `result` is there, of another job, or finished parts of one, and `overwrite` is not
            set.
        OSError: the folder cannot be made.
    """
    folder = work_folder(result)
    joined = only_products_missing(result)
    noted = _read_journal(folder)
    earlier = _earlier_parts(job, noted)
    if earlier is not None:
        return Workbench(folder, job.with_parts(earlier), True, joined)
    finished = len(list(folder.glob("part_*_classes.tif")))
    if (joined or finished) and not job.options.overwrite:
        raise _of_another_job(job, result, noted, None if joined else finished)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _write_journal(folder, job)
    replaced = (f"replaced {_parts(finished)} of another job",) if finished else ()
    return Workbench(folder, job, False, notes=replaced)


def _of_another_job(
    job: SceneJob, result: Path, noted: dict[str, Any], finished: int | None
) -> OutputExistsError:
    """Why the work folder cannot be used; `finished` parts are in it, None where the results are joined."""
    found = differences(noted.get("job"), job.fingerprint)
    what = f"{result}: already there, of another job"
    if finished is not None:
        what = f"{work_folder(result)} holds {_parts(finished)} of another job"
    return OutputExistsError(
        f"{what}; it differs in {found}. Give the command that it was begun with to go on with it, allow "
        "replacing it with --overwrite, or choose another folder."
    )


def _parts(count: int) -> str:
    return f"{count} finished part{'s' * (count != 1)}"


def only_products_missing(result: Path) -> bool:
    """Whether the rasters of the class map `result` are finished, but not what was to be made of them."""
    noted = _read_journal(work_folder(result))
    names = noted.get("results")
    if not names or not isinstance(names, list) or noted.get("instead_of") == _state_of(result):
        return False
    return result.exists() and all(result.with_name(name).exists() for name in names)


def forget_work(result: Path) -> None:
    """Remove the work folder of a class map of which everything is made."""
    shutil.rmtree(work_folder(result), ignore_errors=True)


def _state_of(result: Path) -> list[int] | None:
    """What tells a file from the one that was there before: size and time; None without one."""
    try:
        found = result.stat()
    except FileNotFoundError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _write_journal(
    folder: Path, job: SceneJob, results: Sequence[str] = (), instead_of: list[int] | None = None
) -> None:
    """Parts, and when the results are about to appear their names, and which class map they replace."""
    parts = [(part.row, part.col, part.height, part.width) for part in job.plan.parts]
    content = {"job": job.fingerprint, "parts": parts, "results": results, "instead_of": instead_of}
    write_text(folder / _JOURNAL, json.dumps(content, indent=1))


def _read_journal(folder: Path) -> dict[str, Any]:
    """What the journal says; empty where there is none or it says nothing."""
    try:
        found = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def work_folder(result: Path) -> Path:
    """Where the parts of a class map are gathered."""
    return result.with_name(f".{result.stem}.parts")


def _lock_file(result: Path) -> Path:
    # not in the work folder, which is removed while the lock is held
    return result.with_name(f".{result.stem}.parts.lock")


def _earlier_parts(job: SceneJob, noted: dict[str, Any]) -> list[Window] | None:
    """How an earlier attempt at the same job was cut, as its journal noted; None without one."""
    try:
        if noted["job"] != job.fingerprint:
            return None
        return [Window(*part) for part in noted["parts"]]
    except (ValueError, KeyError, TypeError):
        return None
