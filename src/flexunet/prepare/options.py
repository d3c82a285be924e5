"""Everything that decides what `prepare` writes; the manifest holds it, and it gives the same bytes again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, model_validator

from ..errors import Problem

LayoutName = Literal[
    "bijie",
    "pairs",
    "splits",
    "flat",
    "landslide4sense",
    "nnunet",
    "text-polygons",
    "via",
    "coco",
    "labelme",
    "scene",
]
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)
TerrainName = Literal["slope", "aspect", "hillshade", "curvature", "relief"]
MaskStyle = Literal["auto", "keep", "index", "colours"]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Options(BaseModel):
    """The choices of one preparation. Paths are as the user gave them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: LayoutName | None = None
    """How the raw material lies on disk; left out: found out."""
    image_pattern: str | None = None
    """`flat`: glob of the images, such as `Landslide*.png`."""
    mask_pattern: str | None = None
    """`flat`: glob of the masks; what the stars stand for pairs them."""
    vector: Path | None = None
    """`scene`: the layer with the objects; left out: the only one beside the raster."""
    aoi: Path | None = None
    """`scene`: the layer of what was looked at; everything outside is ignored, not background."""
    class_attribute: str | None = None
    """Attribute that names the class of a polygon; left out: all are one class."""
    classes: tuple[str, ...] | None = None
    """Names of the classes without the background, in order; left out: those found, sorted."""
    all_touched: bool = False
    """Whether a polygon takes every pixel that it touches; else those whose centre it covers."""
    ignore_buffer: NotNegative = 0.0
    """Pixels to either side of a polygon's boundary that are ignored."""
    settings: tuple[str, ...] = ()
    """How masks and pictures are read and paired, as `data.key=value`; see `settings.KNOWN`."""
    ignore_value: int | None = None
    """Mask value that means "not labelled"."""
    companions: tuple[str, ...] = ()
    """More bands, as `name=path`: a raster, or a folder with one for each image."""
    terrain: tuple[TerrainName, ...] = ()
    """Bands derived from the elevation."""
    dem: str | None = None
    """Which band is the elevation: a companion's name, or a band number of the image."""
    pixel_size: Annotated[float, Field(gt=0)] | None = None
    """Ground size of a pixel in metres where the grid does not say it."""
    nodata: float | None = None
    """Value of missing pixels where files declare none."""
    collars: bool = True
    """Whether connected areas at the edge that are 0 in all bands are missing."""
    size: tuple[Count, Count] | None = None
    """Height and width that every picture is brought to."""
    min_side: Count | None = None
    """Pictures whose shorter edge has fewer pixels are enlarged to it."""
    tile: Count | None = None
    """Edge of the tiles that pictures are cut into."""
    tile_overlap: Annotated[int, Field(ge=0)] = 0
    """Pixels that neighbouring tiles share."""
    min_valid: Share = 0.5
    """Least share of a tile that has data and a label."""
    empty_tiles: Share = 1.0
    """Share of the tiles without objects that is kept."""
    negatives: NotNegative | None = None
    """Pictures without objects for each one with; left out: all of them."""
    shares: tuple[float, float, float] = (0.70, 0.15, 0.15)
    """Of train, valid and test, in any unit."""
    seed: Annotated[int, Field(ge=0)] = 137
    """Seed of the split, of what is left out, and of the augmentation."""
    stratify: Literal["auto", "kind", "share"] = "auto"
    """Balance pictures with and without objects (`kind`), or object shares; auto: `kind` for Bijie."""
    groups: Path | None = None
    """CSV with the columns id and group (or `group_column`)."""
    group_column: str | None = None
    """Column of `groups`, or attribute that the layout knows."""
    group_pattern: str | None = None
    """Regular expression on ids; equal matches are one group."""
    overlaps: bool = True
    """Whether pictures that share ground are found and kept together where no groups are given."""
    merge_overlaps: Literal["union", "ignore"] | None = None
    """Masks on shared ground: the union for all, or ignored where they disagree."""
    splits: Path | None = None
    """CSV with the columns id and split, or a folder with train.txt, valid.txt, test.txt."""
    blocks: Count | None = None
    """Edge of the spatial blocks that are split as one, in pixels of the first picture."""
    buffer: Annotated[int, Field(ge=0)] = 0
    """Pixels between pictures of different splits; nearer ones are left out of train."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of folds in place of train and valid."""
    region_pattern: str | None = None
    """Regular expression on ids that tells the region."""
    leave_out: str | None = None
    """Region that is the test split; `each`: one fold a region."""
    augment: tuple[str, ...] = ()
    """Offline augmentation of train, such as `distortion:distortions=0.01,0.02`."""
    masks: MaskStyle = "auto"
    """How masks are written: as they are (`keep`), class indices, colours; auto: as they are if possible."""
    numbered: bool = False
    """Whether pictures are renamed 10001, 10002 ... as the reference does."""

    @model_validator(mode="after")
    def _consistent(self) -> Options:
        wrong: list[str] = []
        if not all(0 <= share < float("inf") for share in self.shares) or not self.shares[0] > 0:
            wrong.append(f"shares: none is negative and train's is above 0, not {self.shares}")
        if self.groups is not None and self.group_pattern is not None:
            wrong.append("groups: give a groups file or a group pattern, not both")
        if (self.image_pattern is None) != (self.mask_pattern is None):
            wrong.append("image_pattern and mask_pattern are given together or not at all")
        if self.tile is not None and self.tile_overlap >= self.tile:
            wrong.append(f"tile_overlap: less than the tile's {self.tile} pixels, not {self.tile_overlap}")
        if sum(x is not None for x in (self.splits, self.folds, self.leave_out)) > 1:
            wrong.append("splits, folds and leave_out exclude each other")
        if self.leave_out is not None and self.region_pattern is None and self.group_column is None:
            wrong.append("leave_out: needs regions; give region_pattern")
        if self.buffer and self.blocks is None:
            wrong.append("buffer: goes with blocks")
        if self.merge_overlaps is not None and self.masks == "keep":
            wrong.append("masks: merged masks cannot be kept as they are; choose index or colours")
        if self.merge_overlaps is not None and self.tile is not None:
            wrong.append("merge_overlaps: merges whole pictures; it does not go with tile")
        if self.masks == "keep" and (self.augment or self.tile is not None):
            wrong.append("masks: tiles and augmented masks have no file to keep; choose index or colours")
        for companion in self.companions:
            if not all(companion.partition("=")[::2]):
                wrong.append(f"companions: name=path is expected, not {companion!r}")
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @field_serializer("vector", "aoi", "groups", "splits")
    def _posix(self, path: Path | None) -> str | None:
        return None if path is None else path.as_posix()

    def recorded(self) -> dict[str, Any]:
        """JSON values; `Options.model_validate` makes the same options of them."""
        return self.model_dump(mode="json")


def read_options(values: dict[str, Any]) -> tuple[Options, list[Problem]]:
    """Options from keyword values, and everything that is wrong with them.

    Where something is, the options returned hold the values that are not part of it.
    """
    try:
        return Options.model_validate(values), []
    except ValidationError as error:
        faults = error.errors()
    wrong = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
    rest = {key: value for key, value in values.items() if key not in wrong}
    problems = [
        Problem(line.removeprefix("Value error, "), where=".".join(map(str, fault["loc"])) or None)
        for fault in faults
        for line in str(fault["msg"]).splitlines()
    ]
    if not wrong:
        return Options(), problems
    options, more = read_options(rest)
    return options, more + problems
