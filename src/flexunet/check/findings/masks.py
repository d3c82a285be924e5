"""Findings about masks: repeated, empty, full, shifted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ...classes import Classes
from ..facts import EDGE_REACH_PX, Facts
from ..links import Link
from .finding import Finding, counted

_ALL_OBJECT = 0.95


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
