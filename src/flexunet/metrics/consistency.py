"""Whether printed scores can all be true: the identities that tie IoU, F1, precision and recall together."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import DataError, Problem

NAMES = ("iou", "f1", "precision", "recall")


Decimals = int | Mapping[str, int] | None
"""Decimals that scores are printed with: all the same, by name, or None for full precision."""


def impossible_pairs(
    scores: Mapping[str, float | None], decimals: Decimals = None, where: str | None = None
) -> list[Problem]:
    """What cannot be true together of one class's scores in 0 to 1; an empty list where all agrees.

    - IoU = F1 / (2 - F1);
    - F1 = 2 P R / (P + R);
    - IoU = P R / (P + R - P R).

    Each must hold for some values that round to the printed ones. Where only precision or recall is known the
    other may be anything. They hold for pooled pixels of one class, not for means over images or classes.
    """
    known = {name: value for name in NAMES if (value := scores.get(name)) is not None}
    problems = [
        Problem(f"{_shown(name)} {value:g} does not lie between 0 and 1", where=where)
        for name, value in known.items()
        if not 0 <= value <= 1
    ]
    if problems:
        return problems
    span = {name: _span(value, _of(decimals, name)) for name, value in known.items()}
    if "iou" in span and "f1" in span:
        low, high = (f1 / (2 - f1) for f1 in span["f1"])
        problems += _unless_met(known, ("iou", "f1"), span["iou"], (low, high), "IoU = F1 / (2 - F1)", where)
    parts = tuple(name for name in ("precision", "recall") if name in span)
    if parts:
        ends = list(zip(*(span.get(name, (0.0, 1.0)) for name in ("precision", "recall")), strict=True))
        for name, formula, of in (
            ("f1", "F1 = 2 P R / (P + R)", _f1),
            ("iou", "IoU = P R / (P + R - P R)", _iou),
        ):
            if name in span:
                low, high = (of(p, r) for p, r in ends)
                problems += _unless_met(known, (name, *parts), span[name], (low, high), formula, where)
    return problems


def refuse_impossible(scores: Mapping[str, Mapping[str, float | None]], decimals: Decimals = None) -> None:
    """Check the scores of every class by its name.

    Raises:
        DataError: some cannot be true together; all of them are named.
    """
    problems = [
        problem
        for name, values in scores.items()
        for problem in impossible_pairs(values, decimals, where=name)
    ]
    if problems:
        raise DataError("these scores cannot all be true:", problems)


def _unless_met(
    known: Mapping[str, float],
    names: tuple[str, ...],
    printed: tuple[float, float],
    allowed: tuple[float, float],
    formula: str,
    where: str | None,
) -> list[Problem]:
    if printed[1] + 1e-12 >= allowed[0] and printed[0] - 1e-12 <= allowed[1]:
        return []
    shown = ", ".join(f"{_shown(name)} {known[name]:g}" for name in names)
    precision_and_recall = {"precision", "recall"} <= {*names}
    would = (
        f"be {sum(allowed) / 2:.4f}"
        if "f1" in names[1:] or precision_and_recall
        else f"not exceed {allowed[1]:.4f}"
    )
    return [Problem(f"{shown} exclude each other: {formula} would {would}", where=where)]


def _of(decimals: Decimals, name: str) -> int | None:
    return decimals.get(name) if isinstance(decimals, Mapping) else decimals


def _span(value: float, decimals: int | None) -> tuple[float, float]:
    """The values in 0 to 1 that are printed like this one."""
    slack = 1e-9 if decimals is None else 0.5 * 10.0**-decimals + 1e-12
    return max(value - slack, 0.0), min(value + slack, 1.0)


def _f1(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def _iou(precision: float, recall: float) -> float:
    either = precision + recall - precision * recall
    return precision * recall / either if either else 0.0


def _shown(name: str) -> str:
    return {"iou": "IoU", "f1": "F1"}.get(name, name)
