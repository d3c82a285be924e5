"""Which files go in and which come out: names that never meet, and nothing that is there is replaced
unasked.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, OutputExistsError, Problem
from ..raster import IMAGE_SUFFIXES

_LISTED = 5


@dataclass(frozen=True)
class Outputs:
    """The files that one picture may lead to; `labels` is written last, so it tells that all are there."""

    labels: Path
    """Palette PNG."""
    raster: Path
    """Class map of a scene."""
    overlay: Path
    probability_png: Path
    probability_npz: Path

    @classmethod
    def of(cls, out: Path, name: str) -> Outputs:
        """The files called `name` in the folder `out`."""
        return cls(
            labels=out / f"{name}.png",
            raster=out / f"{name}.tif",
            overlay=out / "overlays" / f"{name}.png",
            probability_png=out / "probabilities" / f"{name}.png",
            probability_npz=out / "probabilities" / f"{name}.npz",
        )

    def all(self, overlay: bool, probability: bool) -> tuple[Path, ...]:
        """Every file that may be written of a picture."""
        extra: tuple[Path, ...] = (self.overlay,) if overlay else ()
        if probability:
            extra += (self.probability_png, self.probability_npz)
        return (self.labels, *extra)


def find_images(sources: Iterable[Path]) -> list[Path]:
    """The picture files of files and folders, each once; folders by name, without hidden files and
    sub-folders.

    A file is taken as it is named, even if it does not exist: its fault is reported with the others'.

    Raises:
        DataError: a folder without pictures, or nothing named at all.
    """
    found: dict[Path, Path] = {}
    problems = []
    for source in sources:
        files = [source]
        if source.is_dir():
            files = sorted(
                item
                for item in source.iterdir()
                if item.suffix.lower() in IMAGE_SUFFIXES and not item.name.startswith(".") and item.is_file()
            )
            if not files:
                problems.append(
                    Problem(f"no picture in this folder; names end in {', '.join(IMAGE_SUFFIXES)}", source)
                )
        for file in files:
            found.setdefault(file.resolve(), file)
    if problems or not found:
        raise DataError("there is nothing to predict:", problems)
    return list(found.values())


def name_outputs(images: Sequence[Path], out: Path) -> tuple[dict[Path, Outputs], list[str]]:
    """The outputs of each image, named by its stem, and a note for each that could not be.

    Where two stems differ in nothing but case or extension, both get their extension (`scene_jpg`,
    `scene_png`); where that is not enough, the name of their folder in front, then a number behind.
    """
    stems = [unicodedata.normalize("NFC", image.stem) for image in images]
    common = Counter(stem.casefold() for stem in stems)
    names: dict[Path, Outputs] = {}
    notes: list[str] = []
    taken: set[str] = set()
    for image, stem in zip(images, stems, strict=True):
        name = stem
        if common[stem.casefold()] > 1:
            name = f"{stem}_{image.suffix[1:]}"
            if name.casefold() in taken:
                name = f"{image.resolve().parent.name}_{name}"
        number = 2
        while name.casefold() in taken:
            name = f"{name.removesuffix(f'_{number - 1}')}_{number}"
            number += 1
        taken.add(name.casefold())
        names[image] = Outputs.of(out, name)
        if name != stem:
            notes.append(f"{image}: another image is called {stem} too; its results are called {name}.")
    return names, notes


def replaced_by(planned: Sequence[Path], inputs: Iterable[Path]) -> list[tuple[Path, Path]]:
    """The results that would take the place of an input, and that input; an input within a folder of results
    counts, however either is named (links, `..`, case).
    """
    results = {_identity(path): path for path in planned}
    found = []
    for path in inputs:
        whole = path.resolve()
        places = (results.get(_identity(place)) for place in (whole, *whole.parents))
        found += [(result, path) for result in places if result is not None]
    return found


def _identity(path: Path) -> tuple[int, int] | str:
    """The same for all names of one file: device and number where it is there, else where it will be."""
    try:
        found = path.stat()
    except OSError:
        return str(path.resolve())
    return (found.st_dev, found.st_ino) if found.st_ino else str(path.resolve())


def refuse_replacing(
    outputs: dict[Path, Outputs],
    *,
    overlay: bool,
    probability: bool,
    overwrite: bool,
    needed: Iterable[Path] = (),
) -> None:
    """Check that no result would replace an image, what else is `needed` or, unless `overwrite`, an earlier
    result.

    Raises:
        DataError: a result would have the name of one of the images or of what is needed.
        OutputExistsError: a result is there already.
    """
    planned = [path for item in outputs.values() for path in item.all(overlay, probability)]
    clashing = replaced_by(planned, [*outputs, *needed])
    if clashing:
        path, lost = clashing[0]
        what = "one of the images" if lost in outputs else "needed for the results"
        raise DataError(f"{path} is {what}; choose another folder for the results.")
    there = [path for path in planned if path.exists()]
    if there and not overwrite:
        listed = ", ".join(str(path) for path in there[:_LISTED])
        more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
        raise OutputExistsError(
            f"{listed}{more}: already there. Allow replacing with --overwrite, or choose another folder."
        )
