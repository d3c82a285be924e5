"""`check`: a dataset in, findings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from ..progress import Tell
from .contradictions import compare_masks
from .dataset import Dataset, find_dataset
from .facts import Unreadable, gather, usable
from .findings import all_findings
from .links import find_links
from .report import Check
from .statistics import numbers_of
from .verdict import remember


def check(target: Path, overrides: Sequence[str] = (), *, progress: Tell | None = None) -> Check:
    """Look at every pair of a dataset folder or of the dataset that a config names.

    Time: about 60 ms a picture and core, most of it for local features, and what its copies take: 110 ms with
    four of each; twice as much where NumPy was loaded without `OPENBLAS_NUM_THREADS=1` (the command sees to
    it). Memory: about 0.25 MB a picture, 0.6 MB while `find_copies` counts votes; with four copies 0.9 MB.

    Raises:
        ConfigError, DataError: nothing there that could be checked.
    """
    return check_dataset(find_dataset(target, overrides, progress), progress=progress)


def check_dataset(dataset: Dataset, *, progress: Tell | None = None) -> Check:
    """The same for a dataset that was found already."""
    looked = list(gather(dataset, progress=progress))
    facts = usable(looked)
    if not facts:
        raise DataError(
            f"no picture of {dataset.name} can be read:\n"
            + "\n".join(item.fault for item in looked[:20] if isinstance(item, Unreadable))
        )
    links, notes = find_links(dataset, facts, progress=progress)
    classes = dataset.data.class_table()
    agreements = compare_masks(facts, links, dataset.data, classes)
    numbers = [
        numbers_of(split, members, classes)
        for split in dataset.splits
        if (members := [item for item in facts if item.member.split == split])
    ]
    findings = all_findings(dataset, looked, facts, links, agreements, numbers)
    result = Check(
        Dataset(**{**vars(dataset), "notes": (*dataset.notes, *notes)}),
        tuple(facts), tuple(links), tuple(agreements), tuple(numbers), tuple(findings),
    )  # fmt: skip
    remember(result)
    return result
