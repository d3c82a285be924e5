"""Which bands of a scene a model takes, by name where names mean something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from ...modelfile import ModelRecord
from ..pictures import check_fit

_GENERIC = re.compile(r"band[ _]?\d+|\d+|layer[ _]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Chosen:
    """The bands of the file, from 1, in the model's order; one band may stand for several channels."""

    bands: tuple[int, ...]
    notes: tuple[str, ...] = ()
    by_position: bool = False
    """Names were there on both sides and did not help."""


def choose_bands(name: str, found: Sequence[str], dtype: str, record: ModelRecord) -> Chosen:
    """The bands among `found`, the band names of the scene, that the model was trained on.

    By name where both sides have names of their own (a band that has only a number, on either side, then goes
    by its place, if there are as many bands as the model knows); else as training chose them from its files
    (`data.bands`); else all of them in order; a single band is repeated where training did so.

    Raises:
        DataError: bands are missing, there are more or fewer than the model knows, or of another type.
    """
    wanted = [band.casefold() for band in record.bands.names]
    names = [band.strip().casefold() for band in found]
    real = _real(wanted) and _real(names)
    if real and set(wanted) & set(names) and len(set(names)) == len(names):
        places = _places(wanted, names)
        missing = [band for band, place in zip(record.bands.names, places, strict=True) if place is None]
        if missing:
            raise DataError(
                f"{name}: has no band called {', '.join(missing)}. The model takes "
                f"{', '.join(record.bands.names)}; the scene has {', '.join(found)}."
            )
        chosen = tuple(place + 1 for place in places if place is not None)
        note = () if chosen == tuple(range(1, len(names) + 1)) else (_said(chosen, found),)
        _check(name, len(chosen), dtype, record)
        if set(wanted) <= set(names):
            return Chosen(chosen, note)
        return Chosen(chosen, (_by_position(chosen, found, record),), by_position=True)
    trained = record.data.bands
    if trained is not None and len(found) >= max(trained):
        _check(name, len(trained), dtype, record)
        return Chosen(trained, (_said(trained, found),))
    if len(found) == 1 and record.data.channels == len(wanted) > 1:
        _check(name, len(wanted), dtype, record)
        return Chosen((1,) * len(wanted), (f"grey repeated to {len(wanted)} channels",))
    _check(name, len(found), dtype, record)
    everything = tuple(range(1, len(found) + 1))
    notes = (_by_position(everything, found, record),) if real else ()
    return Chosen(everything, notes, by_position=real)


def _places(wanted: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Where each of the bands `wanted` is among `names`; None for one that is not there."""
    places: list[int | None] = [names.index(band) if band in names else None for band in wanted]
    if len(wanted) != len(names):
        return places
    for place, (band, there) in enumerate(zip(wanted, names, strict=True)):
        numbered = _GENERIC.fullmatch(band) or _GENERIC.fullmatch(there)
        if places[place] is None and numbered and place not in places:
            places[place] = place
    return places


def _real(names: Sequence[str]) -> bool:
    return not all(_GENERIC.fullmatch(name) for name in names)


def _said(chosen: Sequence[int], found: Sequence[str]) -> str:
    return "bands used: " + ", ".join(f"{band} ({found[band - 1]})" for band in chosen)


def _by_position(chosen: Sequence[int], found: Sequence[str], record: ModelRecord) -> str:
    taken = ", ".join(found[band - 1] for band in chosen)
    return f"bands taken by position: {taken} as {', '.join(record.bands.names)}"


def _check(name: str, count: int, dtype: str, record: ModelRecord) -> None:
    check_fit(np.empty((count, 0, 0), dtype), record, name)
