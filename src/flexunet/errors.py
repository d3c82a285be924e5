"""Everything flexunet raises on purpose.

FlexunetError
├── ConfigError          (ValueError)       a config says something impossible; carries every Problem found
├── DataError            (ValueError)       images, masks or datasets that cannot be used as they are
├── RasterError          (OSError)          a picture or raster file that cannot be read or written
│   └── BandsError                          it is sound, and has not the bands that are asked for
├── ModelFileError       (ValueError)       a model file that is damaged, foreign or of another architecture
├── OutputExistsError    (FileExistsError)  a result is already there and nobody allowed to replace it
├── InUseError           (BlockingIOError)  another process works on the same files
├── MissingExtraError    (ImportError)      an optional dependency is needed; the message has the pip command
├── TrainingError        (RuntimeError)     a run that cannot go on: a full disk, a lost device
│   └── DivergedError                       a loss that is not finite
├── ClusterError         (RuntimeError)     a cluster that does not answer, is lost, or cannot do a task
└── Interrupted          (KeyboardInterrupt) stopped by the user or by SIGTERM after everything was saved
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what came, what was expected.

    `where` is what the user can find: a file, a key (`train.epochs`), a pixel. `line` counts from 1.
    """

    what: str
    path: Path | None = None
    line: int | None = None
    where: str | None = None
    cure: str | None = None

    @classmethod
    def of_file(cls, path: Path, fault: Exception) -> Problem:
        """A fault of a file without its name said twice."""
        text = f"{fault.strerror}" if isinstance(fault, OSError) and fault.strerror else str(fault)
        return cls(text.removeprefix(f"{path}: ").removeprefix(f"{path} "), path)

    def __str__(self) -> str:
        place = str(self.path) if self.path is not None else ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [part for part in (place, self.where, self.what) if part]
        text = ": ".join(parts)
        if not self.cure:
            return text
        end = "" if text.endswith((".", "!", "?")) else "."
        return f"{text}{end} {self.cure}"


class FlexunetError(Exception):
    """Root of all errors that are meant for the person at the keyboard; shown without a traceback."""


class ProblemsError(FlexunetError):
    """An error that reports everything wrong in one go."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))


class ConfigError(ProblemsError, ValueError):
    """A config says something impossible."""


class DataError(ProblemsError, ValueError):
    """Images, masks or datasets that cannot be used as they are."""


class RasterError(FlexunetError, OSError):
    """A picture or raster file that cannot be read or written."""


class BandsError(RasterError):
    """A sound picture or raster file without the bands that are asked for."""


class ModelFileError(FlexunetError, ValueError):
    """A model file that is damaged, foreign or of another architecture."""


class OutputExistsError(FlexunetError, FileExistsError):
    """A result is already there and nobody allowed to replace it."""


class InUseError(FlexunetError, BlockingIOError):
    """Another process works on the same files."""


class MissingExtraError(FlexunetError, ImportError):
    """An optional dependency is needed."""


class TrainingError(FlexunetError, RuntimeError):
    """A run that cannot go on."""


class DivergedError(TrainingError):
    """A loss that is not finite."""


class ClusterError(FlexunetError, RuntimeError):
    """A cluster that does not answer, is lost, or cannot do a task."""


class Interrupted(FlexunetError, KeyboardInterrupt):
    """Stopped by the user or by SIGTERM, after everything was saved."""
