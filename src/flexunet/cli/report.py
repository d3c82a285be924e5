"""`flexunet report`: the evidence of one run as a page, or of several beside each other."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, cast

import typer

from ..errors import ConfigError


def report(
    targets: list[Path] = typer.Argument(
        None, metavar="RUN...", help="Run folders, model files or configs; two and more are compared."
    ),
    split: str = typer.Option("test", "--split", help="train, valid or test."),
    data: Path | None = typer.Option(
        None, "--data", help="Dataset folder in place of the configs': {split}/{images,masks} in it."
    ),
    tta: bool = typer.Option(False, "--tta", help="Mean over the eight flips and quarter turns."),
    pixel_size: float | None = typer.Option(
        None, "--pixel-size", min=1e-6, help="Metres a pixel, for images whose files do not say it."
    ),
    out: Path | None = typer.Option(
        None,
        "--out",
        help="Folder; left out: evaluation_SPLIT in the run, comparison_SPLIT in the first run.",
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a setting of the configs."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Make reports anew that are there already."),
    check: str | None = typer.Option(
        None, "--check", metavar="SCORES", help='Only tell whether printed scores agree: "iou=0.74 f1=0.80".'
    ),
) -> None:
    """Write a page of evidence: scores with intervals, curves, objects, calibration, area, pictures.

    A run that has no report yet is evaluated first; one of another state of the model is made anew with
    --overwrite. Several runs are compared on the same images by a paired bootstrap. The pages need no
    network.

    Example: flexunet report runs/bijie runs/other --split test --tta
    """
    if check is not None:
        _check(check)
        return
    if not targets:
        raise ConfigError("name a run folder, model file or config, or two and more to compare.")
    if split not in ("train", "valid", "test"):
        raise ConfigError(f"--split {split}: expected train, valid or test")
    from ..evaluation.reporting import report_runs
    from .progress import show_progress

    chosen = cast(Literal["train", "valid", "test"], split)
    with show_progress() as progress:
        made = report_runs(
            targets,
            chosen,
            data=data,
            overrides=set_,
            tta=tta,
            pixel_size_m=pixel_size,
            out=out,
            overwrite=overwrite,
            progress=progress,
        )
    for note in made.notes:
        typer.echo(f"Note: {note}", err=True)
    for page in made.pages:
        typer.echo(str(page))


def _check(text: str) -> None:
    from ..metrics.consistency import NAMES, refuse_impossible

    scores: dict[str, float] = {}
    decimals: dict[str, int] = {}
    for part in text.replace(",", " ").split():
        name, _, value = part.partition("=")
        name = name.lower()
        if name not in NAMES:
            raise ConfigError(f"--check {part}: expected {', '.join(NAMES)}")
        if name in scores:
            raise ConfigError(f"--check: {name} is given twice.")
        try:
            exponent = Decimal(value).as_tuple().exponent
        except InvalidOperation:
            exponent = None
        if not isinstance(exponent, int):
            raise ConfigError(f'--check {part}: expected name=number, as in "iou=0.74 f1=0.80"')
        scores[name], decimals[name] = float(value), max(-exponent, 0)
    if len(scores) < 2:
        raise ConfigError('--check: give two scores or more of one class, as in "iou=0.74 f1=0.80".')
    refuse_impossible({"as printed": scores}, decimals)
    typer.echo(f"{text}: nothing excludes that they are of the same pixels.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)
