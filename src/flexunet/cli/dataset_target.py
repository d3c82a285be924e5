"""What the commands that look at a dataset take: a folder or a config, and a folder for what they write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[Path, typer.Argument(metavar="DATASET|CONFIG", help="Dataset folder, or a config.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        default_factory=list,
        show_default=False,
        metavar="KEY=VALUE",
        help="Override a setting of the config.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder to write; left out: NAME_COMMAND in the current folder."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there from an earlier time.")]


def folder_for(
    target: Path, overrides: Sequence[str], out: Path | None, *, command: str, main_file: str, overwrite: bool
) -> Path:
    """The folder to write into, refused before any work where it may not be written.

    main_file: the file that stands for a finished result of `command`.

    Raises:
        DataError: settings are overridden, but a folder has none.
        OutputExistsError: a result is there and `overwrite` is False.
    """
    from ..errors import DataError, OutputExistsError

    if overrides and target.is_dir():
        raise DataError("--set changes a config; give the config in place of the dataset folder.")
    name = target.resolve().name if target.is_dir() else target.stem
    folder = out if out is not None else Path(f"{name}_{command}")
    if (folder / main_file).exists() and not overwrite:
        raise OutputExistsError(
            f"{folder} holds {main_file} already. Use --overwrite, or another folder with --out."
        )
    return folder
