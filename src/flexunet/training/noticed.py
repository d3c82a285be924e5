"""What is noticed about the data of a run: said when it begins, and listed file by file in its folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..data import Store

LISTED_IN_FILE = "data_notes.csv"
SAID_LINES = 12
"""More lines than this about a split are left to the file."""


@dataclass(frozen=True)
class Note:
    """One thing noticed: about an image, or (None) about a whole split."""

    split: str
    image: str | None
    text: str


def notes_of(stores: Mapping[str, Store]) -> list[Note]:
    """Everything noticed about each split (by its name) as a whole, then about each of its files."""
    notes = []
    for split, store in stores.items():
        notes += [Note(split, None, text) for text in store.notes]
        for index, pair in enumerate(store.pairs):
            notes += [Note(split, str(pair.image), text) for text in store.entry(index).header.notes]
    return notes


def lines_of(notes: Sequence[Note]) -> list[str]:
    """What the user is told of them: the first of each split as a whole, files gathered."""
    lines = []
    for split in dict.fromkeys(note.split for note in notes):
        texts = [note.text for note in notes if note.split == split and note.image is None]
        # what concerns many files comes last and says most
        first = texts if len(texts) <= SAID_LINES else [*texts[: SAID_LINES // 2], *texts[-SAID_LINES // 2 :]]
        lines += [f"{split}: {text}" for text in first]
        if len(first) < len(texts):
            lines.append(
                f"{split}: {len(texts) - len(first)} more: see {LISTED_IN_FILE} in the run's folder."
            )
    return lines


def as_csv(notes: Sequence[Note]) -> str:
    """A table `split,image,note`; image is empty where a note is about the whole split."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "image", "note"])
    writer.writerows([note.split, note.image or "", note.text] for note in notes)
    return text.getvalue()
