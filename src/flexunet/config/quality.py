"""One dial: `quality` stands for network, input size, epochs, augmentation, rates, averaging, and more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .draft import Draft
from .recipes import RECIPES, Quality, fill_in, other_network
from .schema import Config


def apply_quality(draft: Draft) -> None:
    """Put into the draft what its `quality` stands for, where nothing is written, and note what that was.

    What is written, in the file or on the command line, stays.
    """
    quality = draft.tree.get("quality")
    if quality not in tuple(RECIPES):
        return  # no dial, or a position that does not exist, of which `validate` tells
    derived = fill_in(draft.tree)
    if (network := other_network(draft.tree)) is not None:
        draft.notes.append(
            f'quality = "{quality}" leaves the network alone: model.architecture = "{network}" is written. '
            f"To have the dial's, delete [model] (of a reference config: in what `flexunet convert` writes)."
        )
    if derived:
        draft.notes.append(
            f'quality = "{quality}" stands for {", ".join(derived)}. Write any of them to choose it yourself.'
        )


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
