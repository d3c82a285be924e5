"""One dial: `quality` stands for network, input size, epochs, augmentation, rates, averaging, and more."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from .draft import Draft, KeyPath, Tree, dotted
from .schema import Config, Quality

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
    "best": {
        **_GOOD,
        "model.encoder": "efficientnet_lite2",
        "data.size": [384, 384],
        "train.epochs": 60,
        "augment.scale": [0.5, 2.0],
        "augment.brightness": 0.3,
        "augment.contrast": 0.3,
        "augment.colour": 0.1,
        "augment.saturation": 0.3,
    },
}
"""What each position stands for, in native keys; docs/encoders.md says what was measured."""


def apply_quality(draft: Draft) -> None:
    """Put into the draft what its `quality` stands for, where nothing is written, and note what that was.

    What is written, in the file or on the command line, stays. Under another network than the recipe's, its
    settings of the network are left out; under a time budget, its epochs.
    """
    quality = draft.tree.get("quality")
    if quality not in ("quick", "good", "best"):
        return  # no dial, or a position that does not exist, of which `validate` tells
    recipe = RECIPES[quality]
    chosen = _written(draft.tree, ("model", "architecture"))
    derived = []
    for name, value in recipe.items():
        section, key = name.split(".")
        table = draft.tree.setdefault(section, {})
        if not isinstance(table, dict):
            continue
        if section == "model" and chosen not in (None, recipe["model.architecture"]):
            continue
        if name == "train.epochs" and _written(draft.tree, ("train", "budget_minutes")) is not None:
            continue
        derived += _filled_in(table, (section, key), value)
    if derived:
        draft.notes.append(
            f'quality = "{quality}" stands for {", ".join(derived)}. Write any of them to choose it yourself.'
        )


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


def without_dial(config: Config) -> Config:
    """The same config, which says all that `quality` stood for itself.

    To be saved with results: read by a later version, it means what it meant, whatever that makes of the
    position.
    """
    return config.model_copy(update={"quality": None})


def at_quality(config: Config, quality: Quality, kept: Collection[str] = ()) -> Config:
    """`config` with what `quality` stands for in place of what it says, but for `kept` keys (`data.size`)."""
    sections: dict[str, dict[str, Any]] = config.model_dump(exclude={"quality", "model"}) | {"model": {}}
    for name, value in RECIPES[quality].items():
        section, key = name.split(".")
        if name not in kept:
            sections[section][key] = value
    return Config.model_validate({"quality": quality, **sections})


def _written(tree: Tree, key_path: KeyPath) -> Any:
    value: Any = tree
    for part in key_path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
