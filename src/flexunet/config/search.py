"""The search space of `flexunet tune`: the `[tune]` section of a config, checked against the schema.

    [tune]
    "train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
    "model.base_filters" = [16, 24, 32]

It is no part of a run: a run's own config never holds it.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .describe import allows, fields_at
from .draft import Draft, KeyPath, Place, Tree
from .overrides import known_keys
from .schema import Config
from .validate import validate

Pruner = Literal["median", "hyperband", "none"]
SECTION = "tune"
_SEARCHED_DATA = ("data.size", "data.sizing", "data.normalisation")
_MEASURING = ("train.monitor", "train.validation_steps", "train.seed")
_RUNNING = (
    "train.budget_minutes", "train.devices", "train.num_nodes", "train.accelerator", "train.threads",
    "train.num_workers", "train.checkpoint_minutes", "train.calibrate", "train.teacher", "train.start_from",
)  # fmt: skip
_OF_THE_LOSS = ("train.loss", "train.class_weights")
_RANGE_KEYS = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Choices:
    """A setting that takes one of a few values."""

    key: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as TOML."""
        return tuple(map(toml_value, self.values))


@dataclass(frozen=True)
class Range:
    """A setting that takes any number from `low` to `high`, both possible."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None
    whole: bool


Entry = Choices | Range


@dataclass(frozen=True)
class Search:
    """What is searched, and how trials that promise little are ended."""

    space: tuple[Entry, ...]
    pruner: Pruner = "median"

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that are searched."""
        return tuple(entry.key for entry in self.space)


def take_search(draft: Draft) -> Search | None:
    """Take the section out of the draft's tree; None where there is none, or after adding its problems."""
    if SECTION not in draft.tree:
        return None
    section = draft.tree.pop(SECTION)
    if not isinstance(section, dict):
        draft.problem((SECTION,), "is not a section.", 'Write [tune] and "train.learning_rate" = … below.')
        return None
    before = len(draft.problems)
    pruner = section.get("pruner", "median")
    if pruner not in get_args(Pruner):
        draft.problem((SECTION, "pruner"), f"{pruner!r} does not fit.", f"Expected one of {_names()}.")
    entries = []
    for key, value, path in _flat({k: v for k, v in section.items() if k != "pruner"}, (), (SECTION,)):
        entry = _entry(key, value, path, draft)
        if entry is not None:
            entries.append(entry)
    return Search(tuple(entries), pruner) if len(draft.problems) == before else None


def default_search(config: Config) -> Search:
    """What is worth searching where a config does not say it; the config's own values are always within."""
    train, model = config.train, config.model
    rate, decay = train.learning_rate, train.weight_decay
    space: list[Entry] = [_around("train.learning_rate", rate, 8)]
    if decay > 0 and train.optimizer != "adam":
        space.append(_around("train.weight_decay", decay, 10))
    if model.architecture == "encoder-unet" and model.weights == "imagenet":
        space.append(_around("train.encoder_rate", train.encoder_rate, 4))
    # of the reference's network level i drops out i times the rate
    highest = min(0.1, 0.5 / (model.num_layers - 1)) if model.architecture == "flexunet" else 0.3
    if train.start_from is None:  # else the network is that of the model it starts from
        space.append(Range("model.dropout_rate", 0.0, max(highest, model.dropout_rate), False, None, False))
    if config.augment.enabled:
        scales = [list(config.augment.scale), [0.9, 1.1], [0.7, 1.4], [0.5, 2.0]]
        space.append(Choices("augment.scale", tuple(v for n, v in enumerate(scales) if v not in scales[:n])))
    return Search(tuple(space))


def own_value(config: Config, key: str) -> Any:
    """What `config` says at `key`, as a TOML value; None for what is left out."""
    value: Any = config.model_dump(mode="json", exclude_none=True)
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def overrides_of(values: Mapping[str, Any]) -> list[str]:
    """Values by key as `section.key=value`, for `read_config`."""
    return [f"{key}={toml_value(value)}" for key, value in values.items()]


