"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

SHAPEFILE_SIDES = (".shx", ".dbf", ".cpg", ".prj")
"""Endings of the files that make a Shapefile with the `.shp`."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well.

    On an exception (a full disk, Ctrl-C) the half-written file is removed and `path` stays as it was. Faults
    of the system name `path`. The permissions are those of any new file, whatever the writer makes of them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with beside.open("xb") as handle:
            permissions = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
        yield beside
        beside.chmod(permissions)
        with beside.open("rb+") as handle:
            os.fsync(handle.fileno())
        beside.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(beside)):
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of their attempts to write `path`; nobody else may be writing it."""
    for stale in path.parent.glob(f".{escape(path.name)}.*.part*"):
        stale.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `\\n` line ends, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_bytes(content)


def layer_of(path: Path) -> tuple[Path, str | None]:
    """File and layer of `file.gpkg|layername=a`, as QGIS writes it; the layer is None where none is named."""
    file, named, layer = str(path).partition("|layername=")
    if not named or path.exists():
        return path, None
    return Path(file), layer


def files_of_layer(path: Path) -> tuple[Path, ...]:
    """The files that a vector layer is read from: of a Shapefile those beside it too."""
    file = layer_of(path)[0]
    if file.suffix.lower() != ".shp" or not file.is_file():
        return (file,)
    sides = (
        beside
        for beside in file.parent.iterdir()
        if beside.stem == file.stem and beside.suffix.lower() in SHAPEFILE_SIDES
    )
    return (file, *sorted(sides))
