"""What a careful colleague would say about a dataset: one finding a fault, with its files and its cure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..classes import Classes
from .contradictions import Agreement
from .dataset import Dataset
from .facts import EDGE_REACH_PX, Facts, Unreadable
from .links import REASONS, Link, Reason
from .statistics import SplitNumbers, band_shifts

Severity = Literal["leak", "fault", "warning", "note"]
REPORTED_PAIRS = 400
_RATIO = 3.0
_ALL_OBJECT = 0.95


@dataclass(frozen=True)
class Finding:
    """One thing to know about the dataset."""

    severity: Severity
    """leak: pictures of one ground in two splits; fault: files that cannot be used; else worth a look."""
    kind: str
    """Stable name, for programs."""
    text: str
    items: tuple[str, ...] = ()
    """Members or files it is about."""
    cure: str = ""


_GROUPS_CURE = (
    "Split again and keep the groups together: flexunet prepare SRC DST --groups groups.csv (written beside "
    "this report); or set the training copies aside: flexunet check DATASET --fix."
)


def all_findings(
    dataset: Dataset,
    looked: Sequence[Facts | Unreadable],
    facts: Sequence[Facts],
    links: Sequence[Link],
    agreements: Sequence[Agreement],
    numbers: Sequence[SplitNumbers],
) -> list[Finding]:
    """Everything found, leaks and faults first."""
    classes = dataset.data.class_table()
    found = [
        *_leaks(facts, links),
        *_faults(dataset, looked),
        *_kinds_of_files(facts),
        *_contradictions(facts, links, agreements),
        *_repeats(facts, links),
        *_masks(facts, classes),
        *_shifted_masks(facts),
        *_missing(facts),
        *_balance(numbers, classes),
        *_shifts(numbers, facts),
        *_within(facts, links),
        *_notes(dataset, facts),
    ]
    order = ("leak", "fault", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def crosses(facts: Sequence[Facts], link: Link) -> bool:
    """Whether a link joins two splits."""
    return facts[link.first].member.split != facts[link.second].member.split


def _pair_text(facts: Sequence[Facts], link: Link) -> str:
    text = f"{facts[link.first].member.name} - {facts[link.second].member.name}"
    return f"{text}: {link.describe_map()}" if link.matrix is not None else text


def _leaks(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
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
                f"{len(across)} pairs of pictures in different splits are {meaning} ({where})",
                tuple(_pair_text(facts, link) for link in across[:REPORTED_PAIRS]),
                _GROUPS_CURE,
            )
        )
    return found


def _within(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
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
            f"{len(seen)} pairs of one split show the same ground ({listed}): no leak, but they are no "
            "independent pictures either",
            tuple(_pair_text(facts, link) for link in seen[:REPORTED_PAIRS]),
            "Keep them together in any later split: --groups groups.csv.",
        )
    ]


def _faults(dataset: Dataset, looked: Sequence[Facts | Unreadable]) -> list[Finding]:
    found = []
    if dataset.problems:
        listed = tuple(str(problem) for problem in dataset.problems)
        found.append(Finding("fault", "pairing", f"{len(listed)} images and masks do not pair up", listed))
    unreadable = tuple(item.fault for item in looked if isinstance(item, Unreadable))
    if unreadable:
        cure = 'Replace the files, or leave them out: data.on_damaged = "skip".'
        found.append(
            Finding("fault", "unreadable", f"{len(unreadable)} images cannot be read", unreadable, cure)
        )
    masks = tuple(fault for item in looked if isinstance(item, Facts) for fault in item.faults)
    if masks:
        cure = "Correct the masks, or say in [data] what their colours and values mean (flexunet init)."
        found.append(Finding("fault", "unusable masks", f"{len(masks)} masks cannot be used", masks, cure))
    return found


def _kinds_of_files(facts: Sequence[Facts]) -> list[Finding]:
    found = []
    kinds: tuple[tuple[str, Callable[[Facts], str], str], ...] = (
        ("bands", lambda item: f"{len(item.means)} bands", "Set data.channels or data.bands."),
        ("types", lambda item: item.dtype, "Bring them to one type."),
        ("band names", lambda item: ", ".join(item.band_names), "Check that the order of bands is the same."),
        (
            "coordinate systems",
            lambda item: _crs_name(item.grid.crs_wkt) if item.grid.is_georeferenced else "no georeference",
            "",
        ),
    )
    for name, of, cure in kinds:
        counts = Counter(of(item) for item in facts)
        if len(counts) < 2:
            continue
        listed = "; ".join(f"{kind} in {count}" for kind, count in counts.most_common(6))
        rare = counts.most_common()[-1][0]
        severity: Severity = "fault" if name in ("bands",) else "warning"
        items = tuple(item.member.name for item in facts if of(item) == rare)
        found.append(Finding(severity, name, f"pictures differ in {name}: {listed}", items, cure))
    return found


def _crs_name(wkt: str | None) -> str:
    if wkt is None:
        return "without CRS"
    return wkt.split('"')[1] if '"' in wkt else wkt[:40]


def _contradictions(
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
            f"{len(bad)} of {len(agreements)} pairs with a label on shared ground contradict each other",
            lines,
            "flexunet prepare SRC DST --merge-overlaps union (every member gets the union of the masks), "
            "or ignore.",
        )
    ]


def _repeats(facts: Sequence[Facts], links: Sequence[Link]) -> list[Finding]:
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
            f"{len(groups)} masks stand more than once (turned and mirrored ones too) with pictures that are "
            "not known to show the same ground",
            lines,
            "Look whether masks were copied or paired wrongly.",
        )
    ]


def _masks(facts: Sequence[Facts], classes: Classes) -> list[Finding]:
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
                "warning", "masks of nothing", f"{len(ignored)} masks hold the ignore value only", ignored
            )
        )
    if empty:
        text = f"{len(empty)} of {len(usable)} masks hold no foreground"
        cure = "Fine if nothing is there; else the mask is lost."
        found.append(
            Finding("warning" if len(empty) < len(usable) else "fault", "empty masks", text, empty, cure)
        )
    if full:
        text = f"{len(full)} masks are foreground nearly everywhere (over {_ALL_OBJECT:.0%})"
        found.append(
            Finding("warning", "all-object masks", text, full, "Are they inverted? See data.invert_masks.")
        )
    return found


def _shifted_masks(facts: Sequence[Facts]) -> list[Finding]:
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


def _missing(facts: Sequence[Facts]) -> list[Finding]:
    found = []
    partly = [item for item in facts if item.missing > 0]
    if partly:
        worst = sorted(partly, key=lambda item: -item.missing)
        lacking = np.mean([item.missing for item in partly])
        text = f"{len(partly)} pictures lack data, {lacking:.1%} of their pixels on average"
        items = tuple(f"{item.member.name}: {item.missing:.1%}" for item in worst)
        found.append(
            Finding("note", "missing values", text, items, "They count neither in the loss nor in scores.")
        )
    undeclared = [item for item in facts if item.undeclared]
    if undeclared:
        items = tuple(f"{item.member.name}: {item.undeclared}" for item in undeclared)
        text = f"{len(undeclared)} pictures hold values that look like missing data and are not declared so"
        found.append(Finding("warning", "undeclared missing values", text, items, "Set data.nodata."))
    flat = [
        f"{item.member.name}: band {', '.join(str(band + 1) for band in bands)}"
        for item in facts
        if (
            bands := [
                b for b, (low, high) in enumerate(zip(item.lows, item.highs, strict=True)) if low == high
            ]
        )
    ]
    if flat:
        text = f"{len(flat)} pictures have bands of one value"
        found.append(Finding("warning", "constant bands", text, tuple(flat)))
    return found


def _balance(numbers: Sequence[SplitNumbers], classes: Classes) -> list[Finding]:
    found = []
    train = next((item for item in numbers if item.split == "train"), None)
    for item in numbers:
        total = int(item.class_pixels.sum())
        for label in classes.foreground:
            name, share = classes.names[label], item.class_pixels[label] / max(1, total)
            if total and not item.class_pixels[label]:
                text = f"{item.split} holds no pixel of class {name!r}"
                found.append(
                    Finding("warning", "absent class", text, (), "Its score cannot be measured there.")
                )
            elif train is not None and item is not train and train.class_pixels[label]:
                usual = train.class_pixels[label] / max(1, int(train.class_pixels.sum()))
                ratio = share / usual
                if not 1 / _RATIO < ratio < _RATIO:
                    text = f"class {name!r} covers {share:.2%} of {item.split}, {usual:.2%} of train"
                    found.append(Finding("warning", "class balance", text, (), "Stratify the split."))
    return found


def _shifts(numbers: Sequence[SplitNumbers], facts: Sequence[Facts]) -> list[Finding]:
    train = next((item for item in numbers if item.split == "train"), None)
    if train is None:
        return []
    names = facts[0].band_names
    found = []
    for item in numbers:
        for shift in band_shifts(train, item) if item is not train else []:
            name = names[shift.band] if shift.band < len(names) else str(shift.band + 1)
            found.append(
                Finding(
                    "warning",
                    "domain shift",
                    f"{item.split}: band {name} of its pictures is {abs(shift.effect):.1f} deviations "
                    f"{'brighter' if shift.effect > 0 else 'darker'} than in train",
                    (),
                    "Scores on it measure transfer to other light or another sensor, too.",
                )
            )
    return found


def _notes(dataset: Dataset, facts: Sequence[Facts]) -> list[Finding]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for item in facts:
        for note in item.notes:
            kinds[note.partition(" (")[0].lstrip("0123456789.% ")].append(f"{item.member.name}: {note}")
    found = [
        Finding("note", "reading", f"{len(lines)} files: {kind}", tuple(lines))
        for kind, lines in kinds.items()
    ]
    if len(dataset.splits) == 1:
        text = f"there is one split only ({dataset.splits[0]}): leakage between splits cannot be told"
        cure = "groups.csv says what has to stay together when it is split."
        found.append(Finding("note", "one split", text, (), cure))
    return found
