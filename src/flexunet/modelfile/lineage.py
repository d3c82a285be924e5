"""Which pictures a model has learned from: its own, and those of the models it came of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files import sha256_of
from .record import ModelRecord
from .store import read_record

ORIGINS = {"start_from": "the model that it started from", "teacher": "its teacher"}
"""The part another model can have had in a training, and how that is said."""


def about_model(path: Path) -> dict[str, Any]:
    """What a model file says of another one that had a part in it."""
    record = read_record(path)
    return {
        "name": path.name,
        "sha256": sha256_of(path),
        "members": max(1, len(record.members)),
        "scores": record.scores,
        "learned_from": learned_from(record),
    }


def others_of(record: ModelRecord) -> Iterator[tuple[str, dict[str, Any]]]:
    """The other models that had a part in this one or in its members: which part, and what is known."""
    for one in (record, *record.members):
        for part in ORIGINS:
            if one.training.get(part):
                yield part, one.training[part]


def learned_from(record: ModelRecord) -> list[str] | None:
    """Fingerprints of the data that a model, its members and those they came of were trained on.

    None: not known of all, as of models of the reference.
    """
    own = [one.fingerprint for one in record.members or (record,)]
    found = {*own}
    for _, other in others_of(record):
        found |= {*(other.get("learned_from") or [None])}
    known = {fingerprint for fingerprint in found if fingerprint}
    return sorted(known) if known == found else None
