"""What a user names to be predicted: files, folders, globs, lists, addresses; and which are scenes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import DataError, FlexunetError, Problem
from ...raster.decode import sniff
from ...raster.names import is_address
from ...raster.reader import GdalReader, refuse_foreign, side_grid
from ..outputs import find_images

Source = str | Path
"""A file, or an address that only GDAL understands."""

LIST_SUFFIXES = (".txt", ".lst")
LARGE_PIXELS = 4096 * 4096
"""Rasters with more pixels than that are scenes, georeferenced or not."""

_GLOB = re.compile(r"[*?\[]")


def find_sources(named: Sequence[Source]) -> list[Source]:
    """Every file and address that is meant, each once, in the order in which it was named.

    A folder stands for the pictures in it, `*`, `?` and `[...]` for what they match (`**` for folders at any
    depth), a `.txt` or `.lst` file for its lines (paths from its own folder, globs, addresses; `#` begins a
    remark).

    Raises:
        DataError: a folder without pictures, a pattern that matches nothing, a list that cannot be read, or
        nothing at all; everything in one report.
    """
    found: dict[str, Source] = {}
    problems: list[Problem] = []
    for source in named:
        try:
            for item in _meant(source):
                found.setdefault(str(item) if is_address(item) else str(Path(item).resolve()), item)
        except DataError as error:
            problems += error.problems or [Problem(str(error))]
    if problems or not found:
        raise DataError("there is nothing to predict:" if not found else "not all is there:", problems)
    return list(found.values())


def is_scene(source: Source) -> bool:
    """Whether the scene route takes it: an address, a raster with a georeference, or a large TIFF.

    What cannot be read is no scene; the picture route says what is wrong with it.
    """
    if is_address(source):
        return True
    path = Path(source)
    try:
        kind = sniff(path)
        if kind not in ("tiff", "unknown"):
            return side_grid(path).is_georeferenced
        refuse_foreign(path, kind)
        with GdalReader(path) as raster:
            return raster.grid.is_georeferenced or raster.shape[1] * raster.shape[2] > LARGE_PIXELS
    except FlexunetError:
        return False


def _meant(source: Source, within: tuple[Path, ...] = ()) -> Iterable[Source]:
    """What one name stands for; `within`: the lists that are being read, from the outermost on."""
    if is_address(source):
        return [source]
    path = Path(source)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        return _listed(path, within)
    if not path.exists() and _GLOB.search(str(source)):
        return _matching(path)
    return find_images([path])


def _matching(pattern: Path) -> list[Source]:
    """Files that match, by name."""
    fixed = [part for part in pattern.parts if not _GLOB.search(part)]
    anchor = Path(*pattern.parts[: _first_wild(pattern)]) if fixed else Path()
    rest = Path(*pattern.parts[_first_wild(pattern) :])
    matching: list[Source] = sorted(path for path in anchor.glob(str(rest)) if path.is_file())
    if not matching:
        raise DataError("", [Problem("no file matches this pattern", pattern)])
    return matching


def _first_wild(pattern: Path) -> int:
    return next(index for index, part in enumerate(pattern.parts) if _GLOB.search(part))


def _listed(path: Path, within: tuple[Path, ...]) -> list[Source]:
    whole = path.resolve()
    if whole in within:
        through = "" if within[-1] == whole else f", through {within[-1].name}"
        raise DataError("", [Problem(f"the list names itself{through}", path)])
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("", [Problem(f"the list cannot be read: {error}", path)]) from error
    names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    items: list[Source] = []
    problems: list[Problem] = []
    for name in names:
        try:
            items += _meant(name if is_address(name) else path.parent / name, (*within, whole))
        except DataError as error:
            problems += error.problems
    if problems or not items:
        raise DataError("", problems or [Problem("the list names nothing", path)])
    return items
