"""What one pair of files says about itself: sizes, types, values, classes, objects, features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX, Classes
from ..config.schema import DataConfig
from ..data import decode_mask
from ..data.entry import digest_of
from ..errors import FlexunetError
from ..parallel import in_parallel
from ..progress import Tell
from ..raster import Grid, Picture, read_picture
from ..raster.missing import SATURATED, collar, find_marks, without_marks
from .anchors import Anchors, find_anchors
from .dataset import Dataset, Member
from .near import Features, describe

BINS = 64
"""Bins of a band's histogram."""
EDGE_REACH_PX = 6
"""Shifts of a mask that are tried against the image's edges."""
LEAST_BLOCK = 0.1
"""Share of a picture from which a connected area of one value is worth a word."""
_CELLS = 32
_LEAST_SATURATED = 0.01


@dataclass(frozen=True)
class Facts:
    """Facts of one readable picture and its mask."""

    member: Member
    size: tuple[int, int]
    """(height, width)"""
    dtype: str
    band_names: tuple[str, ...]
    grid: Grid
    pixel_digest: str
    """Of pixels and valid: equal for equal pictures whatever their files."""
    digest: str
    """As the data store's, of pixels, labels and valid."""
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    sample: NDArray[np.float32]
    """(C, n) valid pixels, evenly spread: what histograms are made of."""
    missing: float
    """Share of pixels without data."""
    undeclared: str | None
    """Missing data that is not declared: what `flexunet prepare` carries as such."""
    saturated: float
    """Share of pixels with the largest value of 16 bits, where there are many."""
    blocks: tuple[tuple[int, float, float], ...]
    """(band from 1, value, share of the picture) of connected areas of one value, from `LEAST_BLOCK` on."""
    mask_size: tuple[int, int] | None
    class_pixels: tuple[int, ...]
    """Pixels of each class; of a negative all are background; empty where the mask cannot be used."""
    ignored_pixels: int
    objects: tuple[tuple[int, int], ...]
    """(class, area in pixels) of each connected patch of a foreground class, at most 10000 of them."""
    room: tuple[int, int, int, int] | None
    """Pixels that the foreground leaves free at the top, bottom, left and right; None without foreground."""
    foreground: NDArray[np.float32] | None
    """(32, 32): the share of foreground in each cell of a grid over the picture; None without any."""
    mask_digest: str | None
    """Equal for equal masks in any of eight positions; None without foreground or mask."""
    edges: NDArray[np.float32] | None
    """(2 R + 1, 2 R + 1): image contrast along the mask's outline for each shift of it, over its mean."""
    features: Features | None
    """What changed copies are found by; None where they are not looked for."""
    anchors: Anchors | None
    """What crops of one scene are found by; None like `features`."""
    notes: tuple[str, ...]
    faults: tuple[str, ...] = field(default=())
    """Why image or mask cannot be used, one line each."""


@dataclass(frozen=True)
class Unreadable:
    """A picture that no fact is known about."""

    member: Member
    fault: str


def gather(
    dataset: Dataset, *, find_copies: bool = True, progress: Tell | None = None
) -> Iterator[Facts | Unreadable]:
    """Facts of every member, in order; memory of a few pictures."""
    classes = dataset.data.class_table()

    def look(member: Member) -> Facts | Unreadable:
        return facts_of(member, dataset.data, classes, find_copies=find_copies)

    yield from in_parallel(look, dataset.members, stage="reading", progress=progress)


def read_member(member: Member, data: DataConfig) -> Picture:
    """The picture of a member as training would read it."""
    return read_picture(
        member.pair.image, bands=data.bands, channels=data.channels, nodata=data.nodata, alpha=data.alpha,
        exif_orientation=data.exif_orientation,
    )  # fmt: skip


