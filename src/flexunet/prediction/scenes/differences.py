"""What tells two jobs apart, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "format": "the version of flexunet",
    "model": "the model (its file, its calibration, --with, --precision)",
    "scene": "the scene",
    "aoi": "--aoi",
    "tiles": "the tiles (--tile, --halo, --tiled, --whole)",
    "tta": "--tta",
    "unsure": "--unsure",
    "familiar": "what the model file knows of applicability",
    "probability": "--probability, --probability-of or --polygons",
    "probability_type": "--probability-type",
    "confidence": "--confidence",
    "applicability": "--applicability",
    "resolution": "--resolution",
    "black_is_data": "--keep-black",
}
_NAMED = ("scene", "aoi")
"""Identities of files: name, size and time; or an address."""
_SAID = ("aoi", "confidence", "probability_type")
"""Values that are words of the user's."""


def differences(before: object, now: Mapping[str, Any]) -> str:
    """What differs between the fingerprints of two jobs: `--aoi (none before, valley.gpkg now) and --tta`."""
    if not isinstance(before, dict):
        return "what nobody can tell, for its journal is damaged"
    one, other = _flat(before), _flat(now)
    if one.get("scene") != other.get("scene"):  # tiles follow from it
        one.pop("tiles", None), other.pop("tiles", None)
    keys = [key for key in _WORDS if one.get(key) != other.get(key)]
    if "resolution" in keys and "tiles" in keys:
        keys.remove("tiles")
    told = [_told(key, one.get(key), other.get(key)) for key in keys]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told) or "its version"


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The options beside the rest."""
    options = fingerprint.get("options")
    return {**fingerprint, **(options if isinstance(options, dict) else {})}


def _told(key: str, before: object, now: object) -> str:
    if key in _NAMED:
        before, now = _name(before), _name(now)
        if before == now:
            return f"{_WORDS[key]} ({now} was changed since)"
        return f"{_WORDS[key]} ({before} before, {now} now)"
    if key in _SAID:
        return f"{_WORDS[key]} ({before or 'none'} before, {now or 'none'} now)"
    return _WORDS[key]


def _name(identity: object) -> str:
    return str(identity[0]) if isinstance(identity, list) and identity else "none"
