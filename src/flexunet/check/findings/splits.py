"""Findings about how splits differ: classes and bands."""

from __future__ import annotations

from collections.abc import Sequence

from ...classes import Classes
from ..facts import Facts
from ..statistics import SplitNumbers, band_shifts
from .finding import Finding

_RATIO = 3.0
"""Classes that are so many times more or less frequent than in training are told."""


def class_balance(numbers: Sequence[SplitNumbers], classes: Classes) -> list[Finding]:
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


def domain_shifts(numbers: Sequence[SplitNumbers], facts: Sequence[Facts]) -> list[Finding]:
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
