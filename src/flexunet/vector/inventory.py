"""How many polygons of each class there are, how large they are, as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_text

_STEPS = (1e2, 1e3, 1e4, 1e5)


@dataclass
class Inventory:
    """Collects the areas of polygons by class; eight bytes a polygon."""

    names: tuple[str, ...]
    unit: str
    """`m2` or `px`."""
    _areas: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, labels: NDArray[np.uint8], areas: NDArray[np.float64]) -> None:
        """Count polygons with their class and area."""
        for label in np.unique(labels):
            self._areas.setdefault(int(label), []).append(areas[labels == label])

    def rows(self, foreground: tuple[int, ...]) -> list[dict[str, Any]]:
        """One row a class, those without polygons too: count, total, smallest, median, mean, largest area and
        the number of polygons by size."""
        rows = []
        for label in sorted({*foreground, *self._areas}):
            areas = np.concatenate(self._areas.get(label, [np.empty(0)]))
            row: dict[str, Any] = {
                "class": self.names[label] if label < len(self.names) else f"class {label}",
                "class_id": label,
                "count": len(areas),
                f"total_{self.unit}": float(areas.sum()),
            }
            for name, how in (("min", np.min), ("median", np.median), ("mean", np.mean), ("max", np.max)):
                row[f"{name}_{self.unit}"] = float(how(areas)) if len(areas) else None
            bounds = np.searchsorted(np.sort(areas), _STEPS)
            counts = np.diff(np.concatenate(([0], bounds, [len(areas)])))
            names = [f"below_{_STEPS[0]:.0f}", *(f"from_{step:.0f}" for step in _STEPS)]
            row |= {f"{name}_{self.unit}": int(n) for name, n in zip(names, counts, strict=True)}
            rows.append(row)
        return rows


def write_inventory(path: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as CSV; an empty cell where there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["class"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _shown(value) for name, value in row.items()})
    write_text(path, text.getvalue())


def _shown(value: Any) -> Any:
    return f"{value:.2f}" if isinstance(value, float) else ("" if value is None else value)
