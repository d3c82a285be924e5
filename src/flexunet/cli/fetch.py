"""`flexunet fetch`: public landslide datasets."""

from __future__ import annotations

from pathlib import Path

import typer


def fetch_command(
    name: str | None = typer.Argument(None, help="Dataset; left out: the table of all."),
    out: Path | None = typer.Option(None, "--out", help="Folder to download to; left out: NAME."),
    yes: bool = typer.Option(False, "--yes", help="Accept the licence without being asked."),
) -> None:
    """Download a public landslide dataset: licence first, resumable, sizes and checksums verified.

    Files, checksums and licence are those that the dataset's Zenodo record publishes. Datasets without such a
    record are listed with the page they are on.

    Example: flexunet fetch landslide4sense --out raw/landslide4sense
    """
    from ..fetch import SOURCES, fetch, find_source, list_files
    from .progress import show_progress

    if name is None:
        for source in SOURCES:
            pinned = "sizes and checksums from its record" if source.record else "by hand; not pinned"
            typer.echo(f"{source.name}\n  {source.title}\n  {source.page} ({pinned})")
            typer.echo(f"  licence: {source.licence}\n  cite: {source.citation}")
        return
    source = find_source(name)
    listing = list_files(source)
    typer.echo(f"{source.title}\n{source.page}\nLicence: {listing.licence}\nCite: {source.citation}")
    for remote in listing.files:
        size = "size not pinned" if remote.size is None else f"{remote.size / 1e6:,.1f} MB"
        typer.echo(f"  {remote.name}  {size}  md5 {remote.md5 or 'not pinned'}")
    if not yes and not typer.confirm(f"Download {listing.size / 1e9:.2f} GB under this licence?"):
        return
    with show_progress() as progress:
        for path in fetch(source, listing, out or Path(source.name), progress=progress):
            typer.echo(str(path))
    if source.how:
        typer.echo(source.how)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fetch")(fetch_command)
