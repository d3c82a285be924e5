"""Colour masks to labels, without false seams.

Smoothing filters and JPEG leave in-between colours along edges, and a blend of two classes can fall on or
near the colour of a third. So only pixels that have a class colour decide by themselves. Every other pixel
is explained by the classes that stand next to it, looking one pixel far, then two, and so on: it belongs to
the line between two of their colours that passes nearest, and to the nearer end of that line. What no
neighbours explain is off the map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..classes import IGNORE_INDEX
from ..config.schema import DataConfig
from ..errors import DataError, Problem

NEAR = 8.0
"""Distance in RGB up to which a pixel passes for a class colour that no pixel of the mask has exactly."""
NEAR_LOSSY = 40.0
"""The same in JPEG masks, for every class."""
BLEND = 24.0
"""Distance in RGB from the line between two neighbour colours up to which a pixel is their blend."""
BLEND_LOSSY = 90.0
"""The same in JPEG masks, where brightness and hue blend apart."""
FOREIGN_SHARE = 0.005
"""Share of a mask from which one colour off the map is a region of its own: no seam, no compression."""
FOREIGN = "no class colour: does data.classes lack a class?"
"""How the note about such a colour ends."""
REACH = 4
"""How many pixels away the classes of a blended edge are looked for."""

Pixels = NDArray[np.float32]
Labels = NDArray[np.uint8]

_UNDECIDED = 254
_LISTED = 6


def colour_labels(
    path: Path, rgb: NDArray[np.uint8], alpha: NDArray[Any] | None, lossy: bool, data: DataConfig
) -> tuple[Labels, tuple[str, ...]]:
    """Labels uint8 (H, W) of colours (H, W, 3), and notes on colours that are not exactly in the table.

    Raises:
        DataError: more than `data.off_map_tolerance` of the pixels are no class colour and no blend of
        classes beside
            them; the colours are listed. Below it, they take the nearest class colour.
    """
    table = [(item.colour, label) for label, item in enumerate(data.classes)]
    if data.ignore_colour is not None and data.ignore_colour not in [colour for colour, _ in table]:
        table.append((data.ignore_colour, IGNORE_INDEX))
    labels = _exact_labels(rgb, table)
    if alpha is not None:
        labels[(alpha == 0) & (labels == _UNDECIDED)] = 0
    undecided = labels == _UNDECIDED
    if not undecided.any():
        return labels, ()
    colours = np.asarray([colour for colour, _ in table], np.float32)
    values = np.asarray([label for _, label in table], np.uint8)
    _accept_near(rgb, labels, colours, values, lossy)
    if not lossy:
        _doubt_thin_blends(labels, colours, values)
    far = _explain_blends(rgb, labels, colours, values, BLEND_LOSSY if lossy else BLEND)
    share = float(far.mean())
    if share > data.off_map_tolerance:
        raise DataError(str(_off_map(path, rgb, far, data)))
    notes = [f"{undecided.mean():.2%} of the pixels are not exactly of a class colour"]
    if share:
        notes.append(
            f"{share:.2%} are far from every class colour ({_counted(rgb, far)}): nearest class taken"
        )
        notes += [
            f"{part:.2%} of the pixels are rgb({','.join(map(str, colour))}), {FOREIGN}"
            for colour, part in _shares(rgb, far)
            if part >= FOREIGN_SHARE
        ]
    return labels, tuple(notes)


def _exact_labels(rgb: NDArray[np.uint8], table: list[tuple[tuple[int, int, int], int]]) -> Labels:
    codes = rgb[..., 0].astype(np.uint32) << 16 | rgb[..., 1].astype(np.uint32) << 8 | rgb[..., 2]
    labels = np.full(codes.shape, _UNDECIDED, np.uint8)
    for (red, green, blue), label in table:
        labels[codes == (red << 16 | green << 8 | blue)] = label
    return labels


def _accept_near(
    rgb: NDArray[np.uint8], labels: Labels, colours: Pixels, values: Labels, lossy: bool
) -> None:
    """Give pixels near a class colour that class: in a lossless mask only classes without any exact pixel,
    whose colour was evidently saved a little off."""
    between = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    radius = min(NEAR_LOSSY if lossy else NEAR, float(between[between > 0].min()) / 3)
    rows, cols = np.nonzero(labels == _UNDECIDED)
    distances = np.linalg.norm(rgb[rows, cols].astype(np.float32)[:, None] - colours, axis=2)
    if not lossy:
        distances[:, np.isin(values, labels)] = np.inf
    nearest = distances.argmin(1)
    near = distances[np.arange(len(rows)), nearest] <= radius
    labels[rows[near], cols[near]] = values[nearest[near]]


def _doubt_thin_blends(labels: Labels, colours: Pixels, values: Labels) -> None:
    """Undecide seams up to two pixels thin whose colour is itself a blend of two classes beside them."""
    here = [i for i, value in enumerate(values) if (labels == value).any()]
    for c in here:
        own = (labels == values[c]).astype(np.uint8)
        thin = (own == 1) & (cv2.morphologyEx(own, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) == 0)
        if not thin.any():
            continue
        for a in here:
            for b in here:
                if a >= b or c in (a, b):
                    continue
                offset, _ = _to_line(colours[c][None], colours[a], colours[b])
                if offset[0] <= NEAR:
                    between = _beside(labels, values[a], REACH) & _beside(labels, values[b], REACH)
                    labels[thin & between] = _UNDECIDED


def _explain_blends(
    rgb: NDArray[np.uint8], labels: Labels, colours: Pixels, values: Labels, blend: float
) -> NDArray[np.bool_]:
    """Decide the undecided pixels of `labels` in place; returns those that nothing explains, bool (H, W).

    After the blends of classes that stand beside them come objects so thin that no pixel has their
    colour.     First pixels not far from a class colour, then blends with those, then
    blends of one class beside with any.
    """
    _decide_between(rgb, labels, colours, values, blend)
    left = _Left(rgb, labels)
    distance, nearest = _nearest_line(
        left.pixels, colours, np.ones((len(left.pixels), len(colours)), bool), 0
    )
    left.decide(labels, values[nearest], distance <= blend)
    _decide_between(rgb, labels, colours, values, blend)
    left = _Left(rgb, labels)
    beside = np.stack([_beside(labels, value, REACH)[left.place] for value in values], 1)
    distance, nearest = _nearest_line(left.pixels, colours, beside, 1)
    left.decide(labels, values[nearest], distance <= blend)
    left = _Left(rgb, labels)
    far: NDArray[np.bool_] = labels == _UNDECIDED
    labels[left.place] = values[np.linalg.norm(left.pixels[:, None] - colours, axis=2).argmin(1)]
    return far


class _Left:
    """The pixels without a label: where they are and their colours (n, 3)."""

    def __init__(self, rgb: NDArray[np.uint8], labels: Labels) -> None:
        self.place = np.nonzero(labels == _UNDECIDED)
        self.pixels: Pixels = rgb[self.place].astype(np.float32)

    def decide(self, labels: Labels, chosen: Labels, done: NDArray[np.bool_]) -> None:
        """Write the chosen labels (n,) of those that are done (n,)."""
        rows, cols = self.place
        labels[rows[done], cols[done]] = chosen[done]


def _decide_between(
    rgb: NDArray[np.uint8], labels: Labels, colours: Pixels, values: Labels, blend: float
) -> None:
    """Decide blends of two decided classes, looking one pixel far, then two, up to REACH."""
    sure = labels.copy()
    here = [i for i, value in enumerate(values) if (sure == value).any()]
    for reach in range(1, REACH + 1):
        left = _Left(rgb, labels)
        if not len(left.pixels) or not here:
            return
        beside = np.stack([_beside(sure, values[i], reach)[left.place] for i in here], 1)
        distance, nearest = _nearest_line(left.pixels, colours[here], beside, 2)
        left.decide(labels, values[here][nearest], distance <= blend)


def _nearest_line(
    pixels: Pixels, colours: Pixels, beside: NDArray[np.bool_], ends: int
) -> tuple[Pixels, NDArray[np.intp]]:
    """The line between two class colours nearest to each pixel (n, 3): distance and nearer end (n,).

    Of each line `ends` (1 or 2) classes must stand `beside` (n, k); with 0 only the colours count, no lines.
    """
    distances = np.linalg.norm(pixels[:, None] - colours, axis=2)
    distances[~beside] = np.inf
    nearest = distances.argmin(1)
    best: Pixels = distances[np.arange(len(pixels)), nearest]
    for a in range(len(colours) if ends else 0):
        for b in range(a + 1, len(colours)):
            enough = beside[:, a] & beside[:, b] if ends == 2 else beside[:, a] | beside[:, b]
            chosen = np.nonzero(enough)[0]
            if not chosen.size:
                continue
            offset, place = _to_line(pixels[chosen], colours[a], colours[b])
            closer = offset < best[chosen]
            best[chosen[closer]] = offset[closer]
            nearest[chosen[closer]] = np.where(place[closer] < 0.5, a, b)
    return best, nearest


def _to_line(pixels: Pixels, start: Pixels, end: Pixels) -> tuple[Pixels, Pixels]:
    """Distance of colours (n, 3) from the line start to end, and where along it they lie, 0 to 1."""
    along = end - start
    place: Pixels = np.clip((pixels - start) @ along / (along @ along), 0, 1).astype(np.float32)
    offset: Pixels = np.linalg.norm(pixels - start - place[:, None] * along, axis=1)
    return offset, place


def _beside(labels: Labels, value: int, reach: int) -> NDArray[np.bool_]:
    """Which pixels have `value` at most `reach` pixels away."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    grown: NDArray[np.bool_] = cv2.dilate((labels == value).astype(np.uint8), square).astype(np.bool_)
    return grown


def _off_map(path: Path, rgb: NDArray[np.uint8], far: NDArray[np.bool_], data: DataConfig) -> Problem:
    known = ", ".join(f"{item.colour} {item.name}" for item in data.classes)
    return Problem(
        f"{far.mean():.2%} of the pixels have no class colour: {_counted(rgb, far)}; the classes are {known}",
        path=path,
        cure="Add the class, set data.ignore_colour, or raise data.off_map_tolerance (nearest class taken).",
    )


def _counted(rgb: NDArray[np.uint8], where: NDArray[np.bool_]) -> str:
    """The most frequent colours with their shares."""
    shares = _shares(rgb, where)
    listed = ", ".join(f"{colour} {share:.2%}" for colour, share in shares[:_LISTED])
    return listed + (f" and {len(shares) - _LISTED} more" if len(shares) > _LISTED else "")


def _shares(rgb: NDArray[np.uint8], where: NDArray[np.bool_]) -> list[tuple[tuple[int, ...], float]]:
    """The colours there and their shares of the mask, most frequent first."""
    colours, counts = np.unique(rgb[where], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(tuple(colours[i].tolist()), float(counts[i]) / where.size) for i in order]
