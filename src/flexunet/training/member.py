"""One run among several: its config, its folder, and whether it is over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config
from ..files import write_text
from .folder import RunFolder
from .run import wants_calibration

PLAN, FOLDS, GROUPS, FINISHED = "plan.json", "folds.csv", "groups.json", "finished.json"
MODEL = "ensemble.safetensors"
"""What folds and seeds leave beside the members' folders, and FINISHED in each of them."""


@dataclass(frozen=True)
class Member:
    """One run among several."""

    name: str
    fold: int | None
    seed: int
    config: Config

    @property
    def folder(self) -> RunFolder:
        """Where the run goes."""
        return RunFolder.of(self.config.output)

    @property
    def finished(self) -> Path:
        """The file that says that the run is over, with its numbers."""
        return self.folder.dir / FINISHED


def members_of(config: Config, folds: int | None, seeds: int) -> list[Member]:
    """All folds with the first seed, then with the next: every fold has a member early."""
    numbers: list[int | None] = [None] if folds is None else list(range(1, folds + 1))
    budget = config.train.budget_minutes
    members = []
    for seed in range(1, seeds + 1):
        for fold in numbers:
            name = f"seed-{seed}" if fold is None else f"fold-{fold}-seed-{seed}"
            chosen: dict[str, Any] = {
                "seed": config.train.seed + seed - 1,
                "calibrate": wants_calibration(config),
            }
            if budget is not None:
                chosen["budget_minutes"] = budget / (len(numbers) * seeds)
            own = {"folds": config.output.dir / FOLDS, "fold": fold} if fold is not None else {}
            folders = {"model_dir": None, "eval_dir": None, "epoch_pictures_dir": None,
                       "epoch_pictures_tiled_dir": None}  # fmt: skip
            output = {"dir": config.output.dir / name, "layout": "native", **folders}
            members.append(Member(name, fold, seed, config.model_copy(update={
                "data": config.data.model_copy(update=own),
                "train": config.train.model_copy(update=chosen),
                "output": config.output.model_copy(update=output),
            })))  # fmt: skip
    return members


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
