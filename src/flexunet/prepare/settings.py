"""How masks and pictures are read and paired where the usual rules do not do: `data.key=value`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ..config.draft import Draft
from ..config.overrides import apply_overrides
from ..config.schema import DataConfig
from ..errors import DataError, Problem
from .options import LayoutName

_PAIRING = {"image_pattern", "mask_pattern", "on_orphan", "on_damaged"}
_READING = {"alpha", "exif_orientation"}
_DECODING = {
    "classes", "mask_encoding", "mask_axes", "threshold", "invert_masks", "ignore_value", "ignore_colour",
    "off_map_tolerance", "mask_size",
}  # fmt: skip
KNOWN = tuple(sorted(_PAIRING | _READING | _DECODING))
"""Keys of `[data]` that say something about raw material."""


def read_settings(texts: Sequence[str]) -> DataConfig:
    """The data section with these values; `model_fields_set` names them.

    Raises:
        DataError: unknown keys, and values that do not fit; all of them are named.
    """
    draft = Draft(Path("--set"))
    apply_overrides(draft, texts)
    problems = list(draft.problems)
    given = draft.tree.get("data", {})
    others = [f"{section}.*" for section in draft.tree if section != "data"]
    others += [f"data.{key}" for key in given if key not in KNOWN]
    known = ", ".join(f"data.{key}" for key in KNOWN)
    problems += [
        Problem(f"says nothing about raw material; known are {known}.", where=f"--set {o}") for o in others
    ]
    settings = DataConfig()
    if not problems:
        try:
            settings = DataConfig.model_validate(given)
        except ValidationError as error:
            problems += [
                Problem(
                    str(fault["msg"]).removeprefix("Value error, "),
                    where="--set " + ".".join(map(str, ("data", *fault["loc"]))),
                )
                for fault in error.errors()
            ]
    if problems:
        raise DataError("These settings cannot be used:", problems)
    return settings


def understood(layout: LayoutName) -> set[str]:
    """The keys that a layout has a use for: most say themselves what their masks mean."""
    if layout in ("pairs", "splits"):
        return set(KNOWN)
    if layout in ("bijie", "flat"):
        return set(KNOWN) - {"image_pattern", "mask_pattern"}
    if layout == "text-polygons":
        return {"on_damaged", "on_orphan", *_READING}
    return {"on_damaged", *_READING} if layout in ("via", "coco", "labelme") else {"on_damaged"}


def decodes_otherwise(settings: DataConfig) -> bool:
    """Whether masks are read in a way that their files do not say themselves."""
    return bool(settings.model_fields_set & _DECODING)


def reads_otherwise(settings: DataConfig) -> bool:
    """Whether pictures are read in another way than usual."""
    return any(getattr(settings, key) != getattr(DataConfig(), key) for key in _READING)


def laid_over(found: DataConfig, given: DataConfig) -> DataConfig:
    """Settings that were found, with those given in their place."""
    both = (found, given)
    return DataConfig.model_validate({key: getattr(one, key) for one in both for key in one.model_fields_set})
