"""`flexunet check`: what a careful colleague would find in a dataset."""

from __future__ import annotations

import typer

from .dataset_target import Out, Overrides, Overwrite, Target, folder_for


def check_command(
    target: Target,
    set_: Overrides,
    out: Out = None,
    fix: bool = typer.Option(
        False, "--fix", help="Move leaking copies out of train (and valid) into DATASET/set_aside."
    ),
    overwrite: Overwrite = False,
) -> None:
    """Check pairs, values, balance and leakage; exit code 1 if splits leak or files cannot be used.

    Finds the same ground in two splits though it was cut, rescaled, turned, mirrored, distorted, recoloured.
    Writes check.json, groups.csv (for flexunet prepare --groups) and pairs.png.

    Example: flexunet check WORK/bijie
    """
    from ..check import check, set_aside, write_report
    from ..check.report import REPORT
    from .exit_codes import FINDINGS
    from .progress import show_progress

    folder = folder_for(target, set_, out, command="check", main_file=REPORT, overwrite=overwrite)
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
        raise typer.Exit(FINDINGS)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check_command)
