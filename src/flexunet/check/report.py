"""The report of a check: what is printed, `check.json`, `groups.csv` and the contact sheet."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import ids_beside
from ..data.folders import Split
from ..errors import FlexunetError, OutputExistsError
from ..files import write_text
from ..views import display_rgb
from ..views.pair_sheet import PairCard, pair_sheet
from .contradictions import Agreement
from .dataset import Dataset
from .facts import Facts, read_labels, read_member
from .findings import Finding, crosses
from .links import Link, groups_of
from .statistics import SplitNumbers, as_json

REPORT = "check.json"
SHOWN = 6
"""Items of a finding that are printed; the report holds them all."""
DRAWN = 24
"""Pairs on the contact sheet."""


@dataclass(frozen=True)
class Check:
    """What a check found."""

    dataset: Dataset
    facts: tuple[Facts, ...]
    links: tuple[Link, ...]
    agreements: tuple[Agreement, ...]
    numbers: tuple[SplitNumbers, ...]
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> tuple[Link, ...]:
        """Links between different splits."""
        return tuple(link for link in self.links if crosses(self.facts, link))

    @property
    def faulty(self) -> bool:
        """Whether there is a leak, or a file that cannot be used."""
        return any(finding.severity in ("leak", "fault") for finding in self.findings)

    def text(self) -> str:
        """What is printed."""
        counts = Counter(item.member.split for item in self.facts)
        lines = [
            f"{self.dataset.name}: "
            + ", ".join(f"{counts[split]} in {split}" for split in self.dataset.splits if counts[split])
        ]
        for finding in self.findings:
            lines.append(f"{finding.severity.upper():<8}{finding.text}")
            lines += [f"          {item}" for item in finding.items[:SHOWN]]
            if len(finding.items) > SHOWN:
                lines.append(f"          ... and {len(finding.items) - SHOWN} more")
            if finding.cure:
                lines.append(f"        > {finding.cure}")
        if len(self.dataset.splits) > 1 and not self.leaks:
            lines.append(f"OK      no leak found between {', '.join(self.dataset.splits)}")
        return "\n".join(lines)


def write_report(check: Check, out: Path, *, overwrite: bool = False) -> list[Path]:
    """Write `groups.csv`, `pairs.png` (where there are pairs) and, last, `check.json`.

    Raises:
        OutputExistsError: `out` holds a report and `overwrite` is False.
    """
    if (out / REPORT).exists() and not overwrite:
        raise OutputExistsError(
            f"{out} holds a report already. Use --overwrite, or another folder with --out."
        )
    written = []
    for name, content in (("groups.csv", groups_csv(check)),):
        if content:
            write_text(out / name, content)
            written.append(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    if draw_pairs(check, out / "pairs.png"):
        written.append(out / "pairs.png")
    else:
        (out / "pairs.png").unlink(missing_ok=True)
    write_text(out / REPORT, json.dumps(to_json(check), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return [*written, out / REPORT]


def groups_csv(check: Check) -> str:
    """`id,group` for `flexunet prepare --groups`: all pictures that have to stay together; empty for none.

    Ids are those of the raw material, and of the dataset folder as a source of `prepare`.
    """
    groups = groups_of(check.facts, check.links)
    sizes = Counter(groups)
    by_split: dict[Split, list[str]] = {split: [] for split in check.dataset.splits}
    for item in check.facts:
        by_split[item.member.split].append(item.member.pair.id)
    ids = [name for names in ids_beside(by_split).values() for name in names]
    rows = sorted((ids[i], ids[group]) for i, group in enumerate(groups) if sizes[group] > 1)
    if not rows:
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["id", "group"])
    writer.writerows(rows)
    return buffer.getvalue()


def to_json(check: Check) -> dict[str, Any]:
    """Everything as JSON values."""
    agreements = {item.link: item for item in check.agreements}
    groups = groups_of(check.facts, check.links)
    grouped = sum(count for count in Counter(groups).values() if count > 1)
    return {
        "format": "flexunet check",
        "version": 1,
        "dataset": check.dataset.name,
        "leaks": len(check.leaks),
        "findings": [
            {
                "severity": finding.severity,
                "kind": finding.kind,
                "text": finding.text,
                "items": list(finding.items),
                "cure": finding.cure,
            }
            for finding in check.findings
        ],
        "links": [
            _link_json(check.facts, link, agreements.get(number)) for number, link in enumerate(check.links)
        ],
        "grouped_pictures": grouped,
        "splits": {item.split: as_json(item, check.dataset.data.class_table()) for item in check.numbers},
        "notes": list(check.dataset.notes),
    }


def _link_json(facts: Sequence[Facts], link: Link, agreement: Agreement | None) -> dict[str, Any]:
    return {
        "first": facts[link.first].member.name,
        "second": facts[link.second].member.name,
        "leak": crosses(facts, link),
        "reason": link.reason,
        "also": list(link.also),
        "second_to_first": None if link.matrix is None else [[float(v) for v in row] for row in link.matrix],
        "how": link.describe_map(),
        "correlation": link.score,
        "shared": link.share,
        "mask_iou": None if agreement is None else agreement.iou,
    }


def draw_pairs(check: Check, path: Path) -> bool:
    """Draw pairs: leaks first, copies before pixel-equal ones; False where there is nothing to draw."""
    agreements = {item.link: item for item in check.agreements}
    order = sorted(
        (
            number
            for number, link in enumerate(check.links)
            if link.matrix is not None or link.reason == "name"
        ),
        key=lambda number: (
            not crosses(check.facts, check.links[number]),
            check.links[number].reason != "copy",
            check.links[number].score or 0.0,
            number,
        ),
    )
    cards = []
    for number in order[:DRAWN]:
        card = _card(check, check.links[number], agreements.get(number))
        if card is not None:
            cards.append(card)
    if not cards:
        return False
    across, within = len(check.leaks), len(check.links) - len(check.leaks)
    title = f"{check.dataset.name}: {across} pairs across splits, {within} within; {len(cards)} drawn"
    pair_sheet(cards, check.dataset.data.class_table(), path, title=title)
    return True


def _card(check: Check, link: Link, agreement: Agreement | None) -> PairCard | None:
    sides = []
    for index in (link.first, link.second):
        item = check.facts[index]
        try:
            picture = read_member(item.member, check.dataset.data)
        except FlexunetError:
            return None
        rgb = display_rgb(picture.pixels, picture.valid, band_names=picture.band_names)
        sides.append((rgb, read_labels(item.member, check.dataset.data, item.size)))
    first, second = (check.facts[index].member.name for index in (link.first, link.second))
    caption = f"{first}  -  {second}"
    parts = [str(link.reason), link.describe_map()]
    if link.score is not None and link.reason == "copy":
        parts.append(f"r {link.score:.2f}")
    if agreement is not None:
        parts.append(f"mask IoU {agreement.iou:.2f}")
    return PairCard(
        *sides[0], *sides[1], link.matrix, caption, ", ".join(filter(None, parts)), crosses(check.facts, link)
    )
