"""`flexunet prepare SRC DST`."""

from __future__ import annotations

from pathlib import Path

import typer

from ..errors import DataError


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("prepare")(prepare_command)


def prepare_command(
    src: Path = typer.Argument(
        ..., help="Raw dataset: landslide/image, landslide/mask, non-landslide/image."
    ),
    dst: Path = typer.Argument(
        ..., help="Dataset folder to make: {train,valid,test}/{images,masks,negatives}."
    ),
    shares: str = typer.Option("70,15,15", "--shares", help="Shares of train, valid and test, in any unit."),
    seed: int = typer.Option(137, "--seed", min=0, help="Seed of the split."),
    min_side: int = typer.Option(
        None,
        "--min-side",
        min=1,
        help="Enlarge pictures whose shorter edge has fewer pixels; left out: never.",
    ),
    groups: Path = typer.Option(
        None, "--groups", help="CSV with the columns id,group: pictures of one group stay in one split."
    ),
    group_pattern: str = typer.Option(
        None, "--group-pattern", help="Regular expression on file stems; equal matches are one group."
    ),
    overlaps: bool = typer.Option(
        True, "--overlaps/--no-overlaps", help="Without groups given, find pictures that share ground."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a dataset that prepare made earlier."),
) -> None:
    """Turn raw material into a dataset folder: pairs, groups, an honest split, a manifest.

    Pictures that show the same ground never part. The files are copied as they are unless --min-side asks for
    larger ones, and manifest.json says where each came from. DST appears whole or not at all.

    Example: flexunet prepare bijie WORK/bijie
    """
    from ..prepare import prepare
    from .progress import show_progress

    with show_progress() as progress:
        prepared = prepare(
            src,
            dst,
            shares=_parse_shares(shares),
            seed=seed,
            min_side=min_side,
            groups=groups,
            group_pattern=group_pattern,
            overlaps=overlaps,
            overwrite=overwrite,
            progress=progress,
        )
    for note in prepared.notes:
        print(note)
    print(f"{'':<8}{'images':>8}{'negatives':>11}")
    for split, counts in prepared.counts.items():
        print(f"{split:<8}{counts.get('images', 0):>8}{counts.get('negatives', 0):>11}")
    print(f"{prepared.grouped_count} pictures in {prepared.group_count} groups")
    print(prepared.dir)


def _parse_shares(text: str) -> tuple[float, float, float]:
    try:
        train, valid, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError as error:
        raise DataError(f"--shares {text!r}: three numbers are expected, such as 70,15,15.") from error
    return train, valid, test
