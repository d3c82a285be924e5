"""Whether pictures were cut around their objects, and what a score is worth that comes from that alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..facts import Facts
from .finding import Finding, counted

_FEWEST = 30
_LEAST_ROOM = 0.1
"""Share of a side that the foreground has to leave free for its place to mean anything."""
_CENTRED = 0.15
"""Objects that lie anywhere have a median of 0.5 here, objects that pictures were cut around nearly 0."""
_SAME_MARGIN_PX = 2
_FEWEST_SIZES = 10


def centred_objects(facts: Sequence[Facts]) -> list[Finding]:
    """Whether the frame tells where an object is, and the scores of two guesses that look at nothing else."""
    places = np.array([place for item in facts if (place := _off_centre(item)) is not None])
    if len(places) < _FEWEST or np.median(places) > _CENTRED:
        return []
    centred = int((places < _CENTRED).all(1).sum())
    text = (
        f"the foreground lies in the very middle of {centred} of {counted(len(places), 'picture')}: they "
        "were cut around it, and the frame tells where it is"
    )
    margin = usual_margin(facts)
    if margin is not None:
        kept = sum(_keeps(item, margin) for item in facts)
        text += f"; {kept} leave {margin} pixels around it, so that their size tells its extent"
    for split in ("test", "valid"):
        score = iou_without_looking(facts, split)
        if score is None:
            continue
        region = "one and the same region in every picture, drawn from train,"
        text += f"; {region} has an IoU of {score:.2f} in {split}"
        if margin is not None:
            text += f", an ellipse {margin} pixels from the edges {iou_of_margin(facts, split, margin):.2f}"
        break
    cure = (
        "A score on such pictures may not hold on a map, where nothing is centred: judge on whole scenes as "
        "well, and train on parts of pictures (augment.resized_crop)."
    )
    return [Finding("warning", "centred objects", text, (), cure)]


def _off_centre(item: Facts) -> tuple[float, float] | None:
    """(rows, columns): how far the box around the foreground lies from the picture's middle, as a share of
    how far it could (0 the middle, 1 touching the rim); None without foreground or room to lie elsewhere."""
    if item.room is None:
        return None
    distances = []
    for before, behind, length in zip(item.room[::2], item.room[1::2], item.size, strict=True):
        if before + behind < _LEAST_ROOM * length:
            return None
        distances.append(abs(before - behind) / (before + behind))
    return distances[0], distances[1]


def usual_margin(facts: Sequence[Facts]) -> int | None:
    """Pixels that most pictures, of many sizes, leave on all four sides of their foreground, if they do."""
    shown = [item for item in facts if item.room is not None]
    if len(shown) < _FEWEST or len({item.size for item in shown}) < _FEWEST_SIZES:
        return None
    margin = round(float(np.median([item.room for item in shown if item.room is not None])))
    return margin if sum(_keeps(item, margin) for item in shown) > len(shown) / 2 else None


def _keeps(item: Facts, margin: int) -> bool:
    return item.room is not None and max(abs(side - margin) for side in item.room) <= _SAME_MARGIN_PX


def iou_without_looking(facts: Sequence[Facts], split: str) -> float | None:
    """Pooled foreground IoU, in `split`, of the one region of the frame that fits the masks of train best.

    Pictures without foreground are left out. None where either split has no foreground.
    """
    train, other = _shown(facts, "train"), _shown(facts, split)
    if not train or not other:
        return None
    shares = _foregrounds(train)
    usual = shares.mean(0)
    regions = [usual >= level for level in np.quantile(usual, np.linspace(0, 0.99, 100))]
    best = max(regions, key=lambda region: _pooled_iou(region, shares, train))
    return _pooled_iou(best, _foregrounds(other), other)


def iou_of_margin(facts: Sequence[Facts], split: str, margin: int) -> float:
    """Pooled foreground IoU, in `split`, of the ellipse that leaves `margin` pixels on each side.

    `split` must have foreground.
    """
    shown = _shown(facts, split)
    shares = _foregrounds(shown)
    ellipses = np.array([_ellipse(item.size, margin, shares.shape[1]) for item in shown])
    return _pooled_iou(ellipses, shares, shown)


def _shown(facts: Sequence[Facts], split: str) -> list[Facts]:
    return [item for item in facts if item.member.split == split and item.foreground is not None]


def _foregrounds(items: Sequence[Facts]) -> NDArray[np.float32]:
    """Shares (N, h, w) of foreground."""
    return np.array([item.foreground for item in items], np.float32)


def _ellipse(size: tuple[int, int], margin: int, cells: int) -> NDArray[np.bool_]:
    """Bool (cells, cells), by the middles of the cells of a grid over a picture of `size`."""
    middles = (np.arange(cells) + 0.5) / cells * 2 - 1
    y, x = (middles / max(1 - 2 * margin / length, 1e-9) for length in size)
    return np.asarray(y[:, None] ** 2 + x**2 <= 1)


def _pooled_iou(region: NDArray[np.bool_], shares: NDArray[np.float32], items: Sequence[Facts]) -> float:
    """Of a region (h, w) for all, or one each (N, h, w)."""
    pixels = np.array([item.size[0] * item.size[1] for item in items], np.float64)
    both = float(pixels @ (shares * region).sum((1, 2)))
    either = float(pixels @ (region.sum((-2, -1)) + shares.sum((1, 2)))) - both
    return both / either
