"""`flexunet distill`: one small network that has learned what an ensemble knows."""

from __future__ import annotations

from pathlib import Path

import typer


def distill(
    config: Path = typer.Argument(..., help="Config of the student, in either dialect."),
    teacher: Path = typer.Argument(..., help="Model file, or the folder of a run or of folds."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a setting."),
    weight: float | None = typer.Option(
        None, "--weight", min=0, max=1, help="Part of the loss that comes from the teacher; else 0.5."
    ),
    temperature: float | None = typer.Option(
        None, "--temperature", help="How much the probabilities are softened; else 2."
    ),
    budget: str | None = typer.Option(None, "--budget", help="Wall-clock time such as 60m or 1.5h."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run from its last saved state."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in the run folder."),
) -> None:
    """Train one network on the masks and on what a trained model or an ensemble says.

    The teacher sees each picture as the student does, turned and coloured alike. Its classes and bands must
    be those of the student; its architecture need not. It may have seen the validation split: judge the
    student on the test split.

    Example: flexunet distill student.toml runs/folds/ensemble.safetensors --set output.dir=runs/student
    """
    from ..prediction import locate_model
    from .train import train

    overrides = [*set_, f"train.teacher={locate_model(teacher).model.absolute()}"]
    if weight is not None:
        overrides.append(f"train.teacher_weight={weight}")
    if temperature is not None:
        overrides.append(f"train.teacher_temperature={temperature}")
    train(
        config, overrides, devices=None, budget=budget, quality=None, start_from=None, folds=None,
        seeds=None, groups=None, resume=resume, overwrite=overwrite,
    )  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("distill")(distill)
