"""What a careful colleague would find before training: leaks, faults, contradictions, numbers."""

from .components import join_groups
from .dataset import find_dataset
from .near import describe, find_copies
from .overlaps import Overlap, Overlaps, find_overlaps
from .report import Check, write_report
from .run import check, check_dataset
from .setting_aside import set_aside
from .verdict import Verdict, not_checked, quick_verdict

__all__ = [
    "Check",
    "Overlap",
    "Overlaps",
    "Verdict",
    "check",
    "check_dataset",
    "describe",
    "find_copies",
    "find_dataset",
    "find_overlaps",
    "join_groups",
    "not_checked",
    "quick_verdict",
    "set_aside",
    "write_report",
]
