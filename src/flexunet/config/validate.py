"""A draft becomes a `Config`; what does not fit becomes a problem that says where and what was expected."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import BaseModel, ValidationError

from .describe import allows, expected_at, fields_at, models_in
from .draft import Draft, KeyPath, Tree, dotted
from .schema import Config, EncoderUNetConfig, FlexUNetConfig, ResUNetConfig
from .section import CONTRADICTION
from .taking_out import take_out

_NETWORKS = (FlexUNetConfig, ResUNetConfig, EncoderUNetConfig)
_ARCHITECTURES = tuple(network.model_fields["architecture"].default for network in _NETWORKS)
_DEFAULT_ARCHITECTURE = "resunet"
_SHOWN = 60


def validate(draft: Draft) -> Config | None:
    """The config of a draft, or None after adding every problem found to the draft."""
    tree = _prepared(draft)
    try:
        text = json.dumps(tree, default=_no_json)
        left = json.loads(text)
        return Config.model_validate_json(text, strict=True)
    except ValidationError as error:
        _explain_all(error, tree, left, draft)
    except (ValueError, RecursionError) as error:
        # a number of thousands of digits, lists within lists within lists
        draft.problem((), f"cannot be read: {error}")
    return None


def _prepared(draft: Draft) -> Tree:
    """The tree as the schema wants it: short forms written out, `architecture` filled in."""
    tree: Tree = _without_none(draft.tree, ())
    if isinstance(tree.get("model"), dict):
        tree["model"] = {"architecture": _DEFAULT_ARCHITECTURE, **tree["model"]}
    if isinstance(tree.get("train"), dict) and "loss" in tree["train"]:
        terms = _as_list(tree["train"]["loss"])
        if isinstance(terms, list):
            terms = [{"name": term} if isinstance(term, str) else term for term in terms]
        tree["train"]["loss"] = terms
    data = tree.get("data")
    for split in data.values() if isinstance(data, dict) else ():
        if isinstance(split, dict):
            split.update({key: _as_list(value) for key, value in split.items()})
    return tree


def _as_list(value: Any) -> Any:
    """One folder or loss stands for a list of one."""
    return [value] if isinstance(value, (str, dict)) else value


def _without_none(value: Any, key_path: KeyPath) -> Any:
    """TOML has no null: the text "none" stands for it where a field takes null but no text."""
    if isinstance(value, dict):
        return {key: _without_none(item, (*key_path, key)) for key, item in value.items()}
    if value == "none" and len(key_path) > 1:
        fields = fields_at(key_path)
        if fields and all(allows(f, NoneType) and not allows(f, str) and not allows(f, Path) for f in fields):
            return None
    return value


def _no_json(value: Any) -> Any:
    if isinstance(value, (date, datetime, time)):
        return {"date": str(value)}  # fits no field, so it is reported as what it is
    raise ValueError(f"{value!r} is no value of a config")


# ------------------------------------------------------------------------------------------------ explaining


def _explain_all(error: ValidationError, tree: Tree, left: Tree, draft: Draft) -> None:
    """Report what is wrong, take it out of what is `left` of the tree, and look again, until nothing is.

    pydantic looks at what does not fit together only where every value fits by itself.
    """
    gone: list[KeyPath] = []
    while True:
        before = json.dumps(left)
        for key_path in _explain(error, tree, draft, tuple(gone)):
            gone.append(take_out(left, key_path))
        after = json.dumps(left)
        if after == before:
            return
        try:
            Config.model_validate_json(after, strict=True)
            return
        except ValidationError as again:
            error = again


def _explain(
    error: ValidationError, tree: Tree, draft: Draft, gone: tuple[KeyPath, ...]
) -> Iterator[KeyPath]:
    """Report the faults and yield their places; of contradictions those that no key is a part of that is
    gone, for it stands at its default and the user never said so."""
    seen: set[KeyPath] = set()
    faults = error.errors(include_url=False)
    places = [_key_path(fault["loc"], tree, missing=fault["type"] == "missing") for fault in faults]
    for fault, key_path in zip(faults, places, strict=True):
        if any(key_path == other[: len(key_path)] != other for other in places):
            continue  # an item says more precisely why its list fits none of the alternatives
        if fault["type"] == "missing" and isinstance(key_path[-1], int):
            key_path, fault["type"] = key_path[:-1], "too_short"
        if fault["type"] == CONTRADICTION:
            for found in fault["ctx"]["found"]:
                keys = [(*key_path, *key) for key in found.keys]
                if not any(key[: len(path)] == path for key in keys for path in gone):
                    place = next((key for key in keys if key in draft.places), keys[0])
                    draft.problem(place, f"{found.what}.")
                yield from keys
            continue
        if key_path in seen:
            continue  # a union reports each of its alternatives; one sentence names them all
        seen.add(key_path)
        yield key_path
        if fault["type"] == "extra_forbidden":
            draft.problem(key_path, *_unknown(key_path, tree))
        elif fault["type"] == "missing":
            draft.problem(key_path, "is needed and missing.", f"Expected {expected_at(key_path)}.")
        elif fault["type"] == "union_tag_invalid":
            chosen = _value_at(tree, (*key_path, "architecture"))
            known = ", ".join(f'"{name}"' for name in _ARCHITECTURES)
            draft.problem(
                (*key_path, "architecture"), f"{_shown(chosen)} does not fit.", f"Expected one of {known}."
            )
        elif fault["type"] in ("value_error", "assertion_error"):
            draft.problem(key_path, f"{fault['msg'].split(', ', 1)[-1]}.")
        elif fault["type"] == "finite_number":
            draft.problem(key_path, f"{_shown(_value_at(tree, key_path))} is not a finite number.")
        else:
            value = _value_at(tree, key_path)
            draft.problem(key_path, f"{_shown(value)} does not fit.", f"Expected {expected_at(key_path)}.")


def _key_path(loc: tuple[str | int, ...], tree: Tree, *, missing: bool) -> KeyPath:
    """pydantic's location without the steps into the alternatives of a union, which no user wrote."""
    path: list[str | int] = []
    value: Any = tree
    for number, part in enumerate(loc):
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (missing and number == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _value_at(tree: Tree, key_path: KeyPath) -> Any:
    value: Any = tree
    for part in key_path:
        value = value[part]
    return value


def _shown(value: Any) -> str:
    if isinstance(value, (date, datetime, time)):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _unknown(key_path: KeyPath, tree: Tree) -> tuple[str, str]:
    """What to say of an unknown key: the nearest known name here, or the section where that name lives."""
    name = str(key_path[-1])
    models = _models_around(key_path, tree)
    known = [field for model in models for field in model.model_fields]
    for other in _NETWORKS:
        if key_path[0] == "model" and len(key_path) == 2 and name in other.model_fields and name not in known:
            architecture = other.model_fields["architecture"].default
            return (
                "is not an option of this network.",
                f'It belongs to model.architecture = "{architecture}".',
            )
    what = "is not a section." if len(key_path) == 1 else "is not a known key."
    known += ["tune"] if len(key_path) == 1 else []  # the search space, which is no part of a run
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return what, f"Did you mean {dotted((*key_path[:-1], near[0]))}?"
    for section in Config.model_fields:
        for model in models_in(Config.model_fields[section].annotation):
            if name in model.model_fields:
                return what, f"Did you mean {section}.{name}?"
    return what, f"Known here: {', '.join(dict.fromkeys(known))}."


def _models_around(key_path: KeyPath, tree: Tree) -> tuple[type[BaseModel], ...]:
    if len(key_path) == 1:
        return (Config,)
    if key_path[0] == "model" and len(key_path) == 2:
        chosen = tree["model"].get("architecture")
        same = tuple(net for net in _NETWORKS if net.model_fields["architecture"].default == chosen)
        return same or _NETWORKS
    return tuple(model for field in fields_at(key_path[:-1]) for model in models_in(field.annotation))
