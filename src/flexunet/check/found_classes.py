"""The classes that a set of masks holds, told from blended edges and JPEG noise.

A class covers areas: somewhere a pixel of it has eight neighbours of the same value. In-between colours along
edges hardly ever do. So values are counted by such inner pixels, near ones join the more frequent one, and
only where a mask set has very few values do thin ones count as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..classes import Colour
from ..config.schema import DataConfig
from ..data.onehot import read_onehot
from ..errors import DataError, FlexunetError, RasterError
from ..raster import MaskPicture, read_mask_picture

Kind = Literal["colours", "values", "onehot"]
Axes = Literal["HWC", "CHW"]

_FEW = 16
"""Up to so many different values, all of them count that are not very rare."""
_RARE = 1e-4
_NEAR, _NEAR_LOSSY = 8.0, 90.0
_LARGEST_SIDE = 2048
_BRIGHT = 240


@dataclass
class FoundClass:
    """One value or colour that covers areas."""

    key: int
    """Grey or index value, or the colour as red << 16 | green << 8 | blue."""
    share: float
    """Of all pixels looked at."""
    masks: int
    """Masks that hold it."""


@dataclass
class MaskFindings:
    """What a set of masks holds."""

    kind: Kind
    classes: tuple[FoundClass, ...]
    masks: int
    """Masks looked at."""
    lossy: int
    """Of them JPEG."""
    other_share: float
    """Share of pixels with none of the values."""
    axes: Axes = "HWC"
    channels: int = 0
    """Channels of one-hot masks."""
    two_valued: bool = False
    """Whether each grey mask holds 0 and at most one other value, 1 or bright: 1-bit files, 0/255."""
    joint: frozenset[int] = frozenset()
    """Values that stand in one mask together with two others or more."""
    mixed: bool = False
    """Whether there are masks of another kind, too."""
    notes: tuple[str, ...] = ()


@dataclass
class _Tally:
    """Pixels of one kind of mask, counted over all files."""

    pixels: Counter[int] = field(default_factory=Counter)
    inner: Counter[int] = field(default_factory=Counter)
    files: Counter[int] = field(default_factory=Counter)
    masks: int = 0
    lossy: int = 0
    two_valued: bool = True
    joint: set[int] = field(default_factory=set)

    exact: dict[int, Counter[int]] = field(default_factory=dict)
    """Of lossy masks: the values themselves, by the coarse value they are counted under."""

    def add(self, codes: NDArray[np.int64], lossy: bool) -> None:
        if lossy:
            fine, counts = _counts(codes.ravel())
            for key, coarse, count in zip(
                fine.tolist(), _coarse(fine).tolist(), counts.tolist(), strict=True
            ):
                self.exact.setdefault(coarse, Counter())[key] += count
            codes = _coarse(codes)
        values, counts = _counts(codes.ravel())
        self.pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        self.files.update(values.tolist())
        bright = [value for value in values.tolist() if value != 0]
        self.two_valued &= len(bright) <= 1 and all(value == 1 or value >= _BRIGHT for value in bright)
        if len(values) > 2:
            self.joint.update(values.tolist())
        inner, inner_counts = _counts(codes[_is_inner(codes)])
        self.inner.update(dict(zip(inner.tolist(), inner_counts.tolist(), strict=True)))
        self.masks += 1
        self.lossy += lossy


def _counts(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values (n,) and how often each occurs; by runs of equal values, of which masks have few."""
    if not codes.size:
        return codes, codes
    starts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
    lengths = np.diff(np.append(starts, codes.size))
    values, which = np.unique(codes[starts], return_inverse=True)
    return values, np.bincount(which, weights=lengths).astype(np.int64)


def find_classes(paths: Iterable[Path]) -> MaskFindings:
    """Look into masks and tell their kind and classes; files that cannot be read are named in the notes.

    Memory: one mask at a time; of masks above 2048 pixels a side only the middle is looked at.

    Raises:
        DataError: there is no mask, or none can be read.
    """
    tallies: dict[Kind, _Tally] = {"colours": _Tally(), "values": _Tally(), "onehot": _Tally()}
    shapes: Counter[tuple[Axes, int]] = Counter()
    notes: list[str] = []
    for path in paths:
        try:
            if path.suffix.lower() == ".npz":
                kind, codes, lossy = *_onehot_codes(path, shapes), False
            else:
                picture = read_mask_picture(path)
                kind, codes = _codes(picture)
                lossy = picture.lossy
        except FlexunetError as error:
            notes.append(f"not looked at: {error}")
            continue
        tallies[kind].add(_middle(codes), lossy)
    kind = max(tallies, key=lambda name: tallies[name].masks)
    if not tallies[kind].masks:
        raise DataError("\n".join(["no mask can be read", *notes]))
    for other, tally in tallies.items():
        if other != kind and tally.masks:
            notes.append(f"{tally.masks} masks hold {other}, unlike the other {tallies[kind].masks} ({kind})")
    if len(shapes) > 1:
        notes.append(
            "one-hot masks differ: " + ", ".join(f"{n} of {c} channels ({a})" for (a, c), n in shapes.items())
        )
    findings = _findings(kind, tallies[kind])
    findings.mixed = sum(tally.masks > 0 for tally in tallies.values()) > 1
    findings.axes, findings.channels = shapes.most_common(1)[0][0] if shapes else ("HWC", 0)
    findings.notes = tuple(notes)
    return findings


def colour_of(key: int) -> Colour:
    """The RGB colour that a key of `colours` stands for."""
    return key >> 16 & 255, key >> 8 & 255, key & 255


