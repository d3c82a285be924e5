"""What makes the trials of a search comparable, and where the config as it is stands among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import Config
from ..config.search import Choices, Entry, Search, own_value
from ..training.resume import MAY_DIFFER


def value_in_space(entry: Entry, config: Config) -> Any:
    """The config's own value as the database knows it; None where the space does not hold it."""
    value = own_value(config, entry.key)
    if isinstance(entry, Choices):
        loss_names = entry.key == "train.loss"
        for choice, text in zip(entry.values, entry.texts, strict=True):
            if choice == value or (loss_names and _loss_terms(choice) == _loss_terms(value)):
                return text
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not entry.low <= value <= entry.high:
        return None
    steps = 0.0 if entry.step is None else (value - entry.low) / entry.step
    return value if abs(steps - round(steps)) < 1e-9 else None


def _loss_terms(value: Any) -> list[tuple[str, float]]:
    terms = value if isinstance(value, list) else [value]
    tables = [{"name": term} if isinstance(term, str) else term for term in terms]
    return [(term["name"], float(term.get("weight", 1.0))) for term in tables]


def identity(config: Config, search: Search, images: Sequence[str]) -> dict[str, Any]:
    """What must stay the same for trials to be comparable: space, other settings, pictures."""
    parts: dict[str, Any] = {
        "search space": {
            entry.key: list(entry.texts)
            if isinstance(entry, Choices)
            else [entry.low, entry.high, entry.log, entry.step]
            for entry in search.space
        }
    }
    for section in ("data", "model", "train", "augment"):
        values = getattr(config, section).model_dump(mode="json")
        free = MAY_DIFFER.get(section, set()) - {"patience"}
        parts[section] = {
            key: value
            for key, value in values.items()
            if key not in free and f"{section}.{key}" not in search.keys
        }
    parts["images"] = dict(zip(("train", "valid"), images, strict=True))
    return parts
