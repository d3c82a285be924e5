"""What a survey found, as a commented config."""

from __future__ import annotations

from pathlib import Path

from ..config import Config, OutputConfig, dump_toml
from .survey import Survey

_SHOWN = {
    "model.architecture",
    "train.epochs",
    "train.batch_size",
    "train.learning_rate",
    "train.seed",
    "output.dir",
}


def config_text(survey: Survey, folder: Path | None = None) -> str:
    """A native TOML config for the dataset surveyed; options left at their defaults stand as comments.

    Args:
        survey: of the dataset.
        folder: where the file will lie, if that is known: paths are then written relative to it.
    """
    lines = ["Found in the dataset:", *(f"  {note}" for note in survey.notes)]
    if survey.problems:
        lines += ["", "To look at before training:", *(f"  {problem}" for problem in survey.problems)]
    lines += ["", "A line that begins with # is an option at its default."]
    name = (survey.data.root or Path("run")).name
    config = Config(data=survey.data, output=OutputConfig(dir=Path("runs") / name))
    return dump_toml(
        config,
        comments=True,
        active=survey.found | _SHOWN,
        relative_to=None if folder is None else folder.resolve(),
        preamble="\n".join(lines),
    )
