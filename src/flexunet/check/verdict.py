"""Whether two splits leak into each other, in one line: what stands beside every score.

The quick look finds what comes of splitting by file: the same picture twice, copies of whole pictures
(turned, mirrored, rescaled, distorted, recoloured) and siblings by file name. It does not find crops that
share a part; `flexunet check` does, and leaves its verdict where the quick look finds it. Both are kept in
the data cache, under the fingerprints of the splits; so is what a check said of masks that contradict each
other.
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
from .dataset import SPLITS
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
    """Why it was not checked, or what makes it a leak without a look."""
    trained: tuple[Split, ...] = ("train",)
    """The splits that were trained on."""
    not_compared: tuple[str, ...] = ()
    """Models that had a part in this one, and were trained on other pictures, which are not here."""

    def line(self) -> str:
        """One line for people."""
        if self.status == "leak" and self.reason:
            return f"LEAK: {self.reason}. Scores on {self.split} are too good to be true."
        if self.status == "leak":
            first = f", such as {self.examples[0]}" if self.examples else ""
            return (
                f"LEAK: {self.pictures} pictures of {self.split} have copies in {' or '.join(self.trained)} "
                f"({self.pairs} pairs{first}). "
                f"Scores on {self.split} are too good to be true; see flexunet check."
            )
        if self.status == "none found":
            how = (
                ""
                if self.scope == "full"
                else " (quick look; flexunet check also compares parts of pictures)"
            )
            rest = f" Not compared: what {' and '.join(self.not_compared)} saw." if self.not_compared else ""
            return f"Leakage from {' and '.join(self.trained)} into {self.split}: none found{how}.{rest}"
        return f"Leakage into {self.split} not checked: {self.reason}."

    def for_scores(self) -> dict[str, Any]:
        """JSON values with the line for people as `text`, for `scores.json`."""
        return {**self.as_json(), "text": self.line()}

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        lists = ("examples", "trained", "not_compared")
        return {**asdict(self), **{name: list(getattr(self, name)) for name in lists}}


def not_checked(split: str, reason: str) -> Verdict:
    """The verdict where there is nothing to compare with."""
    return Verdict("not checked", "none", split, reason=reason)


def quick_verdict(
    train: Store, other: Store, split: Split, data: DataConfig, *, valid: Store | None = None
) -> Verdict:
    """The verdict on a split against the training split, from the cache if it is there.

    valid: the validation split where it was trained on as well, as the members of folds are.

    Time: a few milliseconds a picture the first time, nothing afterwards. Never fails: where the cache cannot
    be used it looks again.
    """
    trained: dict[Split, Store] = {"train": train}
    if valid is not None:
        trained["valid"] = valid
    path = _place(data, _key(*(store.fingerprint for store in trained.values()), other.fingerprint))
    known = _read(path, split)
    if known is not None:
        return known
    verdict = _look(trained, other, split)
    _write(path, verdict.as_json())
    return verdict


def label_conflicts(stores: Mapping[Split, Store], data: DataConfig) -> str | None:
    """What a full check said of contradicting masks in these splits; None: it has not looked at them all."""
    prints = [stores[split].fingerprint for split in SPLITS if split in stores]
    text = _content(_place(data, _key("labels", *prints))).get("text")
    return text if isinstance(text, str) else None


def remember(check: Check) -> None:
    """Keep what a full check found for `train` and `evaluate`."""
    prints: dict[Split, str] = {
        split: fingerprint_of(
            [
                (item.member.pair.id, item.digest)
                for item in check.facts
                if item.member.split == split and item.digest
            ]
        )
        for split in SPLITS
        if split in check.dataset.splits
    }
    for size in range(1, len(prints) + 1):
        for part in combinations(prints, size):
            keys = [prints[split] for split in part]
            place = _place(check.dataset.data, _key("labels", *keys))
            _write(place, {"text": _conflicts_line(check, part)})
            if part[0] == "train" and size > 1:
                verdict = _verdict("full", part[-1], _names_across(check, part), part[:-1])
                _write(_place(check.dataset.data, _key(*keys)), verdict.as_json())


def _names_across(check: Check, part: Sequence[Split]) -> list[tuple[str, str]]:
    """Names of linked pictures, one of the last split and the other of one before it."""
    members = [item.member for item in check.facts]
    found = []
    for link in check.links:
        first, second = members[link.first], members[link.second]
        splits = {first.split, second.split}
        if len(splits) == 2 and part[-1] in splits and splits <= set(part):
            found.append((first.name, second.name))
    return found


def _conflicts_line(check: Check, part: Sequence[Split]) -> str:
    """How many pairs of pictures of these splits contradict each other."""
    splits = [item.member.split for item in check.facts]
    own = [
        item.contradicts
        for item in check.agreements
        if all(
            splits[index] in part for index in (check.links[item.link].first, check.links[item.link].second)
        )
    ]
    where = " and ".join(part)
    if not any(own):
        return f"none found by flexunet check in {where}"
    return (
        f"{sum(own)} of {len(own)} pairs with a label on shared ground in {where}: the labels contradict "
        "each other there"
    )


def fingerprint_of(digests: Sequence[tuple[str, str]]) -> str:
    """The fingerprint that the data store gives to pairs (id, digest)."""
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in digests).encode()).hexdigest()


def _look(trained: Mapping[Split, Store], other: Store, split: Split) -> Verdict:
    stores = [*((store, name) for name, store in trained.items()), (other, split)]
    places = [(store, name, index) for store, name in stores for index in range(len(store))]

    def thumb(place: tuple[Store, str, int]) -> Features:
        store, _, index = place
        return describe(store.image(index), store.valid(index), local=False)

    features = list(in_parallel(thumb, places))
    border = sum(map(len, trained.values()))

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
    return _verdict("quick", split, [(names[a], names[b]) for a, b in sorted(found)], tuple(trained))


def _equal(features: Sequence[Features]) -> list[list[int]]:
    """Positions of pictures that look the same to the search; blank ones and specks are not told apart."""
    by_look: dict[bytes, list[int]] = defaultdict(list)
    for index, item in enumerate(features):
        if item.grey.size >= _SPECK and item.grey.min() < item.grey.max():
            by_look[item.grey.tobytes() + bytes(str(item.grey.shape), "ascii")].append(index)
    return [members for members in by_look.values() if len(members) > 1]


def _verdict(
    scope: Literal["quick", "full"],
    split: str,
    pairs: Sequence[tuple[str, str]],
    trained: tuple[Split, ...],
) -> Verdict:
    touched = {name for pair in pairs for name in pair if name.startswith(f"{split}/")}
    examples = tuple(f"{one} - {other}" for one, other in pairs[:_LISTED])
    status: Literal["leak", "none found"] = "leak" if pairs else "none found"
    return Verdict(status, scope, split, len(pairs), len(touched), examples, trained=trained)


def _key(*parts: str) -> str:
    return hashlib.blake2b(" ".join([str(_FORMAT), *parts]).encode(), digest_size=12).hexdigest()


def _place(data: DataConfig, key: str) -> Path | None:
    for split in SPLITS:
        try:
            return cache_folder(data, split_folders(data, split))[0] / "leakage" / f"{key}.json"
        except (FlexunetError, OSError):
            continue
    return None


def _read(path: Path | None, split: str) -> Verdict | None:
    content = _content(path)
    try:
        for name in {"examples", "trained", "not_compared"} & {*content}:
            content[name] = tuple(content[name])
        verdict = Verdict(**content)
    except TypeError:
        return None
    return verdict if verdict.split == split else None


def _content(path: Path | None) -> dict[str, Any]:
    """What is kept; nothing where there is no such file or it cannot be read."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path | None, content: Mapping[str, Any]) -> None:
    """Keep what was found; where nothing can be written it is found anew next time."""
    if path is None:
        return
    try:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError:
        return
