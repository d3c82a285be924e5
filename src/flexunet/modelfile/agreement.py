"""Whether models, and what they are to see, know the same classes and bands."""

from __future__ import annotations

from collections.abc import Sequence

from ..bands import Bands
from ..classes import Classes
from ..errors import ConfigError, Problem
from .record import ModelRecord

READING = ("bands", "alpha", "exif_orientation")
"""How a picture is read: once, for all members of an ensemble."""


def require_classes(who: str, record: ModelRecord, classes: Classes) -> None:
    """Refuse a model of other classes than a config's; `who`: the model, in the message.

    Raises:
        ConfigError: its classes are others, or in another order.
    """
    if record.classes.names != classes.names:
        raise ConfigError(
            f"{who} knows the classes {', '.join(record.classes.names)}, the config "
            f"{', '.join(classes.names)}. Both must be the same, in the same order."
        )


def require_bands(who: str, record: ModelRecord, bands: Bands) -> None:
    """Refuse a model that takes other bands than the data have.

    Raises:
        ConfigError: other names, another order or another type.
    """
    theirs = record.bands
    if (theirs.names, theirs.dtype) != (bands.names, bands.dtype):
        raise ConfigError(
            f"{who} takes the bands {_in_words(theirs)}, the data are {_in_words(bands)}. Choose and name "
            f"the bands with data.bands and data.band_names, or train without that model."
        )


def check_agreement(records: Sequence[ModelRecord], names: Sequence[str]) -> None:
    """Refuse models that cannot be averaged.

    Raises:
        ConfigError: other classes, other bands or another way to read them than the first one's; all that
        disagree are named.
    """
    first = records[0]
    problems = []
    for record, name in zip(records[1:], names[1:], strict=True):
        if (record.classes.names, record.classes.background) != (
            first.classes.names,
            first.classes.background,
        ):
            problems.append(Problem(f"{name} knows the classes {', '.join(record.classes.names)}"))
        if (record.bands.names, record.bands.dtype) != (first.bands.names, first.bands.dtype):
            problems.append(Problem(f"{name} takes the bands {_in_words(record.bands)}"))
        problems += [
            Problem(f"{name} reads pictures with {key} = {getattr(record.data, key)!r}, "
                    f"not {getattr(first.data, key)!r}")
            for key in READING
            if getattr(record.data, key) != getattr(first.data, key)
        ]  # fmt: skip
    if problems:
        raise ConfigError(
            f"these models cannot be averaged; {names[0]} knows the classes "
            f"{', '.join(first.classes.names)} and takes the bands {_in_words(first.bands)}:",
            problems,
        )


def _in_words(bands: Bands) -> str:
    return f"{', '.join(bands.names)} ({bands.dtype})"
