"""Many runs, one question: which settings are best, and what a score becomes elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .gap import Gap, measure_gap

if TYPE_CHECKING:
    from .tuning import Tuned, tune

__all__ = ["Gap", "Tuned", "measure_gap", "tune"]


def __getattr__(name: str) -> Any:
    if name in ("Tuned", "tune"):  # needs the extra `tune`
        from . import tuning

        return getattr(tuning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
