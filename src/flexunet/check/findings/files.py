"""Findings about files: pairs, readability, kinds, missing values, notes of the readers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from ...data.colours import FOREIGN
from ...raster.missing import SATURATED
from ..dataset import Dataset
from ..facts import Facts, Unreadable
from .finding import Finding, Severity, counted

_SHARE = re.compile(r"^[\d.]+ ?%( of the pixels)?")
"""How many pixels a note is about: it differs from file to file."""


def faults(dataset: Dataset, looked: Sequence[Facts | Unreadable]) -> list[Finding]:
    found = []
    if dataset.problems:
        listed = tuple(str(problem) for problem in dataset.problems)
        found.append(Finding("fault", "pairing", f"{counted(len(listed), 'file')} without a partner", listed))
    unreadable = tuple(item.fault for item in looked if isinstance(item, Unreadable))
    if unreadable:
        cure = 'Replace the files, or leave them out: data.on_damaged = "skip".'
        found.append(
            Finding(
                "fault", "unreadable", f"{counted(len(unreadable), 'image')} cannot be read", unreadable, cure
            )
        )
    masks = tuple(fault for item in looked if isinstance(item, Facts) for fault in item.faults)
    if masks:
        cure = "Correct the masks, or say in [data] what their colours and values mean (flexunet init)."
        found.append(
            Finding("fault", "unusable masks", f"{counted(len(masks), 'mask')} cannot be used", masks, cure)
        )
    return found


def kinds_of_files(facts: Sequence[Facts]) -> list[Finding]:
    found = []
    kinds: tuple[tuple[str, Callable[[Facts], str], str], ...] = (
        ("bands", lambda item: f"{len(item.means)} bands", "Set data.channels or data.bands."),
        ("types", lambda item: item.dtype, "Bring them to one type."),
        ("band names", _names_of_bands, "Check that the order of bands is the same."),
        (
            "coordinate systems",
            lambda item: _crs_name(item.grid.crs_wkt) if item.grid.is_georeferenced else "no georeference",
            "Their footprints are compared within one system only; bring them to one.",
        ),
    )
    for name, of, cure in kinds:
        counts = Counter(told for item in facts if (told := of(item)))
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


def _names_of_bands(item: Facts) -> str:
    """Names that say something: not the numbers that readers give to bands without a name."""
    numbered = all(name.lower().startswith("band") for name in item.band_names)
    return "" if numbered else ", ".join(item.band_names)


def missing_values(facts: Sequence[Facts]) -> list[Finding]:
    found = []
    partly = [item for item in facts if item.missing > 0]
    if partly:
        worst = sorted(partly, key=lambda item: -item.missing)
        lacking = np.mean([item.missing for item in partly])
        text = f"{counted(len(partly), 'picture')} with missing data, {lacking:.1%} of the pixels on average"
        items = tuple(f"{item.member.name}: {item.missing:.1%}" for item in worst)
        found.append(
            Finding("note", "missing values", text, items, "They count neither in the loss nor in scores.")
        )
    undeclared = [item for item in facts if item.undeclared]
    if undeclared:
        items = tuple(f"{item.member.name}: {item.undeclared}" for item in undeclared)
        count = counted(len(undeclared), "picture")
        text = f"{count} with values that look like missing data and are not declared so"
        cure = (
            "flexunet prepare carries them as missing data. For a training on the files as they are: "
            "data.nodata is the value, 0 for a collar."
        )
        found.append(Finding("warning", "undeclared missing values", text, items, cure))
    saturated = [item for item in facts if item.saturated]
    if saturated:
        items = tuple(f"{item.member.name}: {item.saturated:.1%} of the pixels" for item in saturated)
        text = (
            f"{counted(len(saturated), 'picture')} with many pixels of {SATURATED:g}: too bright, or missing"
        )
        cure = f"If missing: --nodata {SATURATED:g} for flexunet prepare, data.nodata in a config."
        found.append(Finding("warning", "saturated", text, items, cure))
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
        text = f"{counted(len(flat), 'picture')} with bands of one value"
        found.append(
            Finding("warning", "constant bands", text, tuple(flat), "Nothing can be learned from them.")
        )
    blocks = [item for item in facts if item.blocks]
    if blocks:
        items = tuple(
            f"{item.member.name}: band {band} is {value:g} in a block of {share:.0%} of the pixels"
            for item in blocks
            for band, value, share in item.blocks
        )
        text = f"{counted(len(blocks), 'picture')} with a large block of one value in a band"
        cure = "Look whether the band has no data there, or is as even as that."
        found.append(Finding("note", "blocks of one value", text, items, cure))
    return found


def notes(dataset: Dataset, facts: Sequence[Facts]) -> list[Finding]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for item in facts:
        for note in item.notes:
            kinds[_SHARE.sub("some pixels", note.partition(" (")[0])].append(f"{item.member.name}: {note}")
    found = []
    for kind, lines in kinds.items():
        text = f"{counted(len(lines), 'file')}: {kind}"
        if kind.endswith(FOREIGN):
            cure = (
                "Add the class to data.classes, or set data.ignore_colour: else the nearest class is taken."
            )
            found.append(Finding("warning", "foreign colour", text, tuple(lines), cure))
        else:
            found.append(Finding("note", "reading", text, tuple(lines)))
    if len(dataset.splits) == 1:
        text = f"there is one split only ({dataset.splits[0]}): leakage between splits cannot be told"
        cure = "flexunet prepare splits it and keeps pictures of the same ground together."
        found.append(Finding("note", "one split", text, (), cure))
    return found