# ---------------------------------------------------------------------- from file to keys


def _codes(picture: MaskPicture) -> tuple[Kind, NDArray[np.int64]]:
    """Kind and keys (H, W) of a mask picture: colours for palettes and unequal bands, else values."""
    bands = picture.bands
    if picture.palette is not None:
        palette = picture.palette.astype(np.int64)
        inside = np.minimum(bands[0].astype(np.int64), len(palette) - 1)
        return "colours", _packed(palette.T)[inside]
    if len(bands) > 1 and not all((band == bands[0]).all() for band in bands[1:]):
        if len(bands) != 3 or bands.dtype != np.uint8:
            raise RasterError(f"a mask of {len(bands)} different {bands.dtype} bands")
        return "colours", _packed(bands.astype(np.int64))
    grey = bands[0]
    if grey.dtype.kind == "f":
        if not np.isfinite(grey).all() or (grey != np.round(grey)).any():
            raise RasterError(f"a mask of {grey.dtype} with fractions or NaN")
        grey = np.clip(grey, -(2.0**31), 2.0**31)
    return "values", grey.astype(np.int64)


def _packed(bands: NDArray[np.int64]) -> NDArray[np.int64]:
    packed: NDArray[np.int64] = bands[0] << 16 | bands[1] << 8 | bands[2]
    return packed


def _onehot_codes(path: Path, shapes: Counter[tuple[Axes, int]]) -> tuple[Kind, NDArray[np.int64]]:
    array: NDArray[Any] = read_onehot(path, DataConfig(mask_encoding="index"))
    if array.ndim == 2:
        return "values", array.astype(np.int64)
    first = array.shape[0] < array.shape[2]  # there are fewer classes than rows
    shapes["CHW" if first else "HWC", min(array.shape[0], array.shape[2])] += 1
    return "onehot", array.argmax(0 if first else 2).astype(np.int64)


def _coarse(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each channel rounded to a multiple of 17, so that JPEG's noise does not part an area."""
    red, green, blue = (((codes >> shift & 255) + 8) // 17 * 17 for shift in (16, 8, 0))
    coarse: NDArray[np.int64] = red << 16 | green << 8 | blue
    return coarse


def _middle(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    top, left = (max(0, (length - _LARGEST_SIDE) // 2) for length in codes.shape)
    return codes[top : top + _LARGEST_SIDE, left : left + _LARGEST_SIDE]


def _is_inner(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pixels have eight neighbours of their own value, bool (H, W)."""
    inner = np.zeros(codes.shape, np.bool_)
    if min(codes.shape) < 3:
        return inner
    down = codes[1:] == codes[:-1]
    rows = down[1:] & down[:-1]  # three alike in a column
    across = codes[1:-1, 1:] == codes[1:-1, :-1]
    inner[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:] & across[:, 1:] & across[:, :-1]
    return inner


# ---------------------------------------------------------------------- from counts to classes


def _findings(kind: Kind, tally: _Tally) -> MaskFindings:
    total = sum(tally.pixels.values())
    few = len(tally.pixels) <= _FEW
    chosen: list[int] = []
    joined: Counter[int] = Counter()
    radius = _NEAR_LOSSY if tally.lossy else _NEAR
    for key, _ in tally.inner.most_common() if not few else tally.pixels.most_common():
        near = _nearest(key, chosen, radius, kind, bool(tally.lossy))
        if near is not None:
            joined[near] += tally.pixels[key]
        elif (few and tally.pixels[key] >= _RARE * total) or _covers_areas(key, tally, total):
            chosen.append(key)
    shares = {key: (tally.pixels[key] + joined[key]) / total for key in chosen}
    classes = tuple(FoundClass(_settled(key, kind, tally), shares[key], tally.files[key]) for key in chosen)
    return MaskFindings(
        kind,
        classes,
        tally.masks,
        tally.lossy,
        max(0.0, 1 - sum(shares.values())),
        two_valued=kind == "values" and tally.two_valued,
        joint=frozenset(tally.joint),
    )


def _covers_areas(key: int, tally: _Tally, total: int) -> bool:
    """Whether a value has inner pixels worth speaking of, in all and against its own edge pixels."""
    inner = tally.inner[key]
    return inner >= max(9, 2e-5 * total) and inner >= 0.05 * tally.pixels[key]


def _nearest(key: int, chosen: list[int], radius: float, kind: Kind, lossy: bool) -> int | None:
    """The class already found that a value is a noisy form of; index values are never noise."""
    if kind == "colours":
        here = np.array(colour_of(key), np.float64)
        distances = [float(np.linalg.norm(here - colour_of(other))) for other in chosen]
    elif kind == "values" and lossy:
        distances = [abs(key - other) * 3**0.5 for other in chosen]
    else:
        return None
    if not distances or min(distances) > radius:
        return None
    return chosen[int(np.argmin(distances))]


def _settled(key: int, kind: Kind, tally: _Tally) -> int:
    """A key as its painter chose it: of lossy masks the most frequent value, and 255 for 254, 0 for 1."""
    if not tally.lossy or kind == "onehot":
        return key
    if key in tally.exact:
        key = tally.exact[key].most_common(1)[0][0]
    channels = [key] if kind == "values" else list(colour_of(key))
    settled = [0 if value <= 8 else 255 if value >= 247 else value for value in channels]
    return settled[0] if kind == "values" else settled[0] << 16 | settled[1] << 8 | settled[2]
