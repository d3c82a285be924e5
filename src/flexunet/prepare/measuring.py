"""One careful look at everything before anything is written: sizes, classes, missing data, object shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..check.class_settings import mask_settings
from ..classes import IGNORE_INDEX
from ..config.schema import ClassConfig, DataConfig
from ..data import gathered_notes
from ..errors import DataError, FlexunetError, Problem, RasterError
from ..parallel import in_parallel
from ..progress import Tell
from ..raster import Grid, Window
from .items import Item, MaskFile, Source
from .options import Options
from .pieces import Piece, read_piece
from .resizing import output_size
from .settings import decodes_otherwise, laid_over, read_settings, reads_otherwise
from .tiling import Ground, ground_of, tile_windows

_MASKS_LOOKED_AT = 200


@dataclass(frozen=True)
class Part:
    """What becomes one picture of the dataset: an item, or a tile of it."""

    item: Item
    id: str
    window: Window | None
    source_hw: tuple[int, int]
    """Before resizing."""
    size_hw: tuple[int, int]
    ground: Ground
    grid: Grid = field(repr=False)
    bands: tuple[str, ...]
    dtype: str
    object_share: float
    """Of the labelled pixels."""
    valid_share: float
    found: tuple[str, ...]
    """Missing data that no file declares."""
    notes: tuple[str, ...]
    """What was not quite as usual about the files, for people."""
    copy_image: bool
    """Whether the file can be copied byte for byte."""

    @property
    def kind(self) -> str:
        """`images` with objects, `negatives` without."""
        return "images" if self.object_share > 0 else "negatives"


def with_classes(source: Source, options: Options) -> tuple[Source, tuple[str, ...]]:
    """The source with the classes of its mask files found out; notes.

    Raises:
        DataError: no mask can be read, or other classes than the options name.
    """
    given = read_settings(options.settings)
    if reads_otherwise(given):
        source = source.with_reading(given)
    if source.class_names is not None:
        if decodes_otherwise(given):
            raise DataError(
                f"--set: {source.layout} says itself what its masks mean; leave their settings out."
            )
        return source, ()
    masks = [item.mask.path for item in source.items if isinstance(item.mask, MaskFile)]
    if not masks:
        raise DataError(f"{source.root}: no image has a mask.")
    step = max(1, len(masks) // _MASKS_LOOKED_AT)
    notes: tuple[str, ...] = ()
    landslides = any("landslide" in path.as_posix().lower() for path in (source.root, *masks[:50]))
    if "classes" in given.model_fields_set:
        settings = given
    else:
        found, told = mask_settings(masks[::step], landslides=landslides)
        settings, notes = laid_over(found, given), told
    if options.ignore_value is not None:
        settings = _ignoring(settings, options.ignore_value)
    if options.classes is not None:
        named_count = len(options.classes) + 1
        if named_count != len(settings.classes):
            raise DataError(
                f"--classes names {named_count - 1} classes beside the background, but the masks hold "
                f"{len(settings.classes) - 1}: {', '.join(c.name for c in settings.classes[1:])}."
            )
        named = zip(settings.classes, ("background", *options.classes), strict=True)
        classes = tuple(item.model_copy(update={"name": name}) for item, name in named)
        settings = settings.model_copy(update={"classes": classes})
    return source.with_settings(settings), notes


def _ignoring(settings: DataConfig, value: int) -> DataConfig:
    """The settings with a value that means "not labelled"; the others are the classes, from below."""
    values = [
        v for label, item in enumerate(settings.classes) for v in (item.values or (label,)) if v != value
    ]
    if settings.ignore_value is not None and settings.ignore_value != value:
        values.append(settings.ignore_value)
    if len(values) < 2:
        raise DataError(
            f"--ignore-value {value}: {len(values)} other values are left; two classes are the least."
        )
    names: tuple[str, ...] | None = ("background", "object") if len(values) == 2 else None
    if len(values) == len(settings.classes):
        names = tuple(item.name for item in settings.classes)
    usual = DataConfig().classes
    classes = tuple(
        ClassConfig(
            name=names[label] if names else ("background" if label == 0 else f"class_{label}"),
            colour=usual[label].colour if len(values) == 2 else _colour(label),
            values=(v,),
        )
        for label, v in enumerate(sorted(values))
    )
    return DataConfig(classes=classes, mask_encoding="index", ignore_value=value)


def _colour(label: int) -> tuple[int, int, int]:
    from ..classes import palette_colour

    return palette_colour(label)


def measure(
    source: Source, options: Options, workers: int, progress: Tell | None
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """All parts, in the order of the items; notes. Everything is decoded, so that damage shows early.

    Raises:
        DataError: all items that cannot be used.
    """

    skip_damaged = read_settings(options.settings).on_damaged == "skip"
    left_out: list[str] = []

    def look(item: Item) -> tuple[list[Part], int, list[Problem]]:
        try:
            return *_parts(item, options), []
        except (FlexunetError, OSError) as error:
            if skip_damaged and isinstance(error, RasterError):
                left_out.append(f"left out: {error}")
                return [], 0, []
            problems = getattr(error, "problems", ()) or (Problem(str(error)),)
            return [], 0, list(problems)

    parts: list[Part] = []
    problems: list[Problem] = []
    looked = in_parallel(look, source.items, workers=workers, ahead=2, stage="checking", progress=progress)
    bare = 0
    for found, passed_over, wrong in looked:
        parts += found
        bare += passed_over
        problems += wrong
    problems += _differing(parts)
    if not parts and not problems:
        what = "no picture is left."
        if options.tile:
            what = f"no tile has data and a label in {options.min_valid:.0%} of its pixels (--min-valid)."
        problems.append(Problem(what, source.root))
    if problems:
        raise DataError("Some pictures cannot be used as they are:", problems)
    told = gathered_notes((part.id, part.notes) for part in parts)
    if bare:
        left_out.append(
            f"{bare} tiles left out: less than {options.min_valid:.0%} of their pixels have data and a label"
        )
    return tuple(parts), (*sorted(left_out), *told, *_missing_notes(parts))


def _parts(item: Item, options: Options) -> tuple[list[Part], int]:
    """The parts of an item, and how many of its tiles have too few pixels with data and a label."""
    with item.image.open() as reader:
        size_hw, grid = (reader.shape[1], reader.shape[2]), reader.grid
    windows: Sequence[Window | None] = (None,)
    if options.tile is not None:
        windows = tile_windows(size_hw, options.tile, options.tile_overlap)
    parts = []
    bare = 0
    for window in windows:
        piece = read_piece(item, options, window, labelled=True)
        if window is not None and _labelled(piece).mean() < max(options.min_valid, 1e-9):
            bare += 1
            continue
        parts.append(_part(item, options, window, piece, size_hw, grid))
    if parts and isinstance(item.mask, MaskFile):  # once an item, not for each of its tiles
        parts[0] = replace(parts[0], notes=(*parts[0].notes, *item.mask.notes))
    return parts, bare


def _labelled(piece: Piece) -> NDArray[np.bool_]:
    """(H, W): which pixels have data and a label, the only ones that a training learns from."""
    assert piece.labels is not None
    return np.asarray(piece.labels != IGNORE_INDEX)


def _part(
    item: Item, options: Options, window: Window | None, piece: Piece, size_hw: tuple[int, int], grid: Grid
) -> Part:
    counted = _labelled(piece)
    assert piece.labels is not None
    objects = int((counted & (piece.labels != 0)).sum())
    out_hw = output_size(piece.size_hw, options)
    name = item.id if window is None else f"{item.id}_r{window.row:05d}_c{window.col:05d}"
    given = options.nodata is not None and not piece.valid.all()
    unchanged = (
        item.image.copyable is not None
        and window is None
        and out_hw == piece.size_hw
        and not (options.companions or options.terrain or piece.found or given)
    )
    return Part(
        item,
        name,
        window,
        piece.size_hw,
        out_hw,
        ground_of(item.id, grid, window or Window(0, 0, *size_hw)),
        grid,
        piece.names,
        piece.pixels.dtype.name,
        objects / max(int(counted.sum()), 1),
        float(piece.valid.mean()),
        piece.found,
        piece.notes if window is None or (window.row, window.col) == (0, 0) else (),
        unchanged,
    )


def _differing(parts: Sequence[Part]) -> list[Problem]:
    """Pictures whose number of bands is not that of most: one network cannot take both."""
    counts = Counter(len(part.bands) for part in parts)
    if len(counts) < 2:
        return []
    usual, _ = counts.most_common(1)[0]
    if set(counts) == {1, 3} and all(part.dtype == "uint8" for part in parts):
        return []  # grey pictures among colour ones: the training repeats the band
    return [
        Problem(f"has {len(part.bands)} bands; most pictures have {usual}.", part.item.image.files[0])
        for part in parts
        if len(part.bands) != usual
    ]


def _missing_notes(parts: Sequence[Part]) -> tuple[str, ...]:
    notes = []
    undeclared = [part for part in parts if part.found]
    if undeclared:
        marks = ", ".join(sorted({mark for part in undeclared for mark in part.found}))
        shown = ", ".join(part.id for part in undeclared[:5])
        notes.append(f"{len(undeclared)} pictures hold missing data that no tag declares ({marks}): {shown}")
    gaps = [part for part in parts if part.valid_share < 1]
    if gaps:
        worst = min(gaps, key=lambda part: part.valid_share)
        notes.append(
            f"{len(gaps)} pictures have missing pixels, carried as no data (most of all {worst.id}: "
            f"{1 - worst.valid_share:.1%})"
        )
    return tuple(notes)
