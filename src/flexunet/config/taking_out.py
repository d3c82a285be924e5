"""Taking a faulty value out of a config's tree, so that what is left can be looked at by itself."""

from __future__ import annotations

from typing import Any

from .describe import fields_at
from .draft import KeyPath, Tree

_CLASSES = ("data", "classes")


def take_out(tree: Tree, key_path: KeyPath) -> KeyPath:
    """Remove what stands at a key path, and return the path of what is no longer the user's.

    What is needed where it stands goes with the table or list around it. A class stays, with something in the
    place of its name or colour, because others count the classes.
    """
    if key_path[:2] == _CLASSES and len(key_path) > 2 and _stand_in(tree, key_path[2:4]):
        return key_path[:4]
    if key_path == ("model", "architecture"):
        key_path = ("model",)  # nobody knows what the other keys of the section mean without it
    while len(key_path) > 1 and (isinstance(key_path[-1], int) or _is_needed(key_path)):
        key_path = key_path[:-1]
    holder = _inside(tree, key_path[:-1])
    if isinstance(holder, dict):
        holder.pop(key_path[-1], None)
    return key_path


def _stand_in(tree: Tree, key_path: KeyPath) -> bool:
    """Put something in the place of a class (number,), or of its (number, name or colour), if that it is."""
    number, *keys = key_path
    items = _inside(tree, _CLASSES)
    if not isinstance(items, list) or not isinstance(number, int) or number >= len(items):
        return False
    instead: dict[str, Any] = {"name": f"\0{number}", "colour": [number % 256, 254, 253]}
    if not keys or not isinstance(items[number], dict):
        items[number] = instead
    elif keys[0] in instead:
        items[number][keys[0]] = instead[str(keys[0])]
    else:
        return False
    return True


def _inside(tree: Tree, key_path: KeyPath) -> Any:
    """What stands at a key path, or None."""
    value: Any = tree
    for part in key_path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _is_needed(key_path: KeyPath) -> bool:
    fields = fields_at(key_path)
    return bool(fields) and all(field.is_required() for field in fields)
