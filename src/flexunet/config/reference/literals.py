"""Values of the reference's configs: Python literals and arithmetic on numbers, never code.

The reference evaluates every value as Python; whatever in its files is meant as a value is read here, and
nothing is ever run.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

_MOST_CHARACTERS = 20_000
_LARGEST = 1e100
_GAP = re.compile(r"(?<=[0-9.)\]}'\"])(\s+)(?=[-+0-9.(\[{'\"])")


class NoLiteral(ValueError):
    """A text that is no literal; the message ends the sentence `the value …`."""


@dataclass(frozen=True)
class Bare:
    """Text without quotes: a forgotten pair of them, or a misspelt True or False."""

    text: str


@dataclass(frozen=True)
class Repaired:
    """A value read by putting in the commas that its writer left out."""

    value: Any


def literal(text: str) -> Any:
    """The value of a text: plain Python values, `Bare` for text without quotes, `Repaired` for lost commas.

    Raises:
        NoLiteral: for code, unfinished brackets and everything else that is no value.
    """
    if len(text) > _MOST_CHARACTERS:
        raise NoLiteral("is too long")
    try:
        return _value(_parsed(text))
    except _HasName:
        return Bare(text.strip())
    except SyntaxError:
        pass  # not Python as it stands: perhaps commas are missing, perhaps quotes
    except (RecursionError, MemoryError, OverflowError) as error:
        raise NoLiteral("is nested too deeply or too large") from error
    return _repaired(text)


def _repaired(text: str) -> Any:
    with_commas = _GAP.sub(lambda gap: "," + gap.group(1), text)
    if text[:1] in ("(", "[", "{") and with_commas != text:
        try:
            return Repaired(_value(_parsed(with_commas)))
        except (SyntaxError, _HasName, RecursionError, MemoryError, OverflowError):
            pass  # more is wrong than commas
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]  # "C:\Users": no valid escape, and none meant
    if "\n" in text or re.search(r"[()\[\]{}'\"]", text):
        raise NoLiteral("is not a Python literal")
    return Bare(text.strip())


class _HasName(Exception):
    """A value holds names, so it may be text without quotes."""


def _parsed(text: str) -> ast.expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a path
        try:
            return ast.parse(text.strip(), mode="eval").body
        except ValueError as error:  # a NUL, or a number of thousands of digits
            raise SyntaxError(str(error)) from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.Tuple(elts=items):
            return tuple(_item(item) for item in items)
        case ast.List(elts=items):
            return [_item(item) for item in items]
        case ast.Dict():
            return _dict(node)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _number(operand)
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp():
            return _arithmetic(node)
        case ast.Name() | ast.Attribute():
            raise _HasName
        case ast.Call(func=ast.Tuple()) | ast.Subscript(value=ast.List() | ast.Tuple()):
            raise SyntaxError  # "(1,2) (3,4)" is no call: a comma is missing
    raise NoLiteral("is code, and no code of a config is run")


def _item(node: ast.expr) -> Any:
    try:
        return _value(node)
    except _HasName as error:
        raise NoLiteral(f"holds {ast.unparse(node)}, which is no literal") from error


def _dict(node: ast.Dict) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        if key_node is None:
            raise NoLiteral("is code, and no code of a config is run")
        key = _item(key_node)
        try:
            twice = key in found
        except TypeError as error:
            raise NoLiteral(f"has {key!r} as a key") from error
        if twice:
            raise NoLiteral(f"has the key {key!r} twice")
        found[key] = _item(value_node)
    return found


def _number(node: ast.expr) -> int | float:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NoLiteral("calculates with something that is no number")
    return value


def _arithmetic(node: ast.BinOp) -> int | float:
    left, right = _number(node.left), _number(node.right)
    try:
        return _calculated(node.op, left, right)
    except (ZeroDivisionError, OverflowError) as error:
        raise NoLiteral("cannot be calculated") from error


def _calculated(operator: ast.operator, left: float, right: float) -> int | float:
    match operator:
        case ast.Add():
            result = left + right
        case ast.Sub():
            result = left - right
        case ast.Mult():
            result = left * right
        case ast.Div():
            result = left / right
        case ast.FloorDiv():
            result = left // right
        case ast.Mod():
            result = left % right
        case ast.Pow() if abs(right) <= 64 and abs(left) <= 1e6:
            result = left**right
        case _:
            raise NoLiteral("is more arithmetic than a config needs")
    if isinstance(result, complex) or not math.isfinite(result) or abs(result) > _LARGEST:
        raise NoLiteral("cannot be calculated")
    return result
