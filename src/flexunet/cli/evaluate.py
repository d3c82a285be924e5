"""`flexunet evaluate`: a model against the masks of a split."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import typer

from ..errors import ConfigError


def evaluate(
    target: Path = typer.Argument(..., metavar="MODEL|RUN|CONFIG", help="Model file, run folder, or config."),
    split: str = typer.Option("test", "--split", help="train, valid or test."),
    data: Path | None = typer.Option(
        None, "--data", help="Dataset folder in place of the config's: {split}/{images,masks} in it."
    ),
    tta: bool = typer.Option(False, "--tta", help="Mean over the eight flips and quarter turns."),
    out: Path | None = typer.Option(
        None, "--out", help="Folder of the report; left out: evaluation_SPLIT in the run folder."
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a setting of the config."
    ),
    pixel_size: float | None = typer.Option(
        None, "--pixel-size", min=1e-6, help="Metres a pixel, for images whose files do not say it."
    ),
    calibrate: bool = typer.Option(
        False,
        "--calibrate",
        help="First fit temperature, threshold and applicability on the validation split and store them in "
        "the model file.",
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the evaluation that is there."),
) -> None:
    """Score a model at the masks' own resolution: IoU, F1, precision, recall, pictures of worst and best.

    Example: flexunet evaluate runs/bijie --split test --tta
    """
    if split not in ("train", "valid", "test"):
        raise ConfigError(f"--split {split}: expected train, valid or test")
    chosen = cast(Literal["train", "valid", "test"], split)
    from ..evaluation import evaluate_job, job_of, report_places, score_table
    from ..evaluation.applicability import describe_applicability
    from ..evaluation.fitting import calibrate_model, describe_calibration
    from ..modelfile import read_record
    from .progress import show_progress

    job = job_of(target, chosen, data, set_)
    for note in job.notes:
        typer.echo(f"Note: {note}", err=True)
    report_places(job, chosen, out, tta=tta, overwrite=overwrite)  # before a calibration is done for nothing
    with show_progress() as progress:
        if calibrate:
            settings_tta = tta or job.settings.tta
            found = calibrate_model(job.model, job.data, tta=settings_tta, progress=progress)
            typer.echo(describe_calibration(found), err=True)
            typer.echo(describe_applicability(read_record(job.model).applicability), err=True)
        result = evaluate_job(
            job, chosen, out, tta=tta, pixel_size_m=pixel_size, overwrite=overwrite, progress=progress
        )
    typer.echo(score_table(result.scores))
    typer.echo(str(result.out))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)