def toml_value(value: Any) -> str:
    """A plain value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def check_values(search: Search | None, draft: Draft) -> None:
    """Add a problem for every value of the space that does not fit the config it would stand in."""
    for entry in () if search is None else search.space:
        ends = (entry.low, entry.high) if isinstance(entry, Range) else entry.values
        for value in ends:
            tree: Tree = deepcopy(draft.tree)
            *sections, name = entry.key.split(".")
            holder = tree
            for section in sections:
                holder = holder.setdefault(section, {}) if isinstance(holder, dict) else None
            if not isinstance(holder, dict):
                return  # a section that is none, of which the report tells
            holder[name] = value
            probe = Draft(draft.path, tree)
            probe.places = {tuple(entry.key.split(".")): Place(None, entry.key)}
            validate(probe)
            for problem in probe.problems:
                # what a section says of several keys together may be mended by another key of the space
                ours = (problem.where or "").startswith(entry.key)
                if ours and all(said.what != problem.what for said in draft.problems):
                    draft.problem((SECTION, entry.key), problem.what, problem.cure)


def problems_with_config(search: Search | None, config: Config, draft: Draft) -> None:
    """What cannot be searched under this config.

    The network is no choice where training starts from a model. Losses of different kinds cannot be compared,
    so they cannot be both searched and the aim.
    """
    for key in () if search is None or config.train.start_from is None else search.keys:
        if key.startswith("model."):
            draft.problem(
                (SECTION, key),
                "has no effect: with train.start_from the network is that of the model it starts from.",
                f"Leave {key} or train.start_from out.",
            )
    for key in () if search is None or config.train.monitor == "val_iou" else search.keys:
        if key.startswith(_OF_THE_LOSS):
            draft.problem(
                (SECTION, key),
                'decides what val_loss means, and train.monitor = "val_loss" is the aim.',
                'Set train.monitor = "val_iou".',
            )


# ------------------------------------------------------------------------------------------------- one entry


def _flat(value: Any, key: tuple[str, ...], path: KeyPath) -> Iterator[tuple[str, Any, KeyPath]]:
    """Keys and values: `"train.epochs" = …`, `train.epochs = …` and [tune.train] say the same."""
    table = isinstance(value, dict) and (not value or not set(value) & {"low", "high"})
    if not table or (not value and key):
        yield ".".join(key), value, path
        return
    for name, inner in value.items():
        yield from _flat(inner, (*key, name), (*path, name))


def _entry(key: str, value: Any, path: KeyPath, draft: Draft) -> Entry | None:
    fields = fields_at(tuple(key.split(".")))
    if not fields or "." not in key:
        draft.problem(path, "is no setting that can be searched.", _nearest(key))
    elif not _may_be_searched(key):
        draft.problem(path, f"cannot be searched: {_why_not(key)}.")
    elif isinstance(value, list):
        texts = [toml_value(item) for item in value]
        if len(set(texts)) == len(texts) > 1:
            return Choices(key, tuple(value))
        draft.problem(path, "needs at least two choices, each once.", f"A fixed value stands as {key}.")
    elif isinstance(value, dict):
        whole = any(allows(field, int) for field in fields) and not any(allows(f, float) for f in fields)
        if whole or any(allows(field, float) for field in fields):
            return _range(key, value, path, draft, whole=whole)
        draft.problem(path, "takes no numbers.", "Give a list of choices.")
    else:
        draft.problem(
            path, f"{value!r} does not fit.", "Expected a list of choices, or { low = …, high = … }."
        )
    return None


def _range(key: str, table: dict[str, Any], path: KeyPath, draft: Draft, *, whole: bool) -> Range | None:
    before = len(draft.problems)
    for name in table:
        if name not in _RANGE_KEYS:
            near = difflib.get_close_matches(name, _RANGE_KEYS, 1, 0.5)
            known = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(_RANGE_KEYS)}."
            draft.problem((*path, name), "is not a known key.", known)
    low, high, log, step = (table.get(name) for name in _RANGE_KEYS)
    if not isinstance(log := False if log is None else log, bool):
        draft.problem((*path, "log"), f"{log!r} does not fit.", "Expected true or false.")
    kind = int if whole else (int, float)
    for name, number in (("low", low), ("high", high), ("step", step)):
        if number is None and name == "step":
            continue
        if isinstance(number, bool) or not isinstance(number, kind) or not math.isfinite(number):
            expected = "a whole number" if whole else "a number"
            what = "is needed and missing." if number is None else f"{number!r} does not fit."
            draft.problem((*path, name), what, f"Expected {expected}.")
    if len(draft.problems) > before:
        return None
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    if low >= high:
        draft.problem(path, f"low = {low} is not below high = {high}.")
    elif log and low <= 0:
        draft.problem((*path, "low"), f"{low} has no logarithm.", "Take a low above 0, or log = false.")
    elif step is not None and (log or step <= 0):
        draft.problem((*path, "step"), "must be above 0, and does not go with log = true.")
    else:
        cast = int if whole else float
        return Range(key, cast(low), cast(high), bool(log), None if step is None else cast(step), whole)
    return None


def _may_be_searched(key: str) -> bool:
    section = key.split(".")[0]
    if section == "data":
        return key in _SEARCHED_DATA
    fixed = key in (*_MEASURING, *_RUNNING) or key.startswith(("train.teacher", "train.epoch_pictures"))
    return section in ("model", "train", "augment") and not fixed


def _why_not(key: str) -> str:
    if key.startswith("data."):
        return f"of the data only {', '.join(_SEARCHED_DATA)} leave the question the same"
    if key in _MEASURING:
        return "it decides what is measured, not what is learned"
    return "it says where and how long to compute, not what is learned"


def _nearest(key: str) -> str:
    known = ["pruner", *(name for name in known_keys() if _may_be_searched(name))]
    last = key.split(".")[-1]
    near = difflib.get_close_matches(key, known, 1, 0.5) or [k for k in known if k.split(".")[-1] == last]
    if not near:
        return "Keys are section.key, such as train.learning_rate."
    return f"Did you mean {near[0]}?"


def _around(key: str, value: float, factor: float) -> Range:
    return Range(key, value / factor, value * factor, True, None, False)


def _names() -> str:
    return ", ".join(f'"{name}"' for name in get_args(Pruner))
