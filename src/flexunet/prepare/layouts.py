"""How raw material lies on disk: every layout becomes the same list of items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, Problem
from .pixels import PICTURE_SUFFIXES


@dataclass(frozen=True)
class Item:
    """One picture and its mask; without a mask it is a negative, all of it background."""

    id: str
    image: Path
    mask: Path | None

    @property
    def stratum(self) -> str:
        """What is split in equal shares: pictures with a mask and negatives, each for themselves."""
        return "images" if self.mask is not None else "negatives"


def read_layout(src: Path) -> tuple[Item, ...]:
    """All items of a raw dataset, in the order of their ids.

    Raises:
        DataError: no known layout; pictures without mask or masks without picture, all of them named.
    """
    if not src.is_dir():
        raise DataError(f"{src} is not a folder.")
    positives, negatives = _subfolder(src, "landslide"), _subfolder(src, "non-landslide")
    if positives is None:
        held = ", ".join(sorted(path.name for path in src.iterdir())[:8]) or "nothing"
        raise DataError(
            f"{src} is not in a layout that prepare knows. Expected: landslide/image and landslide/mask with "
            f"equal file names, and optionally non-landslide/image (the layout of Bijie). Found: {held}."
        )
    items = _read_pairs(positives / "image", positives / "mask")
    if negatives is not None:
        items += _read_negatives(negatives / "image", {item.id for item in items})
    return tuple(sorted(items, key=lambda item: (item.stratum, item.id)))


def _subfolder(src: Path, name: str) -> Path | None:
    return src / name if (src / name / "image").is_dir() else None


def _read_pairs(images: Path, masks: Path) -> list[Item]:
    problems: list[Problem] = []
    by_stem, masks_by_stem = _by_stem(images, problems), _by_stem(masks, problems)
    for stem in sorted(by_stem.keys() - masks_by_stem.keys()):
        problems.append(Problem("has no mask.", by_stem[stem], cure=f"Expected {masks / stem}.png."))
    for stem in sorted(masks_by_stem.keys() - by_stem.keys()):
        problems.append(
            Problem("belongs to no image.", masks_by_stem[stem], cure=f"Expected {images / stem}.png.")
        )
    if not by_stem and not problems:
        problems.append(Problem("holds no image.", images))
    if problems:
        raise DataError("Images and masks do not pair up:", problems)
    return [Item(stem, path, masks_by_stem[stem]) for stem, path in by_stem.items()]


def _read_negatives(images: Path, taken: set[str]) -> list[Item]:
    problems: list[Problem] = []
    by_stem = _by_stem(images, problems)
    if problems:
        raise DataError("Negatives cannot be used as they are:", problems)
    items = []
    for stem, path in by_stem.items():
        # Ids are unique over both kinds, so that one prediction folder can hold them all.
        name = stem if stem not in taken else f"negative_{stem}"
        items.append(Item(name, path, None))
    return items


def _by_stem(folder: Path, problems: list[Problem]) -> dict[str, Path]:
    """Pictures of a folder by file stem; other files and hidden ones are passed over."""
    found: dict[str, Path] = {}
    if not folder.is_dir():
        problems.append(Problem("is missing.", folder))
        return found
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            problems.append(Problem(f"has the same stem as {found[path.stem].name}.", path))
        found[path.stem] = path
    return found