def read_labels(member: Member, data: DataConfig, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Labels uint8 (H, W) of a member, all background for a negative; None where they cannot be used."""
    if member.pair.mask is None:
        return np.zeros(size, np.uint8)
    try:
        labels = decode_mask(member.pair.mask, data).labels
    except FlexunetError:
        return None
    return labels if labels.shape == size else None


def facts_of(
    member: Member, data: DataConfig, classes: Classes, *, find_copies: bool = True
) -> Facts | Unreadable:
    """Everything about one pair."""
    try:
        picture = read_member(member, data)
    except FlexunetError as error:
        return Unreadable(member, str(error))
    pixels, valid = picture.pixels, picture.valid
    size = (pixels.shape[1], pixels.shape[2])
    faults: list[str] = []
    notes = list(picture.notes)
    labels: NDArray[np.uint8] | None = np.zeros(size, np.uint8)
    mask_size: tuple[int, int] | None = None
    if member.pair.mask is not None:
        try:
            mask = decode_mask(member.pair.mask, data)
            labels, mask_size = mask.labels, (mask.labels.shape[0], mask.labels.shape[1])
            notes += mask.notes
        except FlexunetError as error:
            labels = None
            faults.append(str(error))
    if labels is not None and labels.shape != size:
        faults.append(
            f"{member.pair.mask}: is {labels.shape[0]} x {labels.shape[1]} pixels (height x width), "
            f"its image {size[0]} x {size[1]}"
        )
        labels = None
    undeclared, measured = _undeclared(pixels, valid)
    known = pixels.reshape(len(pixels), -1)[:, valid.ravel()]
    sample = known[:, :: max(1, known.shape[1] // 1024)].astype(np.float32)
    counts = np.zeros(256, np.int64) if labels is None else np.bincount(labels.ravel(), minlength=256)
    return Facts(
        member=member,
        size=size,
        dtype=pixels.dtype.name,
        band_names=picture.band_names,
        grid=picture.grid,
        pixel_digest=digest_of(pixels, valid),
        digest="" if labels is None else digest_of(pixels, labels, valid),
        means=_per_band(known, np.mean),
        deviations=_per_band(known, np.std),
        lows=_per_band(known, np.min),
        highs=_per_band(known, np.max),
        sample=sample,
        missing=1 - float(valid.mean()),
        undeclared=undeclared,
        saturated=_saturated(pixels, measured),
        blocks=_blocks(pixels, measured),
        mask_size=mask_size,
        class_pixels=() if labels is None else tuple(counts[: len(classes)].tolist()),
        ignored_pixels=int(counts[IGNORE_INDEX]),
        objects=() if labels is None else _objects(labels, classes),
        room=None if labels is None else _room(labels, classes),
        foreground=None if labels is None else _foreground(labels, classes),
        mask_digest=None if labels is None or member.pair.mask is None else _mask_digest(labels, classes),
        edges=None if labels is None else _edge_contrast(pixels, valid, labels, classes),
        features=describe(pixels, valid) if find_copies else None,
        anchors=find_anchors(np.ascontiguousarray(pixels.transpose(1, 2, 0))) if find_copies else None,
        notes=tuple(notes),
        faults=tuple(faults),
    )


def _per_band(known: NDArray[Any], measure: Any) -> tuple[float, ...]:
    if not known.shape[1]:
        return (float("nan"),) * len(known)
    return tuple(float(measure(band.astype(np.float64))) for band in known)


def _undeclared(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[str | None, NDArray[np.bool_]]:
    """What looks like missing data, in words, by the rules of `flexunet prepare`; the pixels without it."""
    told = []
    known = valid
    for mark in find_marks(pixels, valid):
        left = without_marks(pixels, known, (mark,))
        told.append(f"{mark:g} in {1 - left.sum() / max(int(known.sum()), 1):.1%} of the pixels")
        known = left
    around = collar(pixels, valid)
    if around is not None and (around & known).any():
        told.append(f"a collar of zeros in all bands, {(around & known).mean():.1%} of the pixels")
        known = known & ~around
    return "; ".join(told) or None, known


def _saturated(pixels: NDArray[Any], known: NDArray[np.bool_]) -> float:
    if pixels.dtype.name not in ("uint16", "float32"):
        return 0.0
    share = float(((pixels == SATURATED).any(0) & known).mean())
    return share if share > _LEAST_SATURATED else 0.0


def _blocks(pixels: NDArray[Any], known: NDArray[np.bool_]) -> tuple[tuple[int, float, float], ...]:
    """The most frequent value of each band that is not constant, where it fills a large connected area."""
    found = []
    for number, band in enumerate(pixels, start=1):
        values = band[known]
        seen, counts = np.unique(values[:: max(1, values.size // 4096)], return_counts=True)
        if not counts.size or counts.max() < LEAST_BLOCK / 2 * counts.sum():
            continue
        value = seen[counts.argmax()]
        here = (band == value) & known
        if here.mean() < LEAST_BLOCK or (values == value).all():
            continue
        _, _, table, _ = cv2.connectedComponentsWithStats(here.view(np.uint8), connectivity=4)
        share = float(table[1:, cv2.CC_STAT_AREA].max()) / here.size
        if share >= LEAST_BLOCK:
            found.append((number, float(value), share))
    return tuple(found)


def _objects(labels: NDArray[np.uint8], classes: Classes) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for label in classes.foreground:
        inside = (labels == label).astype(np.uint8)
        if not inside.any():
            continue
        _, _, table, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
        areas = np.sort(table[1:, cv2.CC_STAT_AREA])[::-1]
        found += [(label, int(area)) for area in areas[:10000]]
    return tuple(found)


def _room(labels: NDArray[np.uint8], classes: Classes) -> tuple[int, int, int, int] | None:
    rows, columns = np.nonzero(np.isin(labels, classes.foreground))
    if not rows.size:
        return None
    height, width = labels.shape
    return (
        int(rows.min()), height - 1 - int(rows.max()), int(columns.min()), width - 1 - int(columns.max())
    )  # fmt: skip


def _foreground(labels: NDArray[np.uint8], classes: Classes) -> NDArray[np.float32] | None:
    inside = np.isin(labels, classes.foreground).astype(np.float32)
    if not inside.any():
        return None
    return np.asarray(cv2.resize(inside, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32)


def _mask_digest(labels: NDArray[np.uint8], classes: Classes) -> str | None:
    if int(np.isin(labels, classes.foreground).sum()) < 20:
        return None
    positions = [np.rot90(side, turn) for side in (labels, labels[:, ::-1]) for turn in range(4)]
    first = min(positions, key=lambda position: (position.shape, position.tobytes()))
    return digest_of(np.ascontiguousarray(first))


def _edge_contrast(
    pixels: NDArray[Any], valid: NDArray[np.bool_], labels: NDArray[np.uint8], classes: Classes
) -> NDArray[np.float32] | None:
    """How strong the image's edges are along the mask's outline, for every shift of the mask."""
    reach = EDGE_REACH_PX
    height, width = labels.shape
    if min(height, width) < 6 * reach:
        return None
    inside = np.isin(labels, classes.foreground)
    border = np.zeros_like(inside)
    border[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    border[1:] |= inside[1:] != inside[:-1]
    border[: 2 * reach], border[-2 * reach :], border[:, : 2 * reach], border[:, -2 * reach :] = (False,) * 4
    rows, columns = np.nonzero(border)
    if len(rows) < 60:
        return None
    every = max(1, len(rows) // 600)
    rows, columns = rows[::every], columns[::every]
    slope = np.zeros((height, width), np.float32)
    for band in pixels[:4]:
        plane = cv2.GaussianBlur(np.where(valid, band, band[valid].mean()).astype(np.float32), (0, 0), 1.0)
        steps = cv2.magnitude(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1))
        slope += steps / max(float(steps.mean()), 1e-9)
    edge = 2 * reach + 1
    around = np.lib.stride_tricks.sliding_window_view(slope, (edge, edge))
    found = around[rows - reach, columns - reach].mean(0)
    return np.asarray(found / max(float(found.mean()), 1e-9), np.float32)


def usable(facts: Sequence[Facts | Unreadable]) -> list[Facts]:
    """Those whose picture could be read."""
    return [item for item in facts if isinstance(item, Facts)]
