"""Findings about masks: repeated, empty, full, shifted, centred on their pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...classes import Classes
from ..facts import EDGE_REACH_PX, Facts
from ..links import Link
from .finding import Finding, counted

_ALL_OBJECT = 0.95
_CENTRED = 0.15
"""Objects that lie anywhere have a median of 0.5 here, objects that pictures were cut around nearly 0."""


def repeated_masks(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
    linked = {(link.first, link.second) for link in links}
    by_mask: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(facts):
        if item.mask_digest is not None:
            by_mask[item.mask_digest].append(index)
    groups = [
        members
        for members in by_mask.values()
        if len(members) > 1
        and any((a, b) not in linked for i, a in enumerate(members) for b in members[i + 1 :])
    ]
    if not groups:
        return []
    lines = tuple(" = ".join(facts[index].member.name for index in members[:6]) for members in groups)
    return [
        Finding(
            "warning",
            "repeated masks",
            f"{counted(len(groups), 'mask')} found more than once (turned and mirrored ones too), with "
            "pictures that are not known to show the same ground",
            lines,
            "Look whether masks were copied or paired wrongly.",
        )
    ]


def empty_and_full_masks(facts: Sequence[Facts], classes: Classes) -> list[Finding]:
    found = []
    usable = [item for item in facts if item.class_pixels and item.member.pair.mask is not None]
    share = {
        item.member.name: sum(item.class_pixels[k] for k in classes.foreground)
        / max(1, sum(item.class_pixels))
        for item in usable
    }
    empty = tuple(name for name, value in share.items() if value == 0)
    full = tuple(name for name, value in share.items() if value > _ALL_OBJECT)
    ignored = tuple(item.member.name for item in usable if not sum(item.class_pixels))
    if ignored:
        found.append(
            Finding(
                "warning",
                "masks of nothing",
                f"{counted(len(ignored), 'mask')} with the ignore value only",
                ignored,
            )
        )
    if empty:
        text = f"{len(empty)} of {counted(len(usable), 'mask')} without foreground"
        cure = "Fine if nothing is there; else the mask is lost."
        found.append(
            Finding("warning" if len(empty) < len(usable) else "fault", "empty masks", text, empty, cure)
        )
    if full and len(classes.foreground) == 1:  # several classes often cover everything
        text = f"{counted(len(full), 'mask')} with foreground nearly everywhere (over {_ALL_OBJECT:.0%})"
        found.append(
            Finding("warning", "all-object masks", text, full, "Are they inverted? See data.invert_masks.")
        )
    return found


def shifted_masks(facts: Sequence[Facts]) -> list[Finding]:
    """Whether the masks' outlines lie on the images' edges, or would after one shift of all of them."""
    tables = np.array([item.edges for item in facts if item.edges is not None])
    if len(tables) < 12:
        return []
    middle = EDGE_REACH_PX
    mean = tables.mean(0)
    y, x = np.unravel_index(int(mean.argmax()), mean.shape)
    gain = tables[:, y, x] - tables[:, middle, middle]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    dy, dx = int(y) - middle, int(x) - middle
    if max(abs(dy), abs(dx)) < 2 or gain.mean() < 4 * error or gain.mean() < 0.02:
        return []
    rim = " (or more)" if max(abs(dy), abs(dx)) == EDGE_REACH_PX else ""
    return [
        Finding(
            "warning",
            "shifted masks",
            f"the masks fit the edges in their images better when all are moved by {dx:+d} columns and "
            f"{dy:+d} rows{rim} ({len(tables)} masks looked at)",
            (),
            "Look at a few overlays (flexunet stats draws them). Were the masks resampled or written with an "
            "offset?",
        )
    ]


def centred_objects(facts: Sequence[Facts]) -> list[Finding]:
    """Whether pictures were cut around their objects, so that the frame tells where an object is."""
    places = np.array([item.off_centre for item in facts if item.off_centre is not None])
    if len(places) < 30 or np.median(places) > _CENTRED:
        return []
    centred = int((places < _CENTRED).all(1).sum())
    text = (
        f"the foreground lies in the very middle of {centred} of {counted(len(places), 'picture')}: they "
        "were cut around it, and the frame tells where it is"
    )
    for split in ("test", "valid"):
        score = iou_without_looking(facts, split)
        if score is not None:
            text += (
                f"; one and the same region in every picture, drawn from train, has an IoU of {score:.2f} in "
                f"{split}"
            )
            break
    cure = (
        "A score on such pictures may not hold on a map, where nothing is centred: judge on whole scenes as "
        "well, and keep augment.shift on."
    )
    return [Finding("warning", "centred objects", text, (), cure)]


def iou_without_looking(facts: Sequence[Facts], split: str) -> float | None:
    """Pooled foreground IoU, in `split`, of the one region of the frame that fits the masks of train best.

    Pictures without foreground are left out. None where either split has no foreground.
    """
    train, other = (_foregrounds(facts, name) for name in ("train", split))
    if not len(train[0]) or not len(other[0]):
        return None
    usual = train[0].mean(0)
    regions = [usual >= level for level in np.quantile(usual, np.linspace(0, 0.99, 100))]
    best = max(regions, key=lambda region: _pooled_iou(region, *train))
    return _pooled_iou(best, *other)


def _foregrounds(facts: Sequence[Facts], split: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Shares (N, h, w) of foreground, and the pixels (N,) of a cell."""
    found = [item for item in facts if item.member.split == split and item.foreground is not None]
    shares = np.array([item.foreground for item in found], np.float32)
    return shares, np.array([item.size[0] * item.size[1] / shares[0].size for item in found])


def _pooled_iou(region: NDArray[np.bool_], shares: NDArray[np.float32], pixels: NDArray[np.float64]) -> float:
    both = float(pixels @ shares[:, region].sum(1))
    either = float(pixels.sum() * region.sum() + pixels @ shares[:, ~region].sum(1))
    return both / either
