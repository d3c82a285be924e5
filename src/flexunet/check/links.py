"""Which pictures belong together, and how that is known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import FlexunetError
from ..progress import Tell
from .components import join_groups
from .dataset import Dataset, Member
from .facts import Facts, read_member
from .footprints import overlapping_footprints
from .names import sibling_groups
from .near import find_copies
from .overlaps import Overlaps, match_anchors

Reason = Literal["same pixels", "shared ground", "copy", "name", "footprint", "group"]
REASONS: dict[Reason, str] = {
    "same pixels": "the same picture twice",
    "shared ground": "crops of one scene, equal pixel for pixel",
    "copy": "the same ground, changed: rescaled, turned, mirrored, distorted, recoloured or cut",
    "name": "made from one picture, by their names",
    "footprint": "the same place, by their georeference",
    "group": "of one group or parent, by the manifest",
}
MANY = 20
"""Groups by digest, name or manifest larger than this are linked in a chain within each split."""
MOST_ACROSS = 1000
"""Pairs that such a group may have across two splits; beyond it every picture is linked once across."""


@dataclass(frozen=True)
class Link:
    """Two members that belong together, `first` < `second` as positions in the dataset."""

    first: int
    second: int
    reason: Reason
    """The strongest one."""
    matrix: NDArray[np.float64] | None = None
    """(2, 3): pixel (x, y) of the second to pixel of the first; None where only names or places tell."""
    score: float | None = None
    """Of a copy: correlation of the shared ground."""
    share: float | None = None
    """Shared part of the smaller picture."""
    also: tuple[Reason, ...] = ()
    """The other reasons."""

    def describe_map(self) -> str:
        """How the second lies upon the first, in words: shift, zoom, turn, mirror."""
        if self.matrix is None:
            return ""
        linear = self.matrix[:, :2]
        column, row = (round(float(shift)) for shift in self.matrix[:, 2])  # integers: no negative zero
        if np.allclose(linear, np.eye(2), atol=1e-6):
            return f"shifted by {column:+d} columns, {row:+d} rows"
        mirror = np.linalg.det(linear) < 0
        straight = linear @ np.diag([-1.0, 1.0]) if mirror else linear
        zoom = float(np.sqrt(abs(np.linalg.det(linear))))
        turn = float(np.degrees(np.arctan2(straight[1, 0] - straight[0, 1], straight[0, 0] + straight[1, 1])))
        parts = ["mirrored"] if mirror else []
        if abs(turn) > 1.5:
            parts.append(f"turned by {turn:.0f}°")
        if abs(np.log(zoom)) > 0.03:
            parts.append(f"1 : {zoom:.2f}")
        return ", ".join([*parts, f"corner at column {column}, row {row}"])


def find_links(
    dataset: Dataset, facts: Sequence[Facts], *, progress: Tell | None = None
) -> tuple[list[Link], list[str]]:
    """All links between the members that `facts` are about (positions count in `facts`), and notes.

    A pair found in several ways is one link, by the strongest reason.
    """
    found: dict[tuple[int, int], Link] = {}

    def add(link: Link) -> None:
        known = found.get((link.first, link.second))
        if known is None:
            found[link.first, link.second] = link
        elif link.reason != known.reason and link.reason not in known.also:
            also = (*known.also, link.reason)
            found[link.first, link.second] = Link(
                known.first, known.second, known.reason, known.matrix, known.score, known.share, also
            )

    split_of = [item.member.split for item in facts].__getitem__
    equal = _equal_pictures(facts)
    for members in equal:
        for first, second in pairs_of_group(members, split_of):
            add(Link(first, second, "same pixels", np.eye(2, 3), 1.0, 1.0))
    anchors = [item.anchors for item in facts if item.anchors is not None]
    features = [item.features for item in facts if item.features is not None]
    assert len(anchors) == len(features) == len(facts), "gathered without what copies are found by"
    pictures = _Pictures([item.member for item in facts], dataset.data)
    for link in _shared_ground(match_anchors(anchors, pictures), facts):
        add(link)
    for match in find_copies(features, progress=progress):
        add(Link(match.first, match.second, "copy", match.matrix, match.score, match.share))
    names = sibling_groups([item.member.pair.id for item in facts])
    for group in names:
        for first, second in pairs_of_group(group, split_of):
            add(Link(first, second, "name"))
    footprints, notes = overlapping_footprints([item.grid for item in facts], [item.size for item in facts])
    for footprint in footprints:
        add(Link(footprint.first, footprint.second, "footprint", share=footprint.share))
    by_group: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(facts):
        if item.member.name in dataset.groups:
            by_group[dataset.groups[item.member.name]].append(index)
    for members in by_group.values():
        for first, second in pairs_of_group(members, split_of):
            add(Link(first, second, "group"))
    large = [group for group in (*equal, *names, *by_group.values()) if _is_thinned(group, split_of)]
    if large:
        most = max(map(len, large))
        notes.append(
            f"groups of up to {most} pictures: all of them that leak are counted, but not all of their pairs"
        )
    return [found[key] for key in sorted(found)], notes


def groups_of(facts: Sequence[Facts], links: Sequence[Link]) -> tuple[int, ...]:
    """For every member the first one that it is linked with, directly or not."""
    return join_groups(len(facts), ((link.first, link.second) for link in links))


def pairs_of_group(members: Sequence[int], split_of: Callable[[int], str]) -> list[tuple[int, int]]:
    """Which of a group's members (ascending) are linked: leaks are counted right, memory stays bounded.

    Up to `MANY` each with each. Larger ones in a chain within each split, and across every two splits each
    with each as long as that is `MOST_ACROSS` pairs at most, else each member at least once.
    """
    if len(members) <= MANY:
        return list(combinations(members, 2))
    by_split: dict[str, list[int]] = defaultdict(list)
    for member in members:
        by_split[split_of(member)].append(member)
    found = [pair for inside in by_split.values() for pair in pairwise(inside)]
    for one, other in combinations(by_split.values(), 2):
        if len(one) * len(other) <= MOST_ACROSS:
            found += product(one, other)
        else:
            larger = range(max(len(one), len(other)))
            found += [(one[place % len(one)], other[place % len(other)]) for place in larger]
    return [(min(pair), max(pair)) for pair in found]


def _is_thinned(members: Sequence[int], split_of: Callable[[int], str]) -> bool:
    """Whether `pairs_of_group` leaves out pairs across splits."""
    sizes = Counter(map(split_of, members)).values()
    return len(members) > MANY and any(a * b > MOST_ACROSS for a, b in combinations(sizes, 2))


def _equal_pictures(facts: Sequence[Facts]) -> list[list[int]]:
    """Positions of pictures of equal pixels; blank ones are all alike and say nothing."""
    by_digest: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(facts):
        if any(high > low for low, high in zip(item.lows, item.highs, strict=True)):
            by_digest[item.pixel_digest].append(index)
    return [members for members in by_digest.values() if len(members) > 1]


def _shared_ground(overlaps: Overlaps, facts: Sequence[Facts]) -> list[Link]:
    links = []
    for pair in overlaps.pairs:
        smaller = min(int(np.prod(facts[index].size)) for index in (pair.first, pair.second))
        matrix = np.array([[1.0, 0.0, pair.dx], [0.0, 1.0, pair.dy]])
        share = pair.height * pair.width / smaller
        links.append(Link(pair.first, pair.second, "shared ground", matrix, 1.0, share))
    return links


class _Pictures(Sequence[NDArray[Any]]):
    """The members' pictures (H, W, C), read when asked for; one that has vanished is a blank."""

    def __init__(self, members: Sequence[Member], data: DataConfig) -> None:
        self.members, self.data = members, data

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: Any) -> Any:
        if index >= len(self.members):
            raise IndexError(index)
        try:
            picture = read_member(self.members[index], self.data)
        except FlexunetError:
            return np.zeros((1, 1, 1), np.uint8)
        return np.ascontiguousarray(picture.pixels.transpose(1, 2, 0))
