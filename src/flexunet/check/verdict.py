"""Whether two splits leak into each other, in one line: what stands beside every score.

The quick look finds what comes of splitting by file: the same picture twice, copies of whole pictures
(turned, mirrored, rescaled, distorted, recoloured) and siblings by file name. It does not find crops that
share a part; `flexunet check` does, and leaves its verdict where the quick look finds it. Both are kept in
the data cache, under the fingerprints of the two splits.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config.schema import DataConfig
from ..data import Store, split_folders
from ..data.cache import cache_folder
from ..data.folders import Split
from ..errors import FlexunetError
from ..files import write_text
from ..parallel import in_parallel
from .names import sibling_groups
from .near.candidates import Candidate, whole_candidates
from .near.features import Features, describe
from .near.verify import verify

if TYPE_CHECKING:
    from .report import Check

_FORMAT = 3
_LISTED = 20
_SPECK = 64
"""Pixels below which equal pictures prove nothing."""


@dataclass(frozen=True)
class Verdict:
    """What is known about leakage between training and the split that scores are measured on."""

    status: Literal["none found", "leak", "not checked"]
    scope: Literal["quick", "full", "none"]
    """quick: whole copies and names; full: `flexunet check`, parts of pictures too."""
    split: str
    pairs: int = 0
    """Leaking pairs."""
    pictures: int = 0
    """Pictures of the split that leak."""
    examples: tuple[str, ...] = ()
    reason: str = ""
    """Why it was not checked."""

    def line(self) -> str:
        """One line for people."""
        if self.status == "leak":
            first = f", such as {self.examples[0]}" if self.examples else ""
            return (
                f"LEAK: {self.pictures} pictures of {self.split} have copies in train "
                f"({self.pairs} pairs{first}). "
                f"Scores on {self.split} are too good to be true; see flexunet check."
            )
        if self.status == "none found":
            how = (
                ""
                if self.scope == "full"
                else " (quick look; flexunet check also compares parts of pictures)"
            )
            return f"Leakage from train into {self.split}: none found{how}."
        return f"Leakage into {self.split} not checked: {self.reason}."

    def for_scores(self) -> dict[str, Any]:
        """JSON values with the line for people as `text`, for `scores.json`."""
        return {**self.as_json(), "text": self.line()}

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**asdict(self), "examples": list(self.examples)}


def not_checked(split: str, reason: str) -> Verdict:
    """The verdict where there is nothing to compare with."""
    return Verdict("not checked", "none", split, reason=reason)


def quick_verdict(train: Store, other: Store, split: Split, data: DataConfig) -> Verdict:
    """The verdict on a split against the training split, from the cache if it is there.

    Time: a few milliseconds a picture the first time, nothing afterwards. Never fails: where the cache cannot
    be used it looks again.
    """
    path = _place(data, _key(train.fingerprint, other.fingerprint))
    known = _read(path, split)
    if known is not None:
        return known
    verdict = _look(train, other, split)
    _write(path, verdict)
    return verdict


def remember(check: Check) -> None:
    """Keep the verdict of a full check for `train` and `evaluate`."""
    from .findings import crosses

    prints = {
        split: fingerprint_of(
            [
                (item.member.pair.id, item.digest)
                for item in check.facts
                if item.member.split == split and item.digest
            ]
        )
        for split in check.dataset.splits
    }
    for split in check.dataset.splits:
        if split == "train" or "train" not in prints:
            continue
        across = [
            link
            for link in check.links
            if crosses(check.facts, link)
            and {check.facts[link.first].member.split, check.facts[link.second].member.split}
            == {"train", split}
        ]
        names = [
            (check.facts[link.first].member.name, check.facts[link.second].member.name) for link in across
        ]
        verdict = _verdict("full", split, names)
        _write(_place(check.dataset.data, _key(prints["train"], prints[split])), verdict)


def fingerprint_of(digests: Sequence[tuple[str, str]]) -> str:
    """The fingerprint that the data store gives to pairs (id, digest)."""
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in digests).encode()).hexdigest()


def _look(train: Store, other: Store, split: Split) -> Verdict:
    stores = [(train, "train"), (other, split)]
    places = [(store, name, index) for store, name in stores for index in range(len(store))]

    def thumb(place: tuple[Store, str, int]) -> Features:
        store, _, index = place
        return describe(store.image(index), store.valid(index), local=False)

    features = list(in_parallel(thumb, places))
    border = len(train)

    def across(first: int, second: int) -> bool:
        return first < border <= second

    def proof(candidate: Candidate) -> bool:
        return verify(candidate, features[candidate.first], features[candidate.second]) is not None

    candidates = [item for item in whole_candidates(features) if across(item.first, item.second)]
    proven = in_parallel(proof, candidates)
    found = {(item.first, item.second) for item, ok in zip(candidates, proven, strict=True) if ok}
    for members in _equal(features):
        found |= {pair for pair in combinations(members, 2) if across(*pair)}
    for group in sibling_groups([store.ids[index] for store, _, index in places]):
        found |= {pair for pair in combinations(group, 2) if across(*pair)}
    names = [f"{name}/{store.ids[index]}" for store, name, index in places]
    return _verdict("quick", split, [(names[a], names[b]) for a, b in sorted(found)])


def _equal(features: Sequence[Features]) -> list[list[int]]:
    """Positions of pictures that look the same to the search; blank ones and specks are not told apart."""
    by_look: dict[bytes, list[int]] = defaultdict(list)
    for index, item in enumerate(features):
        if item.grey.size >= _SPECK and item.grey.min() < item.grey.max():
            by_look[item.grey.tobytes() + bytes(str(item.grey.shape), "ascii")].append(index)
    return [members for members in by_look.values() if len(members) > 1]


def _verdict(scope: Literal["quick", "full"], split: str, pairs: Sequence[tuple[str, str]]) -> Verdict:
    touched = {name for pair in pairs for name in pair if name.startswith(f"{split}/")}
    examples = tuple(f"{one} - {other}" for one, other in pairs[:_LISTED])
    return Verdict("leak" if pairs else "none found", scope, split, len(pairs), len(touched), examples)


def _key(train: str, other: str) -> str:
    return hashlib.blake2b(f"{_FORMAT} {train} {other}".encode(), digest_size=12).hexdigest()


def _place(data: DataConfig, key: str) -> Path | None:
    try:
        return cache_folder(data, split_folders(data, "train"))[0] / "leakage" / f"{key}.json"
    except (FlexunetError, OSError):
        return None


def _read(path: Path | None, split: str) -> Verdict | None:
    if path is None:
        return None
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        verdict = Verdict(**{**content, "examples": tuple(content["examples"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return verdict if verdict.split == split else None


def _write(path: Path | None, verdict: Verdict) -> None:
    """Keep a verdict; where nothing can be written it is found anew next time."""
    if path is None:
        return
    try:
        write_text(path, json.dumps(verdict.as_json(), indent=1, ensure_ascii=False) + "\n")
    except OSError:
        return
