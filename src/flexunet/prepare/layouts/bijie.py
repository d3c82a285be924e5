"""The Bijie tree: landslide/{image,mask,dem,polygon_coordinate} and non-landslide/{image,dem}."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError, Problem
from ..items import Item, MaskFile, MaskSource, PictureFile, Source
from ..options import Options
from ..polygons import polygon_mask
from .folders import by_stem, refuse_or_leave_out, unpaired
from .text_polygons import read_vertices


def matches(root: Path) -> bool:
    """Whether `root` looks like it."""
    return (root / "landslide" / "image").is_dir()


def read(root: Path, options: Options) -> Source:
    """Masks come from `mask`, or where that folder is not there from `polygon_coordinate`."""
    problems: list[Problem] = []
    notes: list[str] = []
    items = _positives(root / "landslide", options, problems, notes)
    if (root / "non-landslide" / "image").is_dir():
        taken = {item.id for item in items}
        negatives = root / "non-landslide"
        for stem, path in by_stem(negatives / "image", problems).items():
            # Ids are unique over both kinds, so that one prediction folder can hold them all.
            name = stem if stem not in taken else f"negative_{stem}"
            items.append(
                Item(name, PictureFile(path, options.nodata), None, companions=_dem(negatives, stem))
            )
    if problems:
        raise DataError("Images and masks do not pair up:", problems)
    ordered = tuple(sorted(items, key=lambda item: (item.stratum, item.id)))
    names = None if (root / "landslide" / "mask").is_dir() else ("background", "landslide")
    return Source("bijie", root, ordered, names, tuple(notes))


def _positives(folder: Path, options: Options, problems: list[Problem], notes: list[str]) -> list[Item]:
    images = by_stem(folder / "image", problems)
    masks: dict[str, MaskSource] = {}
    if not (folder / "mask").is_dir() and (folder / "polygon_coordinate").is_dir():
        texts = {path.stem: path for path in sorted((folder / "polygon_coordinate").glob("*.txt"))}
        alone = unpaired(images, texts, folder / "image", folder / "polygon_coordinate", ".txt")
        refuse_or_leave_out(alone, options, problems, notes)
        for stem in sorted(images.keys() & texts.keys()):
            shapes = [(ring, 1) for ring in read_vertices(texts[stem], problems)]
            masks[stem] = polygon_mask(texts[stem], shapes, options, problems, notes)
    else:
        files = by_stem(folder / "mask", problems)
        alone = unpaired(images, files, folder / "image", folder / "mask")
        refuse_or_leave_out(alone, options, problems, notes)
        masks = {stem: MaskFile(path) for stem, path in files.items()}
    if not images and not problems:
        problems.append(Problem("holds no image.", folder / "image"))
    return [
        Item(stem, PictureFile(path, options.nodata), masks[stem], companions=_dem(folder, stem))
        for stem, path in images.items()
        if stem in masks
    ]


def _dem(folder: Path, stem: str) -> tuple[tuple[str, Path], ...]:
    for suffix in (".png", ".tif", ".tiff"):
        path = folder / "dem" / f"{stem}{suffix}"
        if path.is_file():
            return (("dem", path),)
    return ()
