"""All pairs of copies in a set of pictures."""

from __future__ import annotations

from collections.abc import Sequence

from ...parallel import in_parallel
from ...progress import Tell
from .candidates import Candidate, propose
from .features import Features
from .verify import Match, verify


def find_copies(features: Sequence[Features], *, progress: Tell | None = None) -> list[Match]:
    """Every pair of pictures that show the same ground, sorted; each pair once, by its best map.

    Time: one look at each picture's features and a proof for each candidate; memory beside the
    features: about 0.3 MB a picture while votes are counted, more where many are copies.
    """
    if len(features) < 2:
        return []
    candidates = propose(features)
    best: dict[tuple[int, int], Match] = {}

    def prove(candidate: Candidate) -> Match | None:
        return verify(candidate, features[candidate.first], features[candidate.second])

    for match in in_parallel(prove, candidates, stage="comparing", progress=progress):
        if match is not None:
            known = best.get((match.first, match.second))
            if known is None or match.score > known.score:
                best[match.first, match.second] = match
    return [best[key] for key in sorted(best)]
