"""What the positions of `quality` stand for, and how they fill what is left open."""

from __future__ import annotations

import json
from typing import Any, Literal

from .draft import KeyPath, Tree, dotted

Quality = Literal["quick", "good", "best"]

_GOOD: dict[str, Any] = {
    "model.architecture": "encoder-unet",
    "model.encoder": "efficientnet_lite0",
    "model.decoder_widths": [128, 64, 48, 32],
    "data.size": [256, 256],
    "train.epochs": 40,
    "train.batch_size": 16,
    "train.learning_rate": 2e-3,
    "train.encoder_rate": 0.2,
    "train.ema": 0.998,
    "augment.affine": 0.5,
    "augment.resized_crop": {"probability": 0.3, "edge": [0.5, 1.0]},
    "augment.scale": [0.7, 1.4],
    "augment.brightness": 0.2,
    "augment.contrast": 0.2,
    "augment.colour": 0.07,
    "augment.saturation": 0.0,
    "evaluate.tta": True,
    "predict.tta": True,
}
RECIPES: dict[Quality, dict[str, Any]] = {
    "quick": {
        **_GOOD,
        "model.decoder_widths": [96, 48, 32],
        "data.size": [192, 192],
        "train.epochs": 12,
        "train.ema": 0.99,
        "evaluate.tta": False,
        "predict.tta": False,
    },
    "good": _GOOD,
    "best": {**_GOOD, "model.encoder": "efficientnet_lite2"},
}
"""What each position stands for, in native keys; docs/encoders.md says what was measured."""


def fill_in(tree: Tree) -> list[str]:
    """Put what the tree's `quality` stands for where nothing is written; tell what that was, `KEY = VALUE`.

    Under another network than the recipe's, its settings of the network are left out; under a time budget,
    its epochs.
    """
    recipe = RECIPES[tree["quality"]]
    derived = []
    for name, value in recipe.items():
        section, key = name.split(".")
        table = tree.setdefault(section, {})
        if not isinstance(table, dict):
            continue
        if section == "model" and other_network(tree) is not None:
            continue
        if name == "train.epochs" and _written(tree, "train", "budget_minutes") is not None:
            continue
        derived += _filled_in(table, (section, key), value)
    return derived


def other_network(tree: Tree) -> Any:
    """The network that is written, if it is not the recipe's."""
    chosen = _written(tree, "model", "architecture")
    return None if chosen == _GOOD["model.architecture"] else chosen


def _filled_in(table: Tree, key_path: KeyPath, value: Any) -> list[str]:
    """Put a value where nothing is written, into a written table what it leaves out; tell what that was."""
    key = str(key_path[-1])
    if key not in table:
        table[key] = value
        return [f"{dotted(key_path)} = {json.dumps(value)}"]
    written = table[key]
    if not (isinstance(written, dict) and isinstance(value, dict)):
        return []
    return [said for name, part in value.items() for said in _filled_in(written, (*key_path, name), part)]


def _written(tree: Tree, section: str, key: str) -> Any:
    table = tree.get(section)
    return table.get(key) if isinstance(table, dict) else None
