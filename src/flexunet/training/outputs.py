"""What a run leaves on disk: its config at the start; models, log, curves and pictures after each epoch.

Models and state are what a run is for: where they cannot be written, it ends. All else is to be looked at: a
log that is open in a spreadsheet, a picture that is damaged, are said once and tried again after the next
epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from ..config import Config, dump_toml, without_dial
from ..errors import FlexunetError
from ..files import write_bytes, write_text
from ..modelfile import ModelRecord, save_model
from ..views import draw_curves
from .folder import RunFolder, claim_folder
from .noticed import Note, as_csv
from .pictures import draw_pictures, picture_names
from .reporter import Reporter
from .runlog import charts, log_files
from .state import Progress, Row, readable_disk_errors

DRAW_EVERY_SECONDS = 30.0
"""Curves are drawn at most this often, and at the end."""


class Outputs:
    """Writes the files of one run.

    source: the config file the user wrote, copied beside the model in the reference layout. record: what the
    model files say; scores and place in the run come with every epoch. pictured: images for the epoch
    pictures. curves: whether the log is drawn.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        source: Path | None,
        record: ModelRecord,
        pictured: Sequence[Path],
        reporter: Reporter,
        *,
        curves: bool = True,
    ) -> None:
        self._curves, self._reporter = curves, reporter
        self._folder, self._config, self._source, self._pictured = folder, config, source, pictured
        self._record = record
        self._failed: set[Path] = set()
        self._logged_rows = self._drawn_rows = 0
        self._drawn_at = -math.inf

    def prepare(self, notes: Sequence[Note], *, fresh: bool) -> None:
        """Claim the folder (`fresh`: remove what an earlier run wrote); write down what the run is, and what
        was noticed about its data.
        """
        folder, source = self._folder, self._source
        with readable_disk_errors(folder.dir):
            copy = folder.config_copy(source)
            claim_folder(folder, copy, [*picture_names(self._pictured).values()], fresh=fresh)
            write_text(folder.config, dump_toml(without_dial(self._config)))
            if copy is not None and source is not None:
                write_bytes(folder.config.parent / copy, source.read_bytes())
        with self._tried(folder.notes):
            if notes:
                write_text(folder.notes, as_csv(notes))
            else:
                folder.notes.unlink(missing_ok=True)

    def models(self, progress: Progress, network: nn.Module, *, best: bool) -> None:
        """The model files after an epoch.

        Raises:
            TrainingError: they cannot be written; those of the epoch before are intact.
        """
        folder, record = self._folder, self._record_at(progress)
        with readable_disk_errors(folder.dir):
            save_model(folder.last, network, record)
            if best:
                save_model(folder.model, network, record)

    def show(self, progress: Progress, network: nn.Module) -> None:
        """Log, pictures and curves after an epoch."""
        self._log(progress.rows)
        if self._pictured:
            draw_pictures(
                progress.epoch, network, self._record_at(progress), self._pictured, self._folder,
                self._config.train, self._tried,
            )  # fmt: skip
        if time.monotonic() - self._drawn_at > DRAW_EVERY_SECONDS:
            self._draw(progress.rows)

    def finish(self, rows: Sequence[Row]) -> None:
        """Log and curves once more where they lack an epoch: one that failed, or that a kill left out."""
        if self._failed or self._logged_rows < len(rows):
            self._log(rows)
        if self._failed or self._drawn_rows < len(rows):
            self._draw(rows)

    def _record_at(self, progress: Progress) -> ModelRecord:
        """The record with the scores of the last epoch, and when it was."""
        row = progress.rows[-1]
        scores = {} if row["val_loss"] is None else {"valid": row}
        training = {**self._record.training, "epoch": progress.epoch, "step": progress.step}
        return self._record.model_copy(update={"scores": scores, "training": training})

    def _log(self, rows: Sequence[Row]) -> None:
        metrics = self._config.output.metrics
        for path, text in log_files(self._folder, self._record.classes, rows, metrics).items():
            with self._tried(path):
                write_text(path, text)
        self._logged_rows = len(rows)

    def _draw(self, rows: Sequence[Row]) -> None:
        if not self._curves:
            return
        for path, title, series in charts(self._folder, rows, self._config.output.metrics):
            with self._tried(path):
                draw_curves(series, path, title)
        self._drawn_rows, self._drawn_at = len(rows), time.monotonic()

    @contextmanager
    def _tried(self, path: Path) -> Iterator[None]:
        """A block about `path`: a failure is said, once until it succeeds, and costs no epoch."""
        try:
            yield
        except (FlexunetError, OSError) as error:
            if path not in self._failed:
                self._failed.add(path)
                self._reporter.warn(f"{_told(error, path)} The run goes on and tries again after each epoch.")
        else:
            self._failed.discard(path)


def _told(error: FlexunetError | OSError, path: Path) -> str:
    """A fault in one sentence that names the file."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or path}: {error.strerror}."
    return f"{str(error).removesuffix('.')}."
