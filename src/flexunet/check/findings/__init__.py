"""What a careful colleague would say about a dataset: one finding a fault, with its files and its cure."""

from __future__ import annotations

from collections.abc import Sequence

from ..contradictions import Agreement
from ..dataset import Dataset
from ..facts import Facts, Unreadable
from ..links import Link
from ..statistics import SplitNumbers
from .files import faults, kinds_of_files, missing_values, notes
from .finding import Finding
from .frame import centred_objects
from .ground import contradictions, crosses, leaks, within
from .masks import empty_and_full_masks, repeated_masks, shifted_masks
from .splits import class_balance, domain_shifts

__all__ = ["Finding", "all_findings", "crosses"]


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
        *leaks(facts, links),
        *faults(dataset, looked),
        *kinds_of_files(facts),
        *contradictions(facts, links, agreements),
        *repeated_masks(facts, links),
        *empty_and_full_masks(facts, classes),
        *shifted_masks(facts),
        *centred_objects(facts),
        *missing_values(facts),
        *class_balance(numbers, classes),
        *domain_shifts(numbers, facts),
        *within(facts, links),
        *notes(dataset, facts),
    ]
    order = ("leak", "fault", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))
