"""What a run leaves on disk: its config at the start; models, log, curves and pictures after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..classes import Classes
from ..config import Config, dump_toml
from ..files import write_bytes, write_text
from ..modelfile import ModelRecord, save_model
from ..views import draw_curves
from .folder import RunFolder, claim_folder
from .pictures import draw_pictures, picture_names
from .runlog import draw_log, write_log, write_reference_files
from .state import Progress, Row, readable_disk_errors

DRAW_EVERY_SECONDS = 30.0
"""Curves are drawn at most this often, and at the end."""


class Outputs:
    """Writes the files of one run.

    source: the config file the user wrote, copied beside the model in the reference layout.
    pictured: images for the epoch pictures. curves: whether the log is drawn.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        source: Path | None,
        pictured: Sequence[Path],
        *,
        curves: bool = True,
    ) -> None:
        self._curves = curves
        self._folder, self._config, self._source, self._pictured = folder, config, source, pictured
        self._drawn_rows, self._drawn_at = 0, -math.inf

    def prepare(self, *, fresh: bool) -> None:
        """Claim the folder (`fresh`: remove what an earlier run wrote) and write down what the run is."""
        folder, source = self._folder, self._source
        with readable_disk_errors(folder.dir):
            copy = folder.config_copy(source)
            claim_folder(folder, copy, [*picture_names(self._pictured).values()], fresh=fresh)
            write_text(folder.config, dump_toml(self._config))
            if copy is not None and source is not None:
                write_bytes(folder.config.parent / copy, source.read_bytes())

    def epoch(
        self, progress: Progress, network: nn.Module, record: ModelRecord, classes: Classes, *, best: bool
    ) -> None:
        """Models, log, curves and pictures after an epoch."""
        folder, rows = self._folder, progress.rows
        with readable_disk_errors(folder.dir):
            save_model(folder.last, network, record)
            if best:
                save_model(folder.model, network, record)
            write_log(folder.log, classes, rows)
            if folder.reference:
                write_reference_files(folder, rows, self._config.output.metrics)
            if self._pictured:
                draw_pictures(progress.epoch, network, record, self._pictured, folder, self._config.train)
            if time.monotonic() - self._drawn_at > DRAW_EVERY_SECONDS:
                self.draw(rows)

    def draw(self, rows: Sequence[Row]) -> None:
        """Draw the curves if there is an epoch that is not drawn yet."""
        if not self._curves or len(rows) == self._drawn_rows:
            return
        with readable_disk_errors(self._folder.dir):
            draw_log(self._folder, rows, self._config.output.metrics, draw_curves)
        self._drawn_rows, self._drawn_at = len(rows), time.monotonic()
