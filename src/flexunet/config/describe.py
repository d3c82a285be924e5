"""What a field accepts, in words; the fields of the schema by key path."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .draft import KeyPath
from .schema import Config

SIMPLE: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a path in quotes",
}


def expected(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What values an annotation takes: `a whole number, at least 1`, `one of "adam", "sgd"`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return expected(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, types.UnionType):
        parts = [expected(part, metadata) for part in arguments if part is not type(None)]
        return ", or ".join(dict.fromkeys(parts))
    if origin is Literal:
        names = ", ".join(f'"{name}"' for name in arguments)
        return names if len(arguments) == 1 else f"one of {names}"
    if origin is tuple:
        return _list(arguments, not_empty=_not_empty(metadata))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table with " + ", ".join(annotation.model_fields)
    return SIMPLE.get(annotation, str(annotation)) + _range(metadata)


def _list(arguments: tuple[Any, ...], *, not_empty: bool) -> str:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        if not_empty:
            return f"a list of at least one, each {expected(arguments[0])}"
        return f"a list in which every item is {expected(arguments[0])}"
    same = len({str(argument) for argument in arguments}) == 1
    items = f"each {expected(arguments[0])}" if same else "; ".join(expected(item) for item in arguments)
    return f"a list of {len(arguments)}, {items}"


def _not_empty(metadata: tuple[Any, ...]) -> bool:
    return any(isinstance(limit, MinLen) for limit in _limits(metadata))


def _limits(metadata: tuple[Any, ...]) -> list[Any]:
    return [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else (item,))]


def _range(metadata: tuple[Any, ...]) -> str:
    limits: dict[type, Any] = {}
    for limit in _limits(metadata):
        if isinstance(limit, (Ge, Gt, Le, Lt)):
            limits[type(limit)] = getattr(limit, type(limit).__name__.lower())
    if set(limits) == {Ge, Le}:
        return f" from {limits[Ge]} to {limits[Le]}"
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    texts = [f"{word} {limits[kind]}" for kind, word in words.items() if kind in limits]
    return f", {' and '.join(texts)}" if texts else ""


def models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The models an annotation may hold: one for a section, several for a union, the item's for a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    found = [model for argument in get_args(annotation) for model in models_in(argument)]
    return tuple(dict.fromkeys(found))


def fields_at(key_path: KeyPath) -> list[FieldInfo]:
    """The schema's fields at a key path: none for an unknown key, several where either network has it."""
    models: tuple[type[BaseModel], ...] = (Config,)
    fields: list[FieldInfo] = []
    for part in key_path:
        if isinstance(part, int):
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = tuple(inner for field in fields for inner in models_in(field.annotation))
    return fields


def expected_at(key_path: KeyPath) -> str | None:
    """What the schema takes at a key path, in words; None for an unknown key."""
    fields = fields_at(key_path)
    if not fields:
        return None
    if isinstance(key_path[-1], int):
        parts = [part for field in fields for part in _all_arguments(field.annotation)]
        items = [part for part in parts if get_origin(part) is tuple]
        if items:
            return expected(get_args(items[0])[0])
    literals = [field.annotation for field in fields if get_origin(field.annotation) is Literal]
    if len(literals) > 1:  # a name that each network has its own value for
        return expected(Union[tuple(literals)])  # noqa: UP007
    return expected(fields[0].annotation, tuple(fields[0].metadata))


def _all_arguments(annotation: Any) -> list[Any]:
    parts = [annotation, *(get_args(annotation) if get_origin(annotation) is not tuple else ())]
    return [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts]


def allows(field: FieldInfo, kind: type) -> bool:
    """Whether a field takes values of `kind` (NoneType, str, Path) as one of its alternatives."""
    pending, seen = [field.annotation], set()
    while pending:
        annotation: Any = pending.pop()
        origin = get_origin(annotation)
        if origin in (Union, types.UnionType, Annotated):
            pending += list(get_args(annotation)) if origin is not Annotated else [get_args(annotation)[0]]
        else:
            seen.add(annotation)
    return kind in seen
