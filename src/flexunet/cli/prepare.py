"""`flexunet prepare SRC DST`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from ..errors import DataError

_SOURCE, _BANDS, _SHAPE = "Source", "Bands and missing data", "Sizes, tiles, negatives"
_SPLIT, _OUTPUT = "Split", "Augmentation and output"

_BESIDE_LIKE = ("src", "dst", "like", "workers", "overwrite")
"""Parameters that say nothing about the bytes of a dataset."""


class Terrain(StrEnum):
    """Bands derived from elevation."""

    SLOPE = "slope"
    ASPECT = "aspect"
    HILLSHADE = "hillshade"
    CURVATURE = "curvature"
    RELIEF = "relief"


class Merge(StrEnum):
    """What becomes of masks on shared ground."""

    UNION = "union"
    IGNORE = "ignore"


class Masks(StrEnum):
    """How masks are written."""

    AUTO = "auto"
    KEEP = "keep"
    INDEX = "index"
    COLOURS = "colours"


class Stratify(StrEnum):
    """What the splits are balanced by."""

    AUTO = "auto"
    KIND = "kind"
    SHARE = "share"


def register(app: typer.Typer) -> None:
    """Adds the command to `app`."""
    app.command("prepare")(prepare_command)


def _option(default: Any, name: str, panel: str, text: str, **more: Any) -> Any:
    return typer.Option(default, name, help=text, rich_help_panel=panel, **more)


def prepare_command(
    context: typer.Context,
    src: Path = typer.Argument(..., help="Raw material: a folder in one of the layouts, or a raster."),
    dst: Path = typer.Argument(
        ..., help="Dataset folder to make: {train,valid,test}/{images,masks,negatives}."
    ),
    layout: str = _option(
        None,
        "--layout",
        _SOURCE,
        "bijie, pairs, splits, flat, landslide4sense, nnunet, text-polygons, via, coco, labelme or scene; "
        "left out: found out.",
    ),
    image_pattern: str = _option(
        None, "--image-pattern", _SOURCE, "Glob of the images, such as 'Landslide*.png'; stars pair."
    ),
    mask_pattern: str = _option(
        None, "--mask-pattern", _SOURCE, "Glob of the masks, such as 'LandslideLabel*.png'."
    ),
    vector: Path = _option(
        None,
        "--vector",
        _SOURCE,
        "Vector layer with the objects of a scene, in any CRS: a file, or 'file.gpkg|layername=a'.",
    ),
    aoi: Path = _option(
        None, "--aoi", _SOURCE, "Vector layer of what was looked at, named likewise; outside is ignored."
    ),
    class_attribute: str = _option(
        None, "--class-attribute", _SOURCE, "Attribute that names the class; left out: one class."
    ),
    classes: str = _option(None, "--classes", _SOURCE, "Names of the classes without background, a,b,c."),
    all_touched: bool = _option(
        False, "--all-touched", _SOURCE, "Polygons take every pixel that they touch, not only its centre."
    ),
    ignore_buffer: float = _option(
        0.0, "--ignore-buffer", _SOURCE, "Pixels to either side of polygon outlines that are ignored."
    ),
    ignore_value: int = _option(None, "--ignore-value", _SOURCE, "Mask value that means not labelled."),
    set_: list[str] = _option(
        [],
        "--set",
        _SOURCE,
        "How masks and pictures are read, as data.KEY=VALUE: classes, mask_encoding, mask_axes, threshold, "
        "invert_masks, off_map_tolerance, mask_size, on_orphan, on_damaged, exif_orientation ... Repeatable.",
    ),
    companion: list[str] = _option(
        [],
        "--companion",
        _BANDS,
        "More bands, name=path: a raster, a folder with one for each image, or `own` for the layout's "
        "(Bijie: dem=own). Repeatable.",
    ),
    terrain: list[Terrain] = _option([], "--terrain", _BANDS, "Bands derived from elevation. Repeatable."),
    dem: str = _option(
        None, "--dem", _BANDS, "The elevation: a companion's name or a band number; left out: `dem`."
    ),
    pixel_size: float = _option(
        None, "--pixel-size", _BANDS, "Metres to a pixel where the grid does not say so."
    ),
    nodata: float = _option(None, "--nodata", _BANDS, "Value of missing pixels where files declare none."),
    collars: bool = _option(
        True, "--collars/--no-collars", _BANDS, "Take areas of zeros along the edge for missing data."
    ),
    size: str = _option(None, "--size", _SHAPE, "Bring every picture to HEIGHTxWIDTH pixels."),
    min_side: int = _option(
        None,
        "--min-side",
        _SHAPE,
        "Enlarge pictures whose shorter edge has fewer pixels; left out: never.",
        min=1,
    ),
    tile: int = _option(
        None, "--tile", _SHAPE, "Cut into tiles of this edge in pixels, after --size and --min-side.", min=1
    ),
    tile_overlap: int = _option(0, "--tile-overlap", _SHAPE, "Pixels shared by neighbouring tiles.", min=0),
    min_valid: float = _option(0.5, "--min-valid", _SHAPE, "Least share of a tile with data and a label."),
    empty_tiles: float = _option(1.0, "--empty-tiles", _SHAPE, "Share of tiles without objects to keep."),
    negatives: float = _option(
        None, "--negatives", _SHAPE, "Pictures without objects for each one with; left out: all."
    ),
    shares: str = _option("70,15,15", "--shares", _SPLIT, "Shares of train, valid and test, in any unit."),
    seed: int = _option(137, "--seed", _SPLIT, "Seed of split, choice and augmentation.", min=0),
    stratify: Stratify = _option(
        Stratify.AUTO, "--stratify", _SPLIT, "Balance kinds, or object shares; auto: kinds for Bijie."
    ),
    groups: Path = _option(
        None, "--groups", _SPLIT, "CSV with the columns id,group: pictures of one group stay in one split."
    ),
    group_column: str = _option(None, "--group-column", _SPLIT, "Another column than `group`."),
    group_pattern: str = _option(
        None, "--group-pattern", _SPLIT, "Regular expression on file stems; equal matches are one group."
    ),
    overlaps: bool = _option(
        True,
        "--overlaps/--no-overlaps",
        _SPLIT,
        "Without groups given, find pictures that share ground, as check does.",
    ),
    merge_overlaps: Merge = _option(
        None, "--merge-overlaps", _SPLIT, "Masks on shared ground: their union, or ignore disagreement."
    ),
    splits: Path = _option(
        None, "--splits", _SPLIT, "Given split: CSV with id,split, or a folder with train.txt, valid.txt ..."
    ),
    blocks: int = _option(
        None, "--blocks", _SPLIT, "Split by area: edge of the blocks in pixels of the first scene.", min=1
    ),
    buffer: int = _option(
        0, "--buffer", _SPLIT, "Pixels between blocks of different splits; nearer tiles are left out.", min=0
    ),
    folds: int = _option(None, "--folds", _SPLIT, "This many folds, with a config each.", min=2),
    region_pattern: str = _option(None, "--region-pattern", _SPLIT, "Regular expression that tells regions."),
    leave_out: str = _option(
        None, "--leave-out", _SPLIT, "Region that is the test split; `each`: one fold a region."
    ),
    augment: list[str] = _option(
        [],
        "--augment",
        _OUTPUT,
        "Offline augmentation of train: hflip, vflip, rotation, shrinks, shears, deformation, distortion, "
        "barrdistortion, pincdistortion, sharpening, brightening, with the reference's parameters "
        "(distortion:distortions=0.01,0.02). Repeatable.",
    ),
    masks: Masks = _option(Masks.AUTO, "--masks", _OUTPUT, "Masks as they are, class indices, or colours."),
    numbered: bool = _option(False, "--numbered", _OUTPUT, "Name pictures 10001, 10002 ..."),
    like: Path = _option(
        None,
        "--like",
        _OUTPUT,
        "Take all options from this manifest.json (its bytes come out again); others are refused beside it.",
    ),
    workers: int = _option(None, "--workers", _OUTPUT, "Threads; left out: one a core.", min=1),
    overwrite: bool = _option(False, "--overwrite", _OUTPUT, "Replace a dataset that prepare made earlier."),
) -> None:
    """Turn raw material into a dataset folder: pairs, groups, an honest split, a manifest.

    Pictures that show the same ground never part. Files are copied as they are unless an option changes
    them, and manifest.json says where each came from. DST appears whole or not at all; after a crash the same
    command goes on where it was.

    Example: flexunet prepare bijie WORK/bijie

    Example: flexunet prepare dem.tif WORK/terrain --vector slides.shp --tile 128 --blocks 256
    """
    from ..prepare import prepare, read_manifest_options
    from .progress import show_progress

    if like is not None:
        _refuse_beside_like(context, like)
    choices: dict[str, Any] = {
        "layout": layout,
        "image_pattern": image_pattern,
        "mask_pattern": mask_pattern,
        "vector": vector,
        "aoi": aoi,
        "class_attribute": class_attribute,
        "classes": _parse_names(classes),
        "all_touched": all_touched,
        "ignore_buffer": ignore_buffer,
        "ignore_value": ignore_value,
        "settings": tuple(set_),
        "companions": tuple(companion),
        "terrain": tuple(each.value for each in terrain),
        "dem": dem,
        "pixel_size": pixel_size,
        "nodata": nodata,
        "collars": collars,
        "size": _parse_size(size),
        "min_side": min_side,
        "tile": tile,
        "tile_overlap": tile_overlap,
        "min_valid": min_valid,
        "empty_tiles": empty_tiles,
        "negatives": negatives,
        "shares": _parse_shares(shares),
        "seed": seed,
        "stratify": stratify.value,
        "groups": groups,
        "group_column": group_column,
        "group_pattern": group_pattern,
        "overlaps": overlaps,
        "merge_overlaps": merge_overlaps.value if merge_overlaps else None,
        "splits": splits,
        "blocks": blocks,
        "buffer": buffer,
        "folds": folds,
        "region_pattern": region_pattern,
        "leave_out": leave_out,
        "augment": tuple(augment),
        "masks": masks.value,
        "numbered": numbered,
    }
    options = read_manifest_options(like) if like is not None else None
    with show_progress() as progress:
        prepared = prepare(
            src, dst, options, overwrite=overwrite, workers=workers, progress=progress,
            **({} if options is not None else choices),
        )  # fmt: skip
    for note in prepared.notes:
        print(note)
    _print_counts(prepared.counts)
    print(f"{prepared.grouped_count} pictures in {prepared.group_count} groups")
    print(prepared.dir)


def _refuse_beside_like(context: typer.Context, like: Path) -> None:
    """Options that were typed beside --like would have to be passed over."""
    typed = [
        parameter.secondary_opts[0]
        if parameter.secondary_opts and not context.params[parameter.name]
        else parameter.opts[0]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in _BESIDE_LIKE
        and (origin := context.get_parameter_source(parameter.name)) is not None
        and origin.name == "COMMANDLINE"
    ]
    if typed:
        raise DataError(
            f"--like {like}: all options come from this manifest; {', '.join(typed)} would not count. Leave "
            "that out; or leave out --like and give all options that you want."
        )


def _print_counts(counts: dict[str, dict[str, int]]) -> None:
    augmented = any("augmented" in kinds for kinds in counts.values())
    width = max(8, *(len(name) + 1 for name in counts))
    print(f"{'':<{width}}{'images':>8}{'negatives':>11}" + (f"{'augmented':>11}" if augmented else ""))
    for split, kinds in counts.items():
        more = f"{kinds.get('augmented', 0):>11}" if augmented else ""
        print(f"{split:<{width}}{kinds.get('images', 0):>8}{kinds.get('negatives', 0):>11}{more}")


def _parse_shares(text: str) -> tuple[float, float, float]:
    try:
        train, valid, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError as error:
        raise DataError(f"--shares {text!r}: three numbers are expected, such as 70,15,15.") from error
    return train, valid, test


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise DataError(f"--size {text!r}: HEIGHTxWIDTH is expected, such as 512x512.") from error
    return height, width


def _parse_names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())
