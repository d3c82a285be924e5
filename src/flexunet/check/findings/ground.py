"""Findings about pictures of the same ground: leaks between splits, copies, labels that contradict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ..contradictions import Agreement
from ..facts import Facts
from ..links import REASONS, Link, Reason
from .finding import Finding, counted

REPORTED_PAIRS = 400
_GROUPS_CURE = (
    "Split again and keep the groups together: flexunet prepare DATASET NEW --groups groups.csv (the file "
    "beside this report; the raw material will do as DATASET, too, where it was not cut into tiles). Or set "
    "the training copies aside: flexunet check DATASET --fix."
)


def crosses(facts: Sequence[Facts], link: Link) -> bool:
    """Whether a link joins two splits."""
    return facts[link.first].member.split != facts[link.second].member.split


def leaks(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
    by_reason: dict[Reason, list[Link]] = defaultdict(list)
    for link in links:
        if crosses(facts, link):
            by_reason[link.reason].append(link)
    found = []
    for reason, meaning in REASONS.items():
        across = by_reason.get(reason, [])
        if not across:
            continue
        touched = Counter(
            facts[index].member.split
            for index in {index for link in across for index in (link.first, link.second)}
        )
        where = ", ".join(f"{count} of {split}" for split, count in sorted(touched.items()))
        found.append(
            Finding(
                "leak",
                f"leak: {reason}",
                f"{counted(len(across), 'pair')} of pictures in different splits: {meaning} ({where})",
                tuple(_pair_text(facts, link) for link in across[:REPORTED_PAIRS]),
                _GROUPS_CURE,
            )
        )
    return found


def within(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
    inside = [link for link in links if not crosses(facts, link)]
    seen = [link for link in inside if link.reason in ("same pixels", "shared ground", "copy")]
    if not seen:
        return []
    counts = Counter(link.reason for link in seen)
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return [
        Finding(
            "note",
            "copies within a split",
            f"{counted(len(seen), 'pair')} of pictures within a split on the same ground ({listed}): no "
            "leak, but no independent pictures either",
            tuple(_pair_text(facts, link) for link in seen[:REPORTED_PAIRS]),
            "Keep them together in any later split: flexunet prepare ... --groups groups.csv.",
        )
    ]


def contradictions(
    facts: Sequence[Facts], links: Sequence[Link], agreements: Sequence[Agreement]
) -> list[Finding]:
    bad = sorted((item for item in agreements if item.contradicts), key=lambda item: item.iou)
    if not bad:
        return []
    lines = tuple(
        f"{_pair_text(facts, links[item.link])}; masks agree to IoU {item.iou:.2f} on the shared ground "
        f"({item.first_pixels} and {item.second_pixels} labelled pixels)"
        for item in bad[:REPORTED_PAIRS]
    )
    return [
        Finding(
            "warning",
            "contradicting labels",
            f"{len(bad)} of {counted(len(agreements), 'pair')} with a label on shared ground: the labels "
            "contradict each other there",
            lines,
            "Give every member the union of the masks, or ignore the disagreement: flexunet prepare SRC DST "
            "--merge-overlaps union (or ignore).",
        )
    ]


def _pair_text(facts: Sequence[Facts], link: Link) -> str:
    text = f"{facts[link.first].member.name} - {facts[link.second].member.name}"
    return f"{text}: {link.describe_map()}" if link.matrix is not None else text
