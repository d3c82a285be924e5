"""`flexunet check`: what a careful colleague would find in a dataset."""

from __future__ import annotations

from pathlib import Path

import typer


def check_command(
    target: Path = typer.Argument(..., metavar="DATASET|CONFIG", help="Dataset folder, or a config."),
    out: Path | None = typer.Option(
        None, "--out", help="Folder of the report; left out: NAME_check in the current folder."
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Override a setting of the config."
    ),
    fix: bool = typer.Option(
        False, "--fix", help="Move leaking copies out of train (and valid) into DATASET/set_aside."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the report that is there."),
) -> None:
    """Check pairs, values, balance and leakage; exit code 1 if splits leak or files cannot be used.

    Finds the same ground in two splits though it was cut, rescaled, turned, mirrored, distorted, recoloured.
    Writes check.json, groups.csv (for flexunet prepare --groups) and pairs.png.

    Example: flexunet check WORK/bijie
    """
    from ..check import check, set_aside, write_report
    from ..check.report import REPORT
    from ..errors import DataError, OutputExistsError
    from .app import EXIT_FINDINGS
    from .progress import show_progress

    if set_ and target.is_dir():
        raise DataError("--set changes a config; give the config in place of the dataset folder.")
    name = target.resolve().name if target.is_dir() else target.stem
    folder = out if out is not None else Path(f"{name}_check")
    if (folder / REPORT).exists() and not overwrite:
        raise OutputExistsError(
            f"{folder} holds a report already. Use --overwrite, or another folder with --out."
        )
    with show_progress() as progress:
        found = check(target, set_, progress=progress)
        written = write_report(found, folder, overwrite=overwrite)
    typer.echo(found.text())
    for path in written:
        typer.echo(str(path))
    if fix and found.leaks:
        log, moved = set_aside(found)
        typer.echo(f"{moved} pictures set aside; {log} says where each came from. Check again.")
    if found.faulty:
        raise typer.Exit(EXIT_FINDINGS)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check_command)
