"""The data section: where images and masks lie, what the classes are, how pixels are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ..classes import IGNORE_INDEX, Classes, Colour
from .section import Contradiction, Positive, Section, Share


class ClassConfig(Section):
    """One class; its position in `data.classes` is its label, the first one is the background."""

    name: str
    """Name shown in tables and pictures."""
    colour: Colour
    """RGB colour of the class, in colour masks and in everything that is drawn."""
    values: tuple[int, ...] | None = None
    """Grey or index values of this class in index masks; left out: the position of the class."""


class SplitConfig(Section):
    """Where the pictures and masks of one split lie; folders may hold `*` (one folder a match)."""

    images: tuple[Path, ...]
    """Folders of images."""
    masks: tuple[Path, ...] = ()
    """Folders of masks."""
    negatives: tuple[Path, ...] = ()
    """Folders of images without any object: no mask files, every pixel is background."""


class DataConfig(Section):
    """Images and masks."""

    root: Path | None = None
    """Dataset folder with {train,valid,test}/{images,masks} (and optionally negatives beside images)."""
    train: SplitConfig | None = None
    """Explicit folders of the training split, in place of `root`."""
    valid: SplitConfig | None = None
    """Explicit folders of the validation split, in place of `root`."""
    test: SplitConfig | None = None
    """Explicit folders of the test split, in place of `root`."""
    folds: Path | None = None
    """Table of folds (id, group, fold) that `train --folds` writes: it divides train and valid anew."""
    fold: Positive | None = None
    """The fold of the table that is validated on; all others are trained on."""

    classes: tuple[ClassConfig, ...] = (
        ClassConfig(name="background", colour=(0, 0, 0)),
        ClassConfig(name="landslide", colour=(255, 255, 0)),
    )
    """The classes in order; the first one is the background."""
    mask_encoding: Literal["auto", "colours", "index", "threshold", "onehot"] = "auto"
    """How masks say the class: colours, index values, a grey threshold, one-hot .npz; or found per file."""
    mask_axes: Literal["HWC", "CHW"] = "HWC"
    """Axis order of one-hot masks."""
    threshold: int = 127
    """`threshold` encoding: grey values above it are class 1."""
    invert_masks: bool = False
    """`threshold` encoding: grey values up to the threshold are class 1 instead."""
    ignore_value: int | None = None
    """Mask value that counts neither in the loss nor in any score."""
    ignore_colour: Colour | None = None
    """Mask colour that counts neither in the loss nor in any score."""
    off_map_tolerance: Share = 0.02
    """Largest share of a mask's pixels that may lie far from every class colour (blended edges)."""
    mask_size: Literal["error", "resize"] = "error"
    """What to do with a mask of another size than its image: refuse, or resize with nearest neighbour."""

    image_pattern: str | None = None
    """Regular expression on image stems; its groups are the pairing key where the masks' names differ."""
    mask_pattern: str | None = None
    """Regular expression on mask stems; its groups are the pairing key."""
    on_orphan: Literal["error", "skip"] = "error"
    """What to do with an image without mask or a mask without image."""
    on_damaged: Literal["error", "skip"] = "error"
    """What to do with a file that cannot be decoded in full."""

    bands: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """Bands to use, counted from 1; left out: all of them."""
    band_names: tuple[str, ...] | None = None
    """Names of the bands in use, kept in the model file."""
    channels: Positive | None = None
    """Channels every image is brought to (grey is repeated to 3, alpha is nodata); left out: as found."""
    nodata: Annotated[float, Field(allow_inf_nan=True)] | None = None
    """Value of missing pixels where files declare none; NaN, infinities and ±3.4e38 are always missing."""
    alpha: Literal["nodata", "ignore"] = "nodata"
    """Transparent pixels are missing data, or alpha is dropped."""
    exif_orientation: Literal["apply", "ignore"] = "apply"
    """Whether pictures are turned as their EXIF orientation tag says."""
    normalisation: Literal["statistics", "scale255", "none"] = "statistics"
    """Band mean and standard deviation of the training split; division by 255; or raw values."""

    size: tuple[Positive, Positive] = (256, 256)
    """Height and width that the network is trained at, in pixels."""
    sizing: Literal["resize", "fit", "crop"] = "resize"
    """How a picture gets there: squeezed; aspect kept and padded (padding is ignored); or random crops."""
    cache_dir: Path | None = None
    """Where decoded images are kept; left out: `.flexunet-cache` beside the images."""

    @field_validator("image_pattern", "mask_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if not groups:
            raise ValueError(f"{pattern!r} has no group; put brackets round what both names share")
        return pattern

    def contradictions(self) -> Iterator[Contradiction]:
        """A sound table of classes, each mask value of one meaning, keys in pairs where they belong so."""
        yield from self._classes_apart()
        yield from self._values_apart()
        for one, other in (("folds", "fold"), ("image_pattern", "mask_pattern")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                yield Contradiction(((one,), (other,)), f"{one} and {other} are given together or not at all")
        if self.bands is not None and self.band_names is not None and len(self.bands) != len(self.band_names):
            yield Contradiction(
                (("bands",), ("band_names",)),
                f"{len(self.bands)} bands but {len(self.band_names)} band_names",
            )

    def _classes_apart(self) -> Iterator[Contradiction]:
        count = len(self.classes)
        if not 2 <= count <= IGNORE_INDEX:
            yield Contradiction((("classes",),), f"{count} classes given; 2 to {IGNORE_INDEX} are possible")
        for what in ("name", "colour"):
            first: dict[object, int] = {}
            for label, item in enumerate(self.classes):
                value = getattr(item, what)
                if first.setdefault(value, label) != label:
                    yield Contradiction(
                        (("classes", label, what), ("classes", first[value], what)),
                        f"the class {what} {value!r} is given twice",
                    )
            if what == "colour" and self.ignore_colour in first:
                yield Contradiction(
                    (("ignore_colour",), ("classes", first[self.ignore_colour], what)),
                    f"ignore_colour {self.ignore_colour} is the colour of the class "
                    f"{self.classes[first[self.ignore_colour]].name!r}",
                )

    def _values_apart(self) -> Iterator[Contradiction]:
        """No value of index masks may stand for two things: each reading would be as good."""
        first: dict[int, int] = {}
        for label, item in enumerate(self.classes):
            for value in dict.fromkeys(item.values if item.values is not None else (label,)):
                if first.setdefault(value, label) != label:
                    other = first[value]
                    yield Contradiction(
                        (("classes", label, "values"), ("classes", other, "values")),
                        f"the mask value {value} stands for both {self.classes[other].name!r} and "
                        f"{item.name!r}",
                    )
        if self.ignore_value in first and self.mask_encoding in ("auto", "index", "onehot"):
            label = first[self.ignore_value]
            yield Contradiction(
                (("ignore_value",), ("classes", label, "values")),
                f"ignore_value {self.ignore_value} is a value of the class {self.classes[label].name!r}",
            )

    def at(self, folder: Path) -> DataConfig:
        """The same settings for another dataset folder, divided as its splits are."""
        own = dict.fromkeys(("train", "valid", "test", "folds", "fold"))
        return self.model_copy(update={"root": folder.absolute(), **own})

    def class_table(self) -> Classes:
        """The classes as one value."""
        return Classes(
            names=tuple(item.name for item in self.classes),
            colours=tuple(item.colour for item in self.classes),
        )
