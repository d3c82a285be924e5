"""One thing to know about a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["leak", "fault", "warning", "note"]


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


def counted(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
