"""The work folder beside a result: finished parts, and what they are parts of."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ...errors import FlexunetError
from ...files import write_text
from ...raster import Window, open_raster
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

    def missing(self) -> list[int]:
        """The parts that are not there yet."""
        return [index for index in range(len(self.job.plan.parts)) if not self._is_there(index)]

    def clear(self) -> None:
        """Remove the folder with all parts."""
        shutil.rmtree(self.folder)

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


def open_workbench(job: SceneJob, result: Path) -> Workbench:
    """The work folder of `result`; parts of an earlier attempt stay if they are of the same job.

    The parts are then cut as they were.

    Raises:
        OSError: the folder cannot be made.
    """
    folder = work_folder(result)
    earlier = _earlier_parts(job, folder)
    if earlier is not None:
        return Workbench(folder, job.with_parts(earlier), True)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    parts = [(part.row, part.col, part.height, part.width) for part in job.plan.parts]
    write_text(folder / _JOURNAL, json.dumps({"job": job.fingerprint, "parts": parts}, indent=1))
    return Workbench(folder, job, False)


def work_folder(result: Path) -> Path:
    """Where the parts of a class map are gathered."""
    return result.with_name(f".{result.stem}.parts")


def _earlier_parts(job: SceneJob, folder: Path) -> list[Window] | None:
    """How an earlier attempt at the same job was cut; None without one."""
    try:
        found = json.loads((folder / _JOURNAL).read_text(encoding="utf-8"))
        if found["job"] != job.fingerprint:
            return None
        return [Window(*part) for part in found["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
