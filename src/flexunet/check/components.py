"""What hangs together by pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def join_groups(count: int, pairs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Connected components (union-find) of `count` items: for each the smallest index of its component."""
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return tuple(root(item) for item in range(count))


def by_component(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Positions of the pairs of each connected component of `count` items, in order.

    Work on one component after the other needs the items of one component at a time.
    """
    roots = join_groups(count, pairs)
    components: dict[int, list[int]] = {}
    for position, (first, _) in enumerate(pairs):
        components.setdefault(roots[first], []).append(position)
    return list(components.values())
