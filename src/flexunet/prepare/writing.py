"""Writing one part with its augmented copies; what the manifest says about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..files import sha256_of
from ..raster import Grid
from .items import MaskFile, Source
from .measuring import Part
from .offline import Variant
from .options import Options
from .picture_files import copied_mask_bytes, image_suffix, write_image, write_mask
from .pieces import Piece, companions_of, read_piece, resized_piece
from .planning import Plan
from .settings import decodes_otherwise, read_settings

Entry = dict[str, Any]


@dataclass(frozen=True)
class Writer:
    """Writes parts; every call stands for itself, so that any number of threads may share it."""

    source: Source
    plan: Plan
    options: Options
    variants: tuple[Variant, ...]
    merged: Mapping[str, tuple[NDArray[np.uint8], int]]
    """Merged labels and the number of changed pixels, by item id."""
    names: Mapping[str, str]
    """File name without suffix, by part id."""

    @cached_property
    def mask_style(self) -> Literal["keep", "index", "colours"]:
        """One encoding for the whole dataset: as the files are where masks are at most resized."""
        if self.options.masks != "auto":
            return self.options.masks
        parts = self.plan.parts
        files = all(part.item.mask is None or isinstance(part.item.mask, MaskFile) for part in parts)
        files = files and self.options.ignore_value is None
        files = files and not decodes_otherwise(read_settings(self.options.settings))
        redrawn = self.options.tile is not None or bool(self.variants) or bool(self.merged)
        holes = any(part.found for part in parts)
        return "keep" if files and not redrawn and not holes else "index"

    def write(self, part: Part, folder: Path) -> list[Entry]:
        """Writes image and mask (and original mask) of `part`, and its variants if it is trained on."""
        split = self.plan.splits[part.id]
        piece = None if self._copied(part) else self._piece(part)
        base: Entry = {"id": self.names[part.id], "split": split, "group": self.plan.groups[part.id]}
        entries = [base | self._described(part, piece) | self._files(part, piece, folder, split)]
        if self.variants and (split == "train" or split in self.plan.folds):
            piece = piece or self._piece(part)
            suffix = Path(entries[0]["image"]["file"]).suffix
            entries += [
                self._augmented(part, piece, variant, folder, split, suffix) for variant in self.variants
            ]
        return entries

    # ------------------------------------------------------------------------------ the part itself

    def _copied(self, part: Part) -> bool:
        """Whether image and mask can be copied byte for byte."""
        return part.copy_image and (part.item.mask is None or self.mask_style == "keep")

    def _piece(self, part: Part) -> Piece:
        """The part as it is written, with labels where they are needed."""
        piece = read_piece(part.item, self.options, part.window, labelled=True)
        if part.item.id in self.merged:
            labels = self.merged[part.item.id][0].copy()
            labels[~piece.valid] = IGNORE_INDEX
            piece = replace(piece, labels=labels)
        return resized_piece(piece, part.size_hw)

    def _described(self, part: Part, piece: Piece | None) -> Entry:
        height, width = part.size_hw
        entry: Entry = {
            "height": height,
            "width": width,
            "negative": self._is_negative(part),
            "object_share": round(part.object_share, 6),
        }
        if part.id != self.names[part.id] or part.item.id != part.id:
            entry["source_id"] = part.item.id
        if part.window is not None:
            window = part.window
            entry["window"] = [window.row, window.col, window.height, window.width]
            if piece is not None and piece.cut_from_hw is not None:
                entry["window_of"] = list(piece.cut_from_hw)
        if part.valid_share < 1:
            entry["missing_share"] = round(1 - part.valid_share, 6)
        if part.found:
            entry["missing_found"] = list(part.found)
        if part.grid.is_georeferenced and piece is not None:
            entry["transform"] = list(piece.grid.transform)
        if part.item.id in self.merged:
            mates = sorted(
                {self.source.items[i].id for pair in self.plan.overlaps for i in (pair.first, pair.second)
                 if part.item.id in (self.source.items[pair.first].id, self.source.items[pair.second].id)}
                - {part.item.id}
            )  # fmt: skip
            entry["merged"] = {"with": mates, "changed_pixels": self.merged[part.item.id][1]}
        return entry

    def _is_negative(self, part: Part) -> bool:
        """Without a mask, and none came from a neighbour on the same ground."""
        return part.item.mask is None and part.item.id not in self.merged

    def _files(self, part: Part, piece: Piece | None, folder: Path, split: str) -> Entry:
        stem, kind = self.names[part.id], "negatives" if self._is_negative(part) else "images"
        image = part.item.image
        if part.copy_image:
            assert image.copyable is not None
            target = _place(folder, split, kind, f"{stem}{image.copyable.suffix.lower()}")
            target.write_bytes(image.copyable.read_bytes())
        else:
            piece = piece or self._piece(part)
            target = _place(folder, split, kind, f"{stem}{image_suffix(piece)}")
            write_image(target, piece)
        files: Entry = {"image": self._told(target, folder, image.files)}
        if kind == "images":
            files["mask"] = self._mask(part, piece, folder, split, target.suffix)
        if part.item.id in self.merged and part.item.mask is not None:
            files["original_mask"] = self._original(part, folder, split, target.suffix)
        companions = companions_of(part.item, self.options)
        if companions:
            files["companions"] = [{"name": name, **self._sources([path])} for name, path in companions]
        return files

    def _mask(self, part: Part, piece: Piece | None, folder: Path, split: str, image_ending: str) -> Entry:
        stem, mask = self.names[part.id], part.item.mask
        sources = mask.files if mask is not None else ()
        if self.mask_style == "keep" and isinstance(mask, MaskFile):
            same = part.size_hw == part.source_hw
            suffix = mask.path.suffix.lower() if same else ".png"
            target = _place(folder, split, "masks", f"{stem}{suffix}")
            target.write_bytes(mask.path.read_bytes() if same else copied_mask_bytes(mask.path, part.size_hw))
            return self._told(target, folder, sources)
        piece = piece or self._piece(part)
        target = _place(folder, split, "masks", f"{stem}{_mask_suffix(piece, image_ending)}")
        self._draw(target, piece)
        return self._told(target, folder, sources)

    def _original(self, part: Part, folder: Path, split: str, image_ending: str) -> Entry:
        """The mask before merging, in the encoding of the others."""
        piece = read_piece(part.item, self.options, part.window, labelled=True)
        piece = resized_piece(piece, part.size_hw)
        name = f"{self.names[part.id]}{_mask_suffix(piece, image_ending)}"
        target = _place(folder, split, "masks_original", name)
        self._draw(target, piece)
        assert part.item.mask is not None
        return self._told(target, folder, part.item.mask.files)

    def _draw(self, target: Path, piece: Piece) -> None:
        assert piece.labels is not None
        colours = self.source.class_colours
        write_mask(target, piece.labels, piece.grid, colours, indices=self.mask_style != "colours")

    # --------------------------------------------------------------------------------- augmentation

    def _augmented(
        self, part: Part, piece: Piece, variant: Variant, folder: Path, split: str, suffix: str
    ) -> Entry:
        """One augmented copy beside its parent; it lies nowhere on the ground any more."""
        stem = f"{variant.prefix}{self.names[part.id]}"
        moved = replace(variant.of(piece, self.options.seed, part.id), grid=Grid())
        if suffix in (".jpg", ".jpeg", ".bmp", ".webp", ".jp2", ".npy"):
            suffix = image_suffix(moved)  # nothing is to be lost in a second compression
        kind = "negatives" if self._is_negative(part) else "images"
        # A fold validates the others without its augmented pictures, so they lie apart.
        place = f"{split}/augmented" if split in self.plan.folds else split
        target = _place(folder, place, kind, f"{stem}{suffix}")
        write_image(target, moved)
        entry: Entry = {
            "id": stem,
            "split": split,
            "group": self.plan.groups[part.id],
            "parent": self.names[part.id],
            "augmentation": {
                "operation": variant.operation,
                **variant.parameters,
                "seed": variant.seed(self.options.seed, part.id),
            },
            "height": moved.size_hw[0],
            "width": moved.size_hw[1],
            "negative": kind == "negatives",
            "image": self._told(target, folder, part.item.image.files),
        }
        if kind == "images":
            mask = _place(folder, place, "masks", f"{stem}{_mask_suffix(moved, suffix)}")
            self._draw(mask, moved)
            entry["mask"] = self._told(
                mask, folder, part.item.mask.files if part.item.mask is not None else ()
            )
        return entry

    def _told(self, target: Path, folder: Path, sources: Sequence[Path]) -> Entry:
        """File, sources and checksums."""
        told: Entry = {"file": target.relative_to(folder).as_posix()}
        return told | self._sources(sources) | {"sha256": sha256_of(target)}

    def _sources(self, paths: Sequence[Path]) -> Entry:
        """Names and checksums of files that something was read from; several are listed."""
        names = [_relative(path, self.source.root) for path in paths]
        sums = [_source_sha256(path, path.stat().st_mtime_ns) for path in paths]
        if len(names) == 1:
            return {"source": names[0], "source_sha256": sums[0]}
        return {"source": names, "source_sha256": sums} if names else {}


@lru_cache(maxsize=4096)
def _source_sha256(path: Path, changed_ns: int) -> str:
    return sha256_of(path)


def _relative(path: Path, root: Path) -> str:
    """The path below the source folder; a file from elsewhere as its name."""
    resolved = path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path.name


def _place(folder: Path, split: str, kind: str, name: str) -> Path:
    target = folder / split / kind / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _mask_suffix(piece: Piece, image_ending: str) -> str:
    """Masks of georeferenced images are GeoTIFFs too."""
    return ".tif" if piece.grid.is_georeferenced and image_ending in (".tif", ".tiff") else ".png"
